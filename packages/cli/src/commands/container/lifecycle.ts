/** start, shutdown, stop, destroy: a plan for one guest that exists. */
import { limits, parseDuration } from '@pxmgr/contract';
import { PlacementServiceClient, type PlanActionRequest } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import type { Context } from '../../context.ts';
import { Problems } from '../../spec/problems.ts';
import { parseReadiness } from '../../spec/readiness-flag.ts';
import { CHANGE_OPTIONS, type ChangeFlags, carryOut, type Planned } from '../carry-out.ts';
import { guestLine } from '../guest-lines.ts';

const ARGS = [{ name: 'CONTAINER', help: 'vmid or name', complete: 'container' }] as const;
const NODE = {
  kind: 'text',
  flag: 'node',
  value: 'NODE',
  help: 'where the name is ambiguous',
  complete: 'node',
} as const;
const YES = { kind: 'flag', flag: 'yes', short: 'y', help: 'do not ask' } as const;
const SHUTDOWN_SECONDS = 20;

function planner(
  context: Context,
  flags: ChangeFlags,
  action: PlanActionRequest['action'],
): (dryRun: boolean) => Promise<Planned> {
  return async (dryRun) =>
    await controllerOf(context).askSlow(PlacementServiceClient, 'planAction', {
      action,
      dryRun,
      showCommands: flags.showCommands,
    });
}

export const containerStart = command({
  path: 'container start',
  summary: 'Start a container and wait until it is ready',
  args: ARGS,
  options: {
    node: NODE,
    ready: { kind: 'text', flag: 'ready', value: 'PROBE', help: 'none, running, tcp:PORT or http:PORT/path' },
    readyTimeout: {
      kind: 'text',
      flag: 'ready-timeout',
      value: 'TIME',
      help: 'how long to wait for it (default: 60s)',
    },
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr container start web'],
  run: async (context, input) => {
    const { options } = input;
    const problems = new Problems();
    const readiness = parseReadiness(options.ready, options.readyTimeout, problems);
    problems.refuse();
    const guest = { key: argument(input, 0), node: options.node ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: planner(context, options, { $case: 'start', value: { guest, readiness } }),
      done: guestLine('runs'),
    });
  },
});

export const containerShutdown = command({
  path: 'container shutdown',
  summary: 'Ask a container to shut down cleanly',
  args: ARGS,
  options: {
    node: NODE,
    timeout: {
      kind: 'text',
      flag: 'timeout',
      value: 'TIME',
      help: `how long it may take (default: ${SHUTDOWN_SECONDS}s)`,
    },
    force: { kind: 'flag', flag: 'force', help: 'stop it when it does not react in time' },
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr container shutdown web --timeout 60s --force'],
  run: async (context, input) => {
    const { options } = input;
    const problems = new Problems();
    const ms =
      options.timeout === undefined
        ? SHUTDOWN_SECONDS * 1000
        : problems.take(`--timeout ${options.timeout}`, parseDuration(options.timeout));
    if (ms !== undefined && (ms < 1000 || ms > 3_600_000))
      problems.add(`--timeout ${options.timeout ?? ''}`, 'must be from 1s to 1h');
    problems.refuse();
    const guest = { key: argument(input, 0), node: options.node ?? '' };
    const timeoutSeconds = Math.round((ms ?? 0) / 1000);
    return await carryOut(context, {
      flags: options,
      makePlan: planner(context, options, {
        $case: 'shutdown',
        value: { guest, timeoutSeconds, force: options.force },
      }),
      done: guestLine('is shut down'),
    });
  },
});

export const containerStop = command({
  path: 'container stop',
  summary: 'Stop a container at once, like pulling the plug',
  args: ARGS,
  options: { node: NODE, ...CHANGE_OPTIONS },
  examples: ['pxmgr container stop 100'],
  run: async (context, input) => {
    const guest = { key: argument(input, 0), node: input.options.node ?? '' };
    return await carryOut(context, {
      flags: input.options,
      makePlan: planner(context, input.options, { $case: 'stop', value: { guest } }),
      done: guestLine('is stopped'),
    });
  },
});

export const containerDestroy = command({
  path: 'container destroy',
  summary: 'Destroy a container with its volumes',
  description: `Bind mounts and datasets that were mounted into it stay. Asks first; without a terminal it needs --yes. Ids run from ${limits.VMID_MIN}.`,
  args: ARGS,
  options: {
    node: NODE,
    force: { kind: 'flag', flag: 'force', help: 'stop it first when it runs' },
    yes: YES,
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr container destroy web', 'pxmgr container destroy 100 --force --yes'],
  run: async (context, input) => {
    const { options } = input;
    const key = argument(input, 0);
    const guest = { key, node: options.node ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: planner(context, options, { $case: 'destroy', value: { guest, force: options.force } }),
      confirm: options.yes
        ? undefined
        : { question: `Destroy container ${key} and its volumes?`, command: 'pxmgr container destroy' },
      done: guestLine('is destroyed'),
    });
  },
});
