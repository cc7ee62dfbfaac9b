/** The outward half of the agent in one piece: watcher, feed, outbox, publisher, heartbeat, resync. */
import type { InventoryKind } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { RunState } from '../guest/run-state.ts';
import { readActiveTasks } from '../host/task-list.ts';
import type { Inventory, InventoryParts } from '../inventory/collectors.ts';
import { createInventory } from '../inventory/collectors.ts';
import type { BusSettings } from './bus.ts';
import { BusConnection } from './bus.ts';
import { Causes } from './causes.ts';
import { InventoryFeed } from './changes.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Outbox } from './outbox.ts';
import { Publisher } from './publisher.ts';
import { answerResync } from './resync.ts';
import { View } from './view.ts';
import { HostWatcher } from './watch.ts';

export interface EventStackParts {
  readonly inventory: InventoryParts;
  readonly runState: RunState;
  readonly outbox: Outbox;
  readonly bus: BusSettings;
  readonly generation: bigint;
  readonly pollMs: number;
  readonly activeOperations: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface EventStack {
  readonly feed: InventoryFeed;
  readonly watcher: HostWatcher;
  readonly publisher: Publisher;
  readonly bus: BusConnection;
  readonly heartbeat: Heartbeat;
  /** Publishes kinds anew (all when none is named), then a manifest; gives the number of objects. */
  resync(kinds: readonly InventoryKind[]): number;
  /** Works until the signal; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

function createFeed(parts: EventStackParts, view: View): { feed: InventoryFeed; inventory: Inventory } {
  const { clock, logger, outbox } = parts;
  const { paths } = parts.inventory;
  // The node document tells the failures of the feed that collects it: each needs the other, but not while being made.
  const later: { feed?: InventoryFeed } = {};
  const inventory = createInventory(parts.inventory, {
    failures: () => later.feed?.failures() ?? [],
    onGpuFailure: (error) => later.feed?.noteFailure('nvidia-smi', error),
    onSilence: (source, error) => {
      if (error === undefined) later.feed?.noteSuccess(source);
      else later.feed?.noteFailure(source, error);
    },
  });
  const feed = new InventoryFeed({
    collectors: inventory.collectors,
    oneGuest: (vmid) => inventory.guests.one(vmid),
    view,
    outbox,
    causes: new Causes(clock, () => readActiveTasks(paths)),
    clock,
    logger,
  });
  later.feed = feed;
  return { feed, inventory };
}

export function createEventStack(parts: EventStackParts): EventStack {
  const { clock, logger, outbox, generation, runState } = parts;
  const { paths, nodeName, agentVersion, agentAddress, images } = parts.inventory;
  const { nodeUid } = parts.bus;
  const view = new View();
  const { feed, inventory } = createFeed(parts, view);
  const bus = new BusConnection(parts.bus, clock, logger);
  const publisher = new Publisher({ bus, outbox, view, feed, nodeUid, nodeName, generation, clock, logger });
  const watcher = new HostWatcher({
    paths,
    nodeName,
    runState,
    feed,
    templateFolders: inventory.templateFolders,
    hasGpuChanged: () => inventory.gpus.hasChanged(),
    beforeFullLook: () => {
      inventory.gpus.forget();
      feed.noteSuccess('nvidia-smi');
    },
    pollMs: parts.pollMs,
    clock,
    logger,
  });
  const heartbeat = new Heartbeat({
    bus,
    paths,
    nodeUid,
    nodeName,
    agentVersion,
    agentAddress,
    position: () => publisher.position,
    activeOperations: parts.activeOperations,
    runningContainers: () => watcher.runningContainers(),
    storageSpaces: inventory.storageSpaces,
    clock,
    logger,
  });
  images.onChange(() => {
    feed.touch(['image', 'template']);
  });
  // Otherwise a storage whose server is back would be told as silent until the next timer, minutes later.
  paths.onAnswer(() => {
    feed.touch(['storage', 'template']);
  });
  const resync = (kinds: readonly InventoryKind[]): number => {
    const published = feed.resync(kinds);
    publisher.requestManifest();
    return published;
  };
  bus.onConnection((fresh) => {
    answerResync(fresh, nodeUid, { resync, logger });
  });
  // A controller that has just started knows us after this instead of after the next regular beat.
  bus.onUp(() => {
    heartbeat.beat();
    publisher.resume();
  });
  const run = async (signal: AbortSignal): Promise<void> => {
    await Promise.all([watcher, publisher, heartbeat, bus].map((part) => part.run(signal)));
  };
  return { feed, watcher, publisher, bus, heartbeat, resync, run };
}
