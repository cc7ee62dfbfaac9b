import { join } from 'node:path';
import type { Operation } from '@pxmgr/contract/common';
import { type Clock, createIdSource } from '@pxmgr/kit/clock';
import type { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Logger } from '@pxmgr/kit/log/logger';
import { readGpus } from '../device/gpu.ts';
import { ExecRecords } from '../guest/exec-records.ts';
import { GuestFiles } from '../guest/guest-file.ts';
import { GuestRecords } from '../guest/guest-records.ts';
import type { GuestParts } from '../guest/parts.ts';
import type { RunState } from '../guest/run-state.ts';
import type { Cluster } from '../host/cluster.ts';
import type { HostPaths } from '../host/paths.ts';
import { BlobCache } from '../image/blob-cache.ts';
import type { PullParts } from '../image/pull.ts';
import { ImageResolver } from '../image/resolve.ts';
import { prepareSkopeo } from '../image/setup.ts';
import { TemplateStore } from '../image/template-store.ts';
import { Fence } from '../operation/fence.ts';
import { OperationStore } from '../operation/operation-store.ts';
import { PveTasks } from '../operation/pve-task.ts';
import { OperationQueue } from '../operation/queue.ts';
import type { RecoveryRule } from '../operation/settle.ts';
import type { ImageServiceParts } from './image.ts';
import { recover, recoveryRules } from './recovery.ts';

export interface WorkStackOptions {
  readonly stateDir: string;
  readonly templateStorage: string;
  /** Bytes. */
  readonly imageCacheSize: number;
  readonly registryAuthFile: string;
  readonly insecureRegistries: readonly string[];
  readonly signaturePolicyFile: string;
}

export interface WorkStackParts {
  readonly options: WorkStackOptions;
  readonly nodeUid: string;
  readonly paths: HostPaths;
  readonly cluster: Cluster;
  readonly runState: RunState;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when the work of an operation begins, with who ordered it. */
  readonly onOperationBegin?: (operation: Operation, actor: string) => void;
  /** Called at the end of each operation; the place to ask for a fresh look at what it changed. */
  readonly onOperationEnd?: (operation: Operation) => void;
  /** Called when what is being recovered has changed. */
  readonly onRecovering?: () => void;
  /** Called when a journal cannot be written; see OperationStoreParts. */
  readonly onJournalFailure: (error: PxmError) => never;
}

/** The inward half of the agent in one piece: operations, images, guests. */
export interface WorkStack {
  readonly store: OperationStore;
  readonly fence: Fence;
  readonly guests: GuestParts;
  /** For the inventory: what is pulled. */
  readonly images: TemplateStore;
  readonly image: ImageServiceParts;
  /** Takes over what an earlier process left unfinished, before the services listen; `ended` when all of it has ended. */
  recover(): Promise<{ ended: Promise<void> }>;
  /** Cancels and undoes what runs. */
  stop(): Promise<void>;
}

/** Operations that may run at once, and wait. */
const RUNNING_LIMIT = 8;
const WAITING_LIMIT = 256;

export async function createWorkStack(parts: WorkStackParts): Promise<WorkStack> {
  const { options, paths, cluster, logger } = parts;
  const node = cluster.nodeName();
  const images = new TemplateStore(join(options.stateDir, 'images', 'records'), paths);
  await images.load();
  const records = new GuestRecords(join(options.stateDir, 'guests.json'));
  await records.load();
  const execs = new ExecRecords(join(options.stateDir, 'execs'));
  const guests = guestParts(parts, { images, records, execs });
  const pull = await pullParts(parts, images);
  const rules = recoveryRules(guests, pull);
  const store = newStore(parts, rules);
  const stopped = new AbortController();
  const { templateStorage, imageCacheSize: cacheBytes, stateDir } = options;
  return {
    store,
    fence: new Fence(join(stateDir, 'fence.json'), node, (path, error) => {
      logger.error({ path, err: error }, 'what orders were seen cannot be read and was put aside');
    }),
    guests,
    images,
    image: { pull, runner: parts.runner, store, templateStorage, cacheBytes },
    recover: () => recover({ store, rules, guests, pull, stateDir, logger, signal: stopped.signal }),
    stop: async () => {
      stopped.abort();
      await store.stop();
    },
  };
}

function guestParts(
  { paths, cluster, runState, runner, clock, logger }: WorkStackParts,
  made: Pick<GuestParts, 'images' | 'records' | 'execs'>,
): GuestParts {
  const gpus = () =>
    readGpus(paths, runner, (error) => {
      logger.warn({ err: error }, 'memory of a GPU is not known');
    });
  const files = new GuestFiles(paths, cluster.nodeName());
  return { ...made, paths, cluster, files, runState, tasks: new PveTasks(paths), runner, clock, gpus };
}

function newStore(parts: WorkStackParts, rules: ReadonlyMap<string, RecoveryRule>): OperationStore {
  const { options, cluster, runner, clock, logger } = parts;
  const node = cluster.nodeName();
  return new OperationStore({
    directory: join(options.stateDir, 'operations'),
    clock,
    ids: createIdSource(clock),
    runner,
    queue: new OperationQueue({ running: RUNNING_LIMIT, waiting: WAITING_LIMIT, node }),
    node: { uid: parts.nodeUid, name: node },
    rules,
    cluster,
    onSettling: () => parts.onRecovering?.(),
    onJournalFailure: parts.onJournalFailure,
    onBegin: (operation, actor) => {
      logger.info({ op: operation.id, kind: operation.kind, actor }, 'operation begins');
      parts.onOperationBegin?.(operation, actor);
    },
    onEnd: (operation) => {
      logEnd(logger, operation);
      parts.onOperationEnd?.(operation);
    },
    onDamage: (path, error) => {
      logger.error({ path, err: error }, 'a journal cannot be understood and was put aside: look at what it was about');
    },
  });
}

async function pullParts({ options, paths, cluster, clock }: WorkStackParts, store: TemplateStore): Promise<PullParts> {
  const directory = join(options.stateDir, 'images');
  const setup = await prepareSkopeo({
    directory,
    registryAuthFile: options.registryAuthFile,
    insecureRegistries: options.insecureRegistries,
    policyFile: options.signaturePolicyFile,
  });
  const resolver = new ImageResolver(setup, clock);
  return { setup, resolver, cache: new BlobCache(directory), store, paths, cluster, clock };
}

function logEnd(logger: Logger, operation: Operation): void {
  const fields = { op: operation.id, kind: operation.kind, ...(operation.vmid === 0 ? {} : { vmid: operation.vmid }) };
  const { problem } = operation;
  if (problem === undefined) logger.info(fields, 'operation ended');
  else
    logger.info(
      { ...fields, err: { code: problem.code, message: problem.message, chain: problem.causes } },
      'operation failed',
    );
}
