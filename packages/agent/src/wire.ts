/**
 * Composition root: builds every object of a running agent from the configuration and the stored identity, and says in
 * which order they start and stop. No decisions are made here.
 */
import { join } from 'node:path';
import { PRODUCT_VERSION } from '@pxmgr/contract';
import { systemClock } from '@pxmgr/kit/clock';
import type { Runner } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import type { LockFile } from '@pxmgr/kit/fs/lock-file';
import { acquireLockFile } from '@pxmgr/kit/fs/lock-file';
import { Lifecycle } from '@pxmgr/kit/lifecycle/lifecycle';
import { createNotifier } from '@pxmgr/kit/lifecycle/notify';
import type { Logger } from '@pxmgr/kit/log/logger';
import { createLogger } from '@pxmgr/kit/log/logger';
import type { AgentConfigValues } from './config.ts';
import type { EventStack } from './event/event-stack.ts';
import { createEventStack } from './event/event-stack.ts';
import { nextGeneration } from './event/generation.ts';
import { Outbox } from './event/outbox.ts';
import { GuestList } from './guest/guest-list.ts';
import { RunState } from './guest/run-state.ts';
import { findTools } from './host/binaries.ts';
import { Cluster } from './host/cluster.ts';
import { readNodeFacts } from './host/facts.ts';
import { HostPaths } from './host/paths.ts';
import { readPackageVersions } from './host/pve-version.ts';
import { createMask } from './inventory/collector.ts';
import type { InventoryParts } from './inventory/collectors.ts';
import { NO_IMAGES } from './inventory/images.ts';
import type { Identity } from './join/identity.ts';
import { requireIdentity } from './join/identity.ts';

/** What every room of a running agent needs. */
export interface AgentCore {
  readonly config: AgentConfigValues;
  readonly identity: Identity;
  readonly paths: HostPaths;
  readonly runner: Runner;
  readonly cluster: Cluster;
  readonly runState: RunState;
  readonly guests: GuestList;
  readonly logger: Logger;
}

function createCore(config: AgentConfigValues, logger: Logger): AgentCore {
  const identity = requireIdentity(config.stateDir);
  const paths = new HostPaths(config.hostRoot);
  const cluster = new Cluster(paths, config.nodeName === '' ? identity.nodeName : config.nodeName);
  const log = config.commandLog === '' ? {} : { commandLog: config.commandLog };
  const runner = createRunner({ path: config.path, logger, ...log });
  const runState = new RunState(paths, systemClock);
  const guests = new GuestList(paths, cluster.nodeName(), runState);
  return { config, identity, paths, runner, cluster, runState, guests, logger };
}

async function inventoryParts(core: AgentCore): Promise<InventoryParts> {
  const { config, identity, paths, runner, cluster, guests } = core;
  const packages = await readPackageVersions(paths, runner);
  return {
    paths,
    runner,
    cluster,
    nodeName: cluster.nodeName(),
    facts: await readNodeFacts(paths),
    packages,
    tools: await findTools(config.path, packages, runner),
    agentVersion: PRODUCT_VERSION,
    agentAddress: config.advertise ?? identity.agentAddress,
    guests,
    containers: { mask: createMask(identity.natsSeed), originOf: () => undefined },
    images: NO_IMAGES,
  };
}

async function createEvents(core: AgentCore): Promise<EventStack> {
  const { config, identity, logger, runState } = core;
  return createEventStack({
    inventory: await inventoryParts(core),
    runState,
    outbox: Outbox.open(join(config.stateDir, 'outbox')),
    bus: {
      url: identity.natsUrl,
      nodeUid: identity.nodeUid,
      ca: identity.caCertificate,
      credentials: () => ({ jwt: identity.natsJwt, seed: new TextEncoder().encode(identity.natsSeed) }),
    },
    generation: nextGeneration(join(config.stateDir, 'generation'), systemClock.now()),
    pollMs: config.pollInterval,
    activeOperations: () => 0,
    clock: systemClock,
    logger,
  });
}

/** A loop that runs until its signal, as a part of the lifecycle. */
function loopPart(run: (signal: AbortSignal) => Promise<void>): { start: () => void; stop: () => Promise<void> } {
  const stop = new AbortController();
  let done: Promise<void> = Promise.resolve();
  return {
    start: () => {
      done = run(stop.signal);
    },
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

/** Runs until a signal; gives the exit code. `reload` reads the configuration anew for the options that may change. */
export async function runAgent(config: AgentConfigValues, reload: () => AgentConfigValues): Promise<number> {
  const level = config.logLevel;
  const logger = createLogger({
    service: 'agent',
    version: PRODUCT_VERSION,
    level,
    syslogPrefix: process.env['JOURNAL_STREAM'] !== undefined,
  });
  const core = createCore(config, logger);
  const lifecycle = new Lifecycle({
    logger,
    notifier: createNotifier({ runner: core.runner, logger, env: process.env }),
  });
  let lock: LockFile | undefined;
  lifecycle.add('lock', {
    start: async () => {
      lock = await acquireLockFile(join(config.stateDir, 'lock'), 'pxmgr-agent');
    },
    stop: async () => {
      await lock?.release();
    },
    reload: () => {
      logger.level = reload().logLevel;
    },
  });
  let events: ReturnType<typeof loopPart> | undefined;
  lifecycle.add('events', {
    start: async () => {
      const stack = await createEvents(core);
      events = loopPart((signal) => stack.run(signal));
      events.start();
    },
    stop: async () => {
      await events?.stop();
    },
  });
  return await lifecycle.run();
}
