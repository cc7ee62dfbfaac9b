import { formatSize } from '@pxmgr/contract';
import { FleetServiceClient, type Node, Presence } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { command } from '../../command.ts';
import { paintState, type Theme } from '../../render/theme.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { themeOf } from '../page.ts';

const PRESENCE_WORDS: Readonly<Record<number, string>> = {
  [Presence.PRESENCE_UP]: 'up',
  [Presence.PRESENCE_SUSPECT]: 'suspect',
  [Presence.PRESENCE_DOWN]: 'down',
  [Presence.PRESENCE_JOINED]: 'joined',
};

export function presenceWord(presence: Presence): string {
  return PRESENCE_WORDS[presence] ?? 'unknown';
}

/** One that is cut off answers, and can do nothing. */
export function stateText(node: Node, theme: Theme): string {
  const isCutOff = node.presence === Presence.PRESENCE_UP && node.document?.quorate === false;
  return `${paintState(theme, presenceWord(node.presence))}${isCutOff ? theme.bad(', no quorum') : ''}`;
}

export function nodeJson(node: Node): unknown {
  const { document, ...rest } = node;
  return { ...rest, presence: presenceWord(node.presence), ...document };
}

function memory(node: Node): string {
  if (node.memoryTotalBytes === 0n) return formatSize(node.document?.memoryBytes ?? 0n);
  return `${formatSize(node.memoryUsedBytes)} of ${formatSize(node.memoryTotalBytes)}`;
}

export const nodeList = command({
  path: 'node list',
  summary: 'List the nodes of the fleet',
  examples: ['pxmgr node list', 'pxmgr node list -o wide'],
  run: async (context) => {
    const { nodes } = await controllerOf(context).ask(FleetServiceClient, 'listNodes', {});
    const theme = themeOf(context);
    const now = context.clock.now();
    return list<Node>({
      noun: 'Node',
      rows: [...nodes].sort((a, b) => a.name.localeCompare(b.name)),
      columns: [
        { head: 'NODE', value: (node) => node.name },
        { head: 'STATE', value: (node) => stateText(node, theme) },
        { head: 'CORES', align: 'right', value: (node) => String(node.document?.cpuCores ?? '-') },
        { head: 'MEMORY', align: 'right', value: memory },
        {
          head: 'RESERVED',
          align: 'right',
          value: (node) => (node.memoryReservedBytes === 0n ? '-' : formatSize(node.memoryReservedBytes)),
        },
        { head: 'GUESTS', align: 'right', value: (node) => `${node.containersRunning}/${node.containers}` },
        { head: 'GPUS', align: 'right', value: (node) => String(node.gpus) },
        { head: 'PVE', value: (node) => node.document?.pveVersion ?? '-' },
        { head: 'SEEN', value: (node) => relativeTime(node.lastSeenAt, now) },
        { head: 'LOAD', align: 'right', wide: true, value: (node) => node.load1.toFixed(2) },
        { head: 'CLUSTER', wide: true, value: (node) => node.document?.cluster || '-' },
        { head: 'ADDRESS', wide: true, value: (node) => node.document?.agentAddress || '-' },
        { head: 'UID', wide: true, value: (node) => node.uid },
      ],
      name: (node) => node.name,
      json: nodeJson,
      empty: 'no nodes yet; "pxmgr node join" prints how to add one',
    });
  },
});
