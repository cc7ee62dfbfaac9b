import { formatSize } from '@pxmgr/contract';
import { PlacementServiceClient, type Reservation } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { command } from '../../command.ts';
import { paintState } from '../../render/theme.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { themeOf } from '../page.ts';

export const reservationList = command({
  path: 'reservation list',
  summary: 'List what is held for work in progress: memory, space, devices, ids',
  options: { all: { kind: 'flag', flag: 'all', short: 'a', help: 'ended ones too' } },
  examples: ['pxmgr reservation list --all'],
  run: async (context, { options }) => {
    const { reservations } = await controllerOf(context).ask(PlacementServiceClient, 'listReservations', {
      all: options.all,
    });
    const theme = themeOf(context);
    const now = context.clock.now();
    return list<Reservation>({
      noun: 'Reservation',
      rows: reservations,
      columns: [
        { head: 'NODE', value: (row) => row.nodeName },
        { head: 'VMID', align: 'right', value: (row) => (row.vmid === 0 ? '-' : String(row.vmid)) },
        { head: 'STATE', value: (row) => paintState(theme, row.state) },
        { head: 'MEMORY', align: 'right', value: (row) => formatSize(row.memoryBytes) },
        {
          head: 'SPACE',
          align: 'right',
          shrink: 2,
          value: (row) => (row.storage === '' ? '-' : `${formatSize(row.storageBytes)} on ${row.storage}`),
        },
        { head: 'DEVICES', shrink: 3, value: (row) => row.devices.join(' ') || '-' },
        { head: 'TAKEN', value: (row) => relativeTime(row.createdAt, now) },
        {
          head: 'ENDS',
          shrink: 1,
          value: (row) =>
            row.endedAt === undefined
              ? `expires ${relativeTime(row.expiresAt, now)}`
              : `${relativeTime(row.endedAt, now)}: ${row.endReason}`,
        },
        { head: 'FOR', wide: true, value: (row) => row.title || row.planId || '-' },
        { head: 'FENCE', wide: true, align: 'right', value: (row) => String(row.fencingToken) },
        { head: 'ID', wide: true, value: (row) => row.id },
      ],
      name: (row) => row.id,
      json: (row) => row,
      empty: options.all ? 'no reservation was ever made' : 'nothing is reserved',
    });
  },
});
