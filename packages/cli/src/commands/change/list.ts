import { INVENTORY_KINDS, isInventoryKind } from '@pxmgr/contract';
import { type Change, ChangeServiceClient } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { command } from '../../command.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { parseLimit } from '../../spec/limit-flag.ts';
import { parseMoment } from '../../spec/moment-flag.ts';
import { Problems } from '../../spec/problems.ts';

export function objectText(change: Change): string {
  const { kind, objectId, objectName } = change;
  if (objectName === '' || objectName === objectId) return `${kind} ${objectId}`;
  // Guests are known by their number, everything else by its name.
  return kind === 'container' || kind === 'vm' ? `${kind} ${objectId} ${objectName}` : `${kind} ${objectName}`;
}

export const changeList = command({
  path: 'change list',
  summary: 'Show what changed in the fleet, newest first: when, where, what, by whom',
  options: {
    node: { kind: 'text', flag: 'node', value: 'NODE', help: 'on this node only', complete: 'node' },
    kind: { kind: 'text', flag: 'kind', value: 'KIND', help: 'container, vm, storage, image, gpu, ...' },
    object: { kind: 'text', flag: 'object', value: 'ID', help: 'one object: vmid, name or id', complete: 'container' },
    since: { kind: 'text', flag: 'since', value: 'TIME', help: 'since then (2h, or 2026-11-20T08:00:00Z)' },
    until: { kind: 'text', flag: 'until', value: 'TIME', help: 'until then' },
    limit: { kind: 'text', flag: 'limit', value: 'N', help: 'at most N (default: 50)' },
  },
  examples: [
    'pxmgr change list --since 1h',
    'pxmgr change list --object 100',
    'pxmgr change list --node pve1 --kind container -o ndjson',
  ],
  run: async (context, { options }) => {
    const problems = new Problems();
    const since = parseMoment(['since', options.since], context.clock.now(), problems);
    const until = parseMoment(['until', options.until], context.clock.now(), problems);
    const limit = parseLimit(options.limit, problems);
    if (options.kind !== undefined && !isInventoryKind(options.kind))
      problems.add(`--kind ${options.kind}`, `is not one of ${INVENTORY_KINDS.join(', ')}`);
    problems.refuse();
    const request = {
      node: options.node ?? '',
      kind: options.kind ?? '',
      object: options.object ?? '',
      since,
      until,
      limit,
      beforeId: 0n,
    };
    const { changes } = await controllerOf(context).ask(ChangeServiceClient, 'listChanges', request);
    return list<Change>({
      noun: 'Change',
      rows: changes,
      columns: [
        { head: 'ID', align: 'right', value: (change) => String(change.id) },
        { head: 'WHEN', value: (change) => relativeTime(change.observedAt, context.clock.now()) },
        { head: 'NODE', value: (change) => change.nodeName },
        { head: 'WHAT', shrink: 2, value: objectText },
        { head: 'BY', value: (change) => change.author || '-' },
        { head: 'CHANGE', shrink: 1, value: (change) => change.summary.replaceAll('\n', ' ') },
        { head: 'OPERATION', wide: true, value: (change) => change.operationId || '-' },
        { head: 'TASK', wide: true, value: (change) => change.upid || '-' },
      ],
      name: (change) => String(change.id),
      json: (change) => change,
      empty: 'no changes recorded',
    });
  },
});
