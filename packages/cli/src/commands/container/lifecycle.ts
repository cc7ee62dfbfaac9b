/** start, shutdown, stop, destroy: a plan for one guest that exists. */
import { limits, parseDuration } from '@pxmgr/contract';
import { argument, command } from '../../command.ts';
import { Problems } from '../../spec/problems.ts';
import { parseReadiness } from '../../spec/readiness-flag.ts';
import { actionPlanner, GUEST_ARGS, NODE_OPTION } from '../action-plan.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { YES_OPTION } from '../confirm.ts';
import { guestLine } from '../guest-lines.ts';

const SHUTDOWN_SECONDS = 20;

export const containerStart = command({
  path: 'container start',
  summary: 'Start a container and wait until it is ready',
  args: GUEST_ARGS,
  options: {
    node: NODE_OPTION,
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
      makePlan: actionPlanner(context, options, { $case: 'start', value: { guest, readiness } }),
      done: guestLine('runs'),
    });
  },
});

export const containerShutdown = command({
  path: 'container shutdown',
  summary: 'Ask a container to shut down cleanly',
  args: GUEST_ARGS,
  options: {
    node: NODE_OPTION,
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
      makePlan: actionPlanner(context, options, {
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
  args: GUEST_ARGS,
  options: { node: NODE_OPTION, ...CHANGE_OPTIONS },
  examples: ['pxmgr container stop 100'],
  run: async (context, input) => {
    const guest = { key: argument(input, 0), node: input.options.node ?? '' };
    return await carryOut(context, {
      flags: input.options,
      makePlan: actionPlanner(context, input.options, { $case: 'stop', value: { guest } }),
      done: guestLine('is stopped'),
    });
  },
});

export const containerDestroy = command({
  path: 'container destroy',
  summary: 'Destroy a container with its volumes',
  description: `Bind mounts and datasets that were mounted into it stay. Asks first; without a terminal it needs --yes. Ids run from ${limits.VMID_MIN}.`,
  args: GUEST_ARGS,
  options: {
    node: NODE_OPTION,
    force: { kind: 'flag', flag: 'force', help: 'stop it first when it runs' },
    yes: YES_OPTION,
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr container destroy web', 'pxmgr container destroy 100 --force --yes'],
  run: async (context, input) => {
    const { options } = input;
    const key = argument(input, 0);
    const guest = { key, node: options.node ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: actionPlanner(context, options, { $case: 'destroy', value: { guest, force: options.force } }),
      confirm: options.yes
        ? undefined
        : { question: `Destroy container ${key} and its volumes?`, command: 'pxmgr container destroy' },
      done: guestLine('is destroyed'),
    });
  },
});
