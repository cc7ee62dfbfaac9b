import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Operation } from '@pxmgr/contract/common';
import { type Clock, createIdSource } from '@pxmgr/kit/clock';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Logger } from '@pxmgr/kit/log/logger';
import { readGpus } from '../device/gpu.ts';
import { changeRecoveries } from '../guest/change/change.ts';
import { removeStaleEdits } from '../guest/edit.ts';
import { GuestFiles } from '../guest/guest-file.ts';
import { GuestRecords } from '../guest/guest-records.ts';
import type { GuestParts } from '../guest/parts.ts';
import type { RunState } from '../guest/run-state.ts';
import { createRecovery } from '../guest/undo-create.ts';
import { verbRecovery } from '../guest/verb-recovery.ts';
import type { Cluster } from '../host/cluster.ts';
import type { HostPaths } from '../host/paths.ts';
import { readStorages, templateDir } from '../host/storage-cfg.ts';
import { removeStaleArchives } from '../image/archive.ts';
import { BlobCache } from '../image/blob-cache.ts';
import { ImageResolver } from '../image/resolve.ts';
import { prepareSkopeo } from '../image/setup.ts';
import { TemplateStore } from '../image/template-store.ts';
import { Fence } from '../operation/fence.ts';
import { OperationStore } from '../operation/operation-store.ts';
import { PveTasks } from '../operation/pve-task.ts';
import { OperationQueue } from '../operation/queue.ts';
import { type RecoveryRule, recoverAll } from '../operation/recover.ts';
import type { ImageServiceParts } from './image.ts';

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
}

/** The inward half of the agent in one piece: operations, images, guests. */
export interface WorkStack {
  readonly store: OperationStore;
  readonly fence: Fence;
  readonly guests: GuestParts;
  readonly records: GuestRecords;
  /** For the inventory: what is pulled. */
  readonly images: TemplateStore;
  readonly image: ImageServiceParts;
  /** Ends what an earlier process left unfinished; before the services listen. */
  recover(): Promise<void>;
  /** Cancels and undoes what runs. */
  stop(): Promise<void>;
}

/** Operations that may run at once, and wait. */
const RUNNING_LIMIT = 8;
const WAITING_LIMIT = 256;

export async function createWorkStack(parts: WorkStackParts): Promise<WorkStack> {
  const { options, paths, cluster, runState, runner, clock, logger } = parts;
  const node = cluster.nodeName();
  const images = new TemplateStore(join(options.stateDir, 'images', 'records'), paths);
  await images.load();
  const records = new GuestRecords(join(options.stateDir, 'guests.json'));
  await records.load();
  const store = new OperationStore({
    directory: join(options.stateDir, 'operations'),
    clock,
    ids: createIdSource(clock),
    runner,
    queue: new OperationQueue({ running: RUNNING_LIMIT, waiting: WAITING_LIMIT, node }),
    node: { uid: parts.nodeUid, name: node },
    onBegin: (operation, actor) => {
      logger.info({ op: operation.id, kind: operation.kind, actor }, 'operation begins');
      parts.onOperationBegin?.(operation, actor);
    },
    onEnd: (operation) => {
      logEnd(logger, operation);
      parts.onOperationEnd?.(operation);
    },
  });
  const gpus = () =>
    readGpus(paths, runner, (error) => {
      logger.warn({ err: error }, 'memory of a GPU is not known');
    });
  const guests: GuestParts = {
    paths,
    cluster,
    files: new GuestFiles(paths, node),
    runState,
    tasks: new PveTasks(paths),
    images,
    runner,
    clock,
    gpus,
  };
  const image = await imageParts(parts, { images, store });
  return {
    store,
    fence: new Fence(join(options.stateDir, 'fence.json'), node),
    guests,
    records,
    images,
    image,
    recover: () => recover(parts, { store, guests, image }),
    stop: () => store.stop(),
  };
}

async function imageParts(
  parts: WorkStackParts,
  made: { images: TemplateStore; store: OperationStore },
): Promise<ImageServiceParts> {
  const { options, paths, cluster, runner, clock } = parts;
  const directory = join(options.stateDir, 'images');
  const setup = await prepareSkopeo({
    directory,
    registryAuthFile: options.registryAuthFile,
    insecureRegistries: options.insecureRegistries,
    policyFile: options.signaturePolicyFile,
  });
  const pull = {
    setup,
    resolver: new ImageResolver(setup, clock),
    cache: new BlobCache(directory),
    store: made.images,
    paths,
    cluster,
    clock,
  };
  return {
    pull,
    runner,
    store: made.store,
    templateStorage: options.templateStorage,
    cacheBytes: options.imageCacheSize,
  };
}

async function recover(
  { paths, logger }: WorkStackParts,
  made: { store: OperationStore; guests: GuestParts; image: ImageServiceParts },
): Promise<void> {
  const { store, guests, image } = made;
  const unfinished = await store.load();
  if (unfinished.length > 0)
    logger.warn(
      { operations: unfinished.map((one) => one.operation.id) },
      'ending operations that a crash interrupted',
    );
  const rules = new Map<string, RecoveryRule>([
    ['container.create', createRecovery(guests)],
    ...(['start', 'shutdown', 'stop', 'destroy'] as const).map(
      (verb) => [`container.${verb}`, verbRecovery(guests, verb)] as const,
    ),
    ...changeRecoveries(guests),
    [
      'image.pull',
      async (replay) => {
        // Whole blobs stay: the next pull of the image needs less.
        const digest = replay.effects.find((effect) => effect.name === 'image.fetch')?.data['digest'];
        if (digest !== undefined) await image.pull.cache.dropLayout(digest);
        return { outcome: 'undone' };
      },
    ],
  ]);
  await recoverAll(store, unfinished, rules);
  await removeLeftovers(paths, { guests, image });
}

/** Temporary files that no journal needs any more: nothing runs yet, so none is in use. */
async function removeLeftovers(
  paths: HostPaths,
  { guests, image }: { guests: GuestParts; image: ImageServiceParts },
): Promise<void> {
  await removeStaleEdits(paths, guests.files.node);
  for (const storage of readStorages(paths)) {
    const folder = storage.type === 'dir' ? templateDir(storage) : undefined;
    if (folder !== undefined) await removeStaleArchives(paths.at(folder), () => false);
  }
  await rm(image.pull.cache.scratchDir, { recursive: true, force: true });
  await image.pull.cache.prepare();
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
