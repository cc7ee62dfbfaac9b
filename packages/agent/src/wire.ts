/**
 * Composition root: builds every object of a running agent from the configuration and the stored identity, and says in
 * which order they start and stop. No decisions are made here.
 */
import { join } from 'node:path';
import { PRODUCT_VERSION } from '@pxmgr/contract';
import { systemClock } from '@pxmgr/kit/clock';
import { explainError } from '@pxmgr/kit/error/explain';
import type { Runner } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import type { LockFile } from '@pxmgr/kit/fs/lock-file';
import { acquireLockFile } from '@pxmgr/kit/fs/lock-file';
import { Lifecycle } from '@pxmgr/kit/lifecycle/lifecycle';
import { createNotifier } from '@pxmgr/kit/lifecycle/notify';
import { forStderr } from '@pxmgr/kit/log/journal';
import type { Logger } from '@pxmgr/kit/log/logger';
import { createLogger } from '@pxmgr/kit/log/logger';
import { requireFree } from '@pxmgr/kit/rpc/listen';
import { createRpcServer } from '@pxmgr/kit/rpc/server';
import type { TlsMaterial } from '@pxmgr/kit/rpc/tls';
import type { AgentConfigValues } from './config.ts';
import { AUTODEV_HOOK, installAutodevHook } from './device/autodev.ts';
import { Authorship } from './event/authorship.ts';
import type { BusSettings } from './event/bus.ts';
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
import type { InventoryParts } from './inventory/collectors.ts';
import { createMask } from './inventory/mask.ts';
import type { Identity } from './join/identity.ts';
import { requireIdentity } from './join/identity.ts';
import { Renewal } from './join/renewal.ts';
import { authoriseAgentCall } from './rpc/authorise.ts';
import { addServices } from './rpc/services.ts';
import type { WorkStack } from './rpc/work-stack.ts';
import { createWorkStack } from './rpc/work-stack.ts';
import { serveSelfMetrics } from './self-metrics.ts';
import { markFormat, requireKnownFormat } from './state-format.ts';

/** What every room of a running agent needs. */
interface AgentCore {
  readonly config: AgentConfigValues;
  readonly identity: Identity;
  readonly nodeName: string;
  readonly paths: HostPaths;
  readonly runner: Runner;
  readonly cluster: Cluster;
  readonly runState: RunState;
  readonly logger: Logger;
  /** Ends the process at once. */
  readonly crash: (error: unknown) => never;
}

function createCore(config: AgentConfigValues, parts: Pick<AgentCore, 'logger' | 'crash'>): AgentCore {
  const { logger } = parts;
  const identity = requireIdentity(config.stateDir);
  const paths = new HostPaths(config.hostRoot);
  const nodeName = config.nodeName === '' ? identity.nodeName : config.nodeName;
  const cluster = new Cluster(paths, nodeName);
  const log = config.commandLog === '' ? {} : { commandLog: config.commandLog };
  const runner = createRunner({ path: config.path, logger, ...log });
  return { ...parts, config, identity, nodeName, paths, runner, cluster, runState: new RunState(paths, systemClock) };
}

async function inventoryParts(core: AgentCore, work: WorkStack): Promise<InventoryParts> {
  const { config, identity, nodeName, paths, runner, cluster, runState } = core;
  const packages = await readPackageVersions(paths, runner);
  return {
    paths,
    runner,
    cluster,
    nodeName,
    facts: await readNodeFacts(paths),
    packages,
    tools: await findTools(config.path, packages, runner),
    agentVersion: PRODUCT_VERSION,
    agentAddress: config.advertise ?? identity.agentAddress,
    guests: new GuestList(paths, nodeName, runState),
    containers: { mask: createMask(identity.natsSeed), originOf: (uid) => work.guests.records.originOf(uid) },
    images: work.images,
    recovering: () => work.store.settling(),
  };
}

function activeOperations(work: WorkStack): number {
  return work.store.list({ activeOnly: true, limit: 0 }).length;
}

function busSettings(identity: Identity): BusSettings {
  const { natsUrl: url, nodeUid, caCertificate: ca, natsJwt: jwt, natsSeed: seed } = identity;
  return { url, nodeUid, ca, credentials: () => ({ jwt, seed }) };
}

function tlsOf(identity: Identity): TlsMaterial {
  return { ca: identity.caCertificate, cert: identity.certificate, key: identity.privateKey };
}

async function createEvents(core: AgentCore, work: WorkStack, outbox: Outbox): Promise<EventStack> {
  const { config, identity, logger, runState } = core;
  return createEventStack({
    inventory: await inventoryParts(core, work),
    runState,
    outbox,
    bus: busSettings(identity),
    generation: nextGeneration(join(config.stateDir, 'generation'), systemClock.now()),
    pollMs: config.pollInterval,
    activeOperations: () => activeOperations(work),
    clock: systemClock,
    logger,
  });
}

interface AgentParts {
  readonly work: WorkStack;
  readonly events: EventStack;
  readonly outbox: Outbox;
}

/** Work and events need each other: operations name the authors of changes, events publish what operations made. */
async function createParts(core: AgentCore): Promise<AgentParts> {
  const { config, identity, paths, cluster, runState, runner, logger, crash } = core;
  const later: { authorship?: Authorship; events?: EventStack } = {};
  const work = await createWorkStack({
    options: config,
    nodeUid: identity.nodeUid,
    paths,
    cluster,
    runState,
    runner,
    clock: systemClock,
    logger,
    onOperationBegin: (operation, actor) => later.authorship?.begin(operation, actor),
    onOperationEnd: (operation) => later.authorship?.end(operation),
    onRecovering: () => later.events?.feed.touch(['node']),
    onJournalFailure: crash,
  });
  const outbox = Outbox.open(join(config.stateDir, 'outbox'));
  const events = await createEvents(core, work, outbox);
  later.authorship = new Authorship(events.feed);
  later.events = events;
  return { work, events, outbox };
}

function createServer(core: AgentCore, { work, events }: AgentParts): ReturnType<typeof createRpcServer> {
  const { identity, nodeName, logger } = core;
  const server = createRpcServer({ logger, program: 'pxmgr-agent', authorise: authoriseAgentCall });
  return addServices(server, work, {
    nodeUid: identity.nodeUid,
    nodeName,
    position: () => events.publisher.position,
    objects: (kinds) => events.feed.objects(kinds),
    knownKinds: () => events.feed.knownKinds(),
    resync: (kinds) => events.resync(kinds),
  });
}

/** Start order: publish what is there, take over what a crash left, then take orders. Stopping goes the other way round. */
class RunningAgent {
  readonly #core: AgentCore;
  readonly #stop = new AbortController();
  #lock: LockFile | undefined;
  #parts: AgentParts | undefined;
  #server: ReturnType<typeof createRpcServer> | undefined;
  #stopMetrics: () => Promise<void> = () => Promise.resolve();
  #publishing: Promise<void> = Promise.resolve();
  #renewing: Promise<void> = Promise.resolve();

  constructor(core: AgentCore) {
    this.#core = core;
  }

  async start(): Promise<void> {
    const { config, identity, logger } = this.#core;
    this.#lock = await acquireLockFile(join(config.stateDir, 'lock'), 'pxmgr-agent');
    await markFormat(config.stateDir);
    await requireFree(config.listen);
    this.#parts = await createParts(this.#core);
    this.#publishing = this.#parts.events.run(this.#stop.signal);
    await this.#installHook();
    await this.#parts.work.recover();
    this.#server = createServer(this.#core, this.#parts);
    await this.#serveMetrics(this.#parts);
    const port = await this.#server.listen({ address: config.listen, tls: tlsOf(identity) });
    this.#parts.events.heartbeat.tellServing();
    logger.info({ address: config.listen, port, uid: identity.nodeUid }, 'serving the controller');
    this.#renewing = this.#renew(this.#parts);
  }

  /** Only guests with a GPU need it: an agent that cannot write there refuses those, and does everything else. */
  async #installHook(): Promise<void> {
    const { paths, logger } = this.#core;
    try {
      if (await installAutodevHook(paths)) logger.info({ path: AUTODEV_HOOK }, 'hook for GPU nodes installed');
    } catch (error) {
      logger.warn({ err: error, path: AUTODEV_HOOK }, 'hook for GPU nodes cannot be installed');
    }
  }

  /** Certificate and bus credentials change while everything goes on. */
  async #renew({ events }: AgentParts): Promise<void> {
    const { config, identity, logger } = this.#core;
    const apply = (renewed: Identity): void => {
      this.#server?.reloadTls(tlsOf(renewed));
      events.bus.replace(busSettings(renewed));
    };
    const renewal = new Renewal({ stateDir: config.stateDir, identity, apply, clock: systemClock, logger });
    await renewal.run(this.#stop.signal);
  }

  async #serveMetrics({ outbox, events, work }: AgentParts): Promise<void> {
    const listen = this.#core.config.metricsListen;
    if (listen === '') return;
    this.#stopMetrics = await serveSelfMetrics({
      listen,
      outbox,
      feed: events.feed,
      activeOperations: () => activeOperations(work),
    });
  }

  /** Also after a start that failed half-way. */
  async stop(): Promise<void> {
    await this.#server?.stop(STOP_CALLS_MS);
    await this.#parts?.work.stop();
    await this.#stopMetrics();
    this.#stop.abort();
    await Promise.all([this.#publishing, this.#renewing]);
    await this.#lock?.release();
  }
}

/** Calls that still run may finish within this time. */
const STOP_CALLS_MS = 5_000;

/** Runs until a signal; gives the exit code. `reload` reads the configuration anew for the options that may change. */
export async function runAgent(config: AgentConfigValues, reload: () => AgentConfigValues): Promise<number> {
  const logger = createLogger({
    service: 'agent',
    version: PRODUCT_VERSION,
    level: config.logLevel,
    syslogPrefix: process.env['JOURNAL_STREAM'] !== undefined,
  });
  requireKnownFormat(config.stateDir);
  const core = createCore(config, { logger, crash: (error) => lifecycle.crash(error) });
  const notifier = createNotifier({ runner: core.runner, logger, env: process.env });
  const lifecycle: Lifecycle = new Lifecycle({
    logger,
    notifier,
    report: (error) => void process.stderr.write(forStderr(explainError(error), process.env)),
  });
  const agent = new RunningAgent(core);
  lifecycle.add('agent', {
    start: async () => {
      try {
        await agent.start();
      } catch (error) {
        await agent.stop();
        throw error;
      }
    },
    stop: () => agent.stop(),
    reload: () => {
      logger.level = reload().logLevel;
    },
  });
  return await lifecycle.run();
}
