import { formatDuration, formatSize } from '@pxmgr/contract';
import { FleetServiceClient, type GetStatusResponse } from '@pxmgr/contract/controller';
import { controllerOf } from '../client.ts';
import { command } from '../command.ts';
import { renderPairs } from '../render/table.ts';
import type { Theme } from '../render/theme.ts';
import { detail } from '../result.ts';
import { themeOf } from './page.ts';

function nodesText(status: GetStatusResponse, theme: Theme): string {
  const parts = [theme.good(`${status.nodesUp} up`)];
  if (status.nodesSuspect > 0) parts.push(theme.warn(`${status.nodesSuspect} suspect`));
  if (status.nodesDown > 0) parts.push(theme.bad(`${status.nodesDown} down`));
  return parts.join(', ');
}

function lines(status: GetStatusResponse, theme: Theme, now: Date): string[] {
  const count = (kind: string): number => status.objects[kind] ?? 0;
  const bus = `${status.natsConnected ? theme.good('connected') : theme.bad('not connected')} to ${status.natsUrl}${status.natsSupervised ? ' (supervised by the controller)' : ''}`;
  return renderPairs([
    [
      'controller',
      `version ${status.controllerVersion}, up ${status.startedAt === undefined ? '-' : formatDuration(now.getTime() - status.startedAt.getTime())}`,
    ],
    ['message bus', bus],
    ['nodes', nodesText(status, theme)],
    ['containers', `${count('container')}, ${status.containersRunning} running`],
    ['vms', String(count('vm'))],
    ['storages', `${count('storage')}, datasets ${count('dataset')}`],
    ['images', `${count('image')}, templates ${count('template')}`],
    ['devices', `${count('gpu')} GPUs, ${count('usb')} USB`],
    ['operations', `${status.operationsActive} active`],
    ['reservations', `${status.reservationsActive} active`],
    ['history', `${status.changes} changes, database ${formatSize(status.databaseBytes)}`],
    ...status.problems.map(({ code, message }): [string, string] => ['problem', theme.bad(`${code}: ${message}`)]),
  ]);
}

export const status = command({
  path: 'status',
  summary: 'Show the state of the fleet in a dozen lines',
  examples: ['pxmgr status', 'pxmgr status -o json'],
  run: async (context) => {
    const answer = await controllerOf(context).ask(FleetServiceClient, 'getStatus', {});
    return detail({
      noun: 'Status',
      name: 'fleet',
      lines: lines(answer, themeOf(context), context.clock.now()),
      json: answer,
    });
  },
});
