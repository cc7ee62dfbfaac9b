/** A real nats-server and the controller's inventory side on a database file: what an agent publishes ends in the view. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashDocument, type InventoryKind, inventorySubject } from '@pxmgr/contract';
import { InventoryDocument } from '@pxmgr/contract/common';
import { InventoryMessage } from '@pxmgr/contract/event';
import { startTestBus, type TestBus } from '@pxmgr/controller/bus/bus.fixture';
import { InventoryConsumer } from '@pxmgr/controller/bus/consume';
import { ensureStreams } from '@pxmgr/controller/bus/streams';
import { describeChange } from '@pxmgr/controller/change/record';
import { Registry } from '@pxmgr/controller/fleet/registry';
import { GapTracker } from '@pxmgr/controller/inventory/gaps';
import { Ingest } from '@pxmgr/controller/inventory/ingest';
import { MetricsBoard } from '@pxmgr/controller/inventory/metrics';
import { View } from '@pxmgr/controller/inventory/view';
import { ObjectWriter } from '@pxmgr/controller/inventory/write-object';
import { ChangeStore } from '@pxmgr/controller/store/changes';
import { CursorStore } from '@pxmgr/controller/store/cursors';
import { NodeStore } from '@pxmgr/controller/store/nodes';
import { ObjectStore } from '@pxmgr/controller/store/objects';
import { openDatabase } from '@pxmgr/controller/store/open';
import { systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { FleetSize, SyntheticNode } from './fleet.ts';
import { synthesise } from './fleet.ts';
import { addMember } from './stage.ts';

export interface Sent {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly revision: bigint;
}

interface Said {
  readonly kind: InventoryKind;
  readonly id: string;
  readonly document: InventoryDocument;
  readonly resync?: boolean;
}

/** Says what a node would say, with revisions that follow each other. */
export class Speaker {
  readonly node: SyntheticNode;
  private revision = 0n;

  constructor(node: SyntheticNode) {
    this.node = node;
  }

  say({ kind, id, document, resync = false }: Said): Sent {
    this.revision += 1n;
    const message = InventoryMessage.create({
      generation: 1n,
      revision: this.revision,
      observedAt: new Date(),
      kind,
      id,
      nodeName: this.node.name,
      document,
      hash: hashDocument(document),
      resync,
    });
    return {
      subject: inventorySubject(this.node.uid, kind, id),
      data: InventoryMessage.encode(message).finish(),
      revision: this.revision,
    };
  }

  /** As an agent that tells of everything for the first time: the beginning of a history, not changes. */
  *all(): IterableIterator<Sent> {
    for (const { kind, id, bytes } of this.node.objects)
      yield this.say({ kind, id, document: InventoryDocument.decode(bytes), resync: true });
  }
}

export interface IngestStage {
  readonly bus: TestBus;
  /** Of its own, as an agent's would be. */
  readonly publisher: Awaited<ReturnType<TestBus['controller']>>;
  readonly speakers: readonly Speaker[];
  readonly view: View;
  /** Starts reading; the database is empty before. */
  read(): void;
  close(): Promise<void>;
}

export async function openIngestStage(size: FleetSize, seed: number): Promise<IngestStage> {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-bench-'));
  const bus = await startTestBus();
  const publisher = await bus.controller();
  const connection = await bus.controller();
  await ensureStreams(connection);
  const database = openDatabase(join(folder, 'controller.db'));
  const [clock, logger] = [systemClock, silentLogger()];
  const registry = new Registry(new NodeStore(database), clock, logger);
  const speakers = [...synthesise(size, seed)].map((node) => new Speaker(node));
  database.transaction(() => {
    for (const { node } of speakers) addMember(registry, node);
  });
  const [objects, changes, cursors] = [new ObjectStore(database), new ChangeStore(database), new CursorStore(database)];
  const view = new View(registry, new MetricsBoard(), objects);
  const nameOf = (uid: string): string | undefined => registry.nameOf(uid);
  const writer = new ObjectWriter({ objects, changes, describe: describeChange, nameOf });
  const gaps = new GapTracker();
  const sink = new Ingest({ database, objects, changes, cursors, writer, gaps, view, clock, logger, nameOf });
  const consumer = new InventoryConsumer({ connection, sink, clock, logger });
  return {
    bus,
    publisher,
    speakers,
    view,
    read: () => {
      consumer.start();
    },
    close: async () => {
      await consumer.stop();
      await bus.close();
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits for a state; the clock of the measurement stops when it is there. */
export async function settled(isThere: () => boolean, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isThere()) {
    if (performance.now() > end) throw new Error(`not there after ${String(limitMs)} ms`);
    await systemClock.sleep(2);
  }
}
