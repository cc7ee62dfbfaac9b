/** Snapshots of a container: create, list, rollback, destroy. */
import { parseSnapshotName } from '@pxmgr/contract';
import type { ContainerDocument, GuestSnapshot } from '@pxmgr/contract/common';
import { argument, command } from '../../command.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { Problems } from '../../spec/problems.ts';
import { changePlanner, GUEST_ARG, GUEST_ARGS, NODE_OPTION } from '../action-plan.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { YES_OPTION } from '../confirm.ts';
import { guestLine } from '../guest-lines.ts';
import { fetchContainer } from '../inventory.ts';

const ARGS = [GUEST_ARG, { name: 'SNAPSHOT', help: 'its name' }] as const;

/** Guest and snapshot as typed; refuses a name that no snapshot can have. */
function named(input: Parameters<typeof argument>[0], node: string | undefined) {
  const problems = new Problems();
  const name = argument(input, 1);
  problems.take(`snapshot ${name}`, parseSnapshotName(name));
  problems.refuse();
  return { guest: { key: argument(input, 0), node: node ?? '' }, name };
}

export const containerSnapshotCreate = command({
  path: 'container snapshot create',
  summary: 'Create a snapshot of a container',
  description:
    'Every mount must be a volume on a storage with snapshots; one bind mount, or one volume on a directory, is enough to refuse it.',
  args: ARGS,
  options: {
    node: NODE_OPTION,
    description: { kind: 'text', flag: 'description', value: 'TEXT', help: 'what it is for' },
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr container snapshot create web before-upgrade --description nginx-1.27'],
  run: async (context, input) => {
    const { options } = input;
    const { guest, name } = named(input, options.node);
    const value = { name, description: options.description ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: changePlanner(context, options, { guest, change: { $case: 'createSnapshot', value } }),
      done: guestLine(`has snapshot ${name}`),
    });
  },
});

export const containerSnapshotRollback = command({
  path: 'container snapshot rollback',
  summary: 'Put a container back to a snapshot',
  description:
    'What changed since then is lost. A container that runs is stopped, and stays stopped without --start. On ZFS only the newest snapshot will do. Asks first; without a terminal it needs --yes.',
  args: ARGS,
  options: {
    node: NODE_OPTION,
    start: { kind: 'flag', flag: 'start', help: 'start the container when it is back' },
    yes: YES_OPTION,
    ...CHANGE_OPTIONS,
  },
  examples: [
    'pxmgr container snapshot rollback web before-upgrade',
    'pxmgr container snapshot rollback web before-upgrade --start --yes',
  ],
  run: async (context, input) => {
    const { options } = input;
    const { guest, name } = named(input, options.node);
    return await carryOut(context, {
      flags: options,
      makePlan: changePlanner(context, options, {
        guest,
        change: { $case: 'rollbackSnapshot', value: { name } },
        start: options.start,
      }),
      confirm: options.yes
        ? undefined
        : {
            question: `Put container ${guest.key} back to ${name} and lose what changed since?`,
            command: 'pxmgr container snapshot rollback',
          },
      done: guestLine(`is back at snapshot ${name}${options.start ? ' and runs' : ''}`),
    });
  },
});

export const containerSnapshotDestroy = command({
  path: 'container snapshot destroy',
  summary: 'Destroy a snapshot of a container; the container stays as it is',
  description: 'Asks first; without a terminal it needs --yes.',
  args: ARGS,
  options: { node: NODE_OPTION, yes: YES_OPTION, ...CHANGE_OPTIONS },
  examples: ['pxmgr container snapshot destroy web before-upgrade --yes'],
  run: async (context, input) => {
    const { options } = input;
    const { guest, name } = named(input, options.node);
    return await carryOut(context, {
      flags: options,
      makePlan: changePlanner(context, options, { guest, change: { $case: 'destroySnapshot', value: { name } } }),
      confirm: options.yes
        ? undefined
        : {
            question: `Destroy snapshot ${name} of container ${guest.key}?`,
            command: 'pxmgr container snapshot destroy',
          },
      done: guestLine(`has no snapshot ${name} any more`),
    });
  },
});

interface Row extends GuestSnapshot {
  /** The container's present state came of this one. */
  readonly isCurrent: boolean;
}

function rowsOf({ snapshotDetails, config }: ContainerDocument): Row[] {
  return snapshotDetails.map((one) => ({ ...one, isCurrent: config['parent'] === one.name }));
}

export const containerSnapshotList = command({
  path: 'container snapshot list',
  summary: 'List the snapshots of a container, oldest first',
  args: GUEST_ARGS,
  options: { node: NODE_OPTION },
  examples: ['pxmgr container snapshot list web'],
  run: async (context, input) => {
    const { container } = await fetchContainer(context, argument(input, 0), input.options.node ?? '');
    const now = context.clock.now();
    return list<Row>({
      noun: 'GuestSnapshot',
      rows: rowsOf(container),
      columns: [
        { head: 'SNAPSHOT', value: (row) => row.name },
        { head: 'TAKEN', value: (row) => relativeTime(row.createdAt, now) },
        { head: 'AFTER', value: (row) => row.parent || '-' },
        { head: 'NOW', value: (row) => (row.isCurrent ? 'based on it' : '') },
        { head: 'STATE', value: (row) => (row.state === '' ? 'whole' : `incomplete (${row.state})`) },
        { head: 'DESCRIPTION', shrink: 1, value: (row) => row.description.split('\n')[0] ?? '' },
      ],
      name: (row) => row.name,
      json: (row) => row,
      empty: `container ${container.name} has no snapshot`,
    });
  },
});
