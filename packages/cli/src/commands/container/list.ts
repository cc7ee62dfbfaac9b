import { formatSize } from '@pxmgr/contract';
import { command } from '../../command.ts';
import { paintState } from '../../render/theme.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { type Found, fetchInventory, ONE_NODE_OPTION, staleNote } from '../inventory.ts';
import { themeOf } from '../page.ts';

type Row = Found<'container'>;

export const containerList = command({
  path: 'container list',
  summary: 'List the containers of the fleet',
  options: {
    node: ONE_NODE_OPTION,
    running: { kind: 'flag', flag: 'running', help: 'running ones only' },
    tag: { kind: 'list', flag: 'tag', value: 'TAG', help: 'with this tag only (repeat: with all of them)' },
  },
  examples: [
    'pxmgr container list',
    'pxmgr container list --node pve1 -o wide',
    'pxmgr container list --tag web -o name',
  ],
  run: async (context, { options }) => {
    const inventory = await fetchInventory(context, 'container', options.node);
    const rows = inventory.found
      .filter((row) => !options.running || row.document.status === 'running')
      .filter((row) => options.tag.every((tag) => row.document.tags.includes(tag)))
      .sort((a, b) => a.document.vmid - b.document.vmid || a.object.nodeName.localeCompare(b.object.nodeName));
    const theme = themeOf(context);
    return list<Row>({
      noun: 'Container',
      rows,
      columns: [
        { head: 'VMID', align: 'right', value: (row) => String(row.document.vmid) },
        { head: 'NAME', shrink: 1, value: (row) => row.document.name },
        { head: 'NODE', value: (row) => row.object.nodeName },
        {
          head: 'STATUS',
          value: (row) =>
            paintState(theme, row.document.status) + (row.document.lock === '' ? '' : ` (${row.document.lock})`),
        },
        {
          head: 'CORES',
          align: 'right',
          value: (row) => (row.document.cores === 0 ? 'all' : String(row.document.cores)),
        },
        { head: 'MEMORY', align: 'right', value: (row) => formatSize(row.document.memoryBytes) },
        {
          head: 'ADDRESS',
          shrink: 2,
          value: (row) => row.document.addresses.map((address) => address.split('/')[0]).join(' ') || '-',
        },
        { head: 'IMAGE', shrink: 3, value: (row) => row.document.imageReference || row.document.osType || '-' },
        { head: 'TAGS', wide: true, value: (row) => row.document.tags.join(',') || '-' },
        { head: 'SEEN', wide: true, value: (row) => relativeTime(row.object.observedAt, context.clock.now()) },
        { head: 'UID', wide: true, value: (row) => row.document.guestUid || '-' },
      ],
      name: (row) => String(row.document.vmid),
      json: (row) => ({
        node: row.object.nodeName,
        nodeUid: row.object.nodeUid,
        observedAt: row.object.observedAt,
        ...row.document,
      }),
      empty: 'no containers',
      notes: staleNote(inventory),
    });
  },
});
