import { formatDuration, formatSize } from '@pxmgr/contract';
import type { NodeDocument } from '@pxmgr/contract/common';
import { FleetServiceClient, type Node } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { renderPairs } from '../../render/table.ts';
import type { Theme } from '../../render/theme.ts';
import { exactTime, relativeTime } from '../../render/time.ts';
import { detail } from '../../result.ts';
import { themeOf } from '../page.ts';
import { nodeJson, stateText } from './list.ts';

function factPairs(document: NodeDocument): (readonly [string, string])[] {
  return [
    ['proxmox', document.pveVersion],
    ['kernel', document.kernel],
    ['system', document.systemModel],
    ['processor', `${document.cpuModel} (${document.cpuCores} cores, ${document.architecture})`],
    ['memory', formatSize(document.memoryBytes)],
    ['cluster', document.cluster],
    ['agent', `${document.agentVersion} at ${document.agentAddress}`],
    ['abilities', document.capabilities.join(', ')],
    [
      'tools',
      Object.entries(document.tools)
        .map(([tool, found]) => `${tool} ${found}`.trim())
        .join(', '),
    ],
    ['notes', document.notes.join('; ')],
  ];
}

function failureLines(document: NodeDocument, theme: Theme): string[] {
  return document.failures.map(
    (failure) => `${theme.warn('cannot read')} ${failure.source}: ${failure.problem?.message ?? ''}`,
  );
}

function lines(node: Node, theme: Theme, now: Date): string[] {
  return [
    ...renderPairs([
      ['node', node.name],
      ['uid', node.uid],
      ['state', `${stateText(node, theme)}, last heard of ${relativeTime(node.lastSeenAt, now)}`],
      ['joined', exactTime(node.joinedAt)],
      ['certificate until', exactTime(node.certificateExpiresAt)],
      ['up for', node.uptimeSeconds === 0n ? '' : formatDuration(Number(node.uptimeSeconds) * 1000)],
      ['load', node.load1 === 0 ? '' : node.load1.toFixed(2)],
      [
        'memory used',
        node.memoryTotalBytes === 0n
          ? ''
          : `${formatSize(node.memoryUsedBytes)} of ${formatSize(node.memoryTotalBytes)}, reserved ${formatSize(node.memoryReservedBytes)}`,
      ],
      ['containers', `${node.containers}, ${node.containersRunning} running`],
      ['gpus', String(node.gpus)],
      ...(node.document === undefined ? [] : factPairs(node.document)),
    ]),
    ...(node.document === undefined ? [] : failureLines(node.document, theme)),
  ];
}

export const nodeGet = command({
  path: 'node get',
  summary: 'Show one node',
  args: [{ name: 'NODE', help: 'name or uid', complete: 'node' }],
  examples: ['pxmgr node get pve1'],
  run: async (context, input) => {
    const key = argument(input, 0);
    const { node } = await controllerOf(context).ask(FleetServiceClient, 'getNode', { node: key });
    if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    return detail({
      noun: 'Node',
      name: node.name,
      lines: lines(node, themeOf(context), context.clock.now()),
      json: nodeJson(node),
    });
  },
});
