/** For tests: the whole inventory on a database in memory, and an agent that says what it is told to. */
import { hashDocument, hashManifest, INVENTORY_KINDS, type InventoryKind, inventorySubject } from '@pxmgr/contract';
import { ContainerDocument, type InventoryDocument, StorageDocument } from '@pxmgr/contract/common';
import { InventoryMessage, ManifestMessage } from '@pxmgr/contract/event';
import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { BusMessage } from '../bus/consume.ts';
import { describeChange } from '../change/record.ts';
import { Registry } from '../fleet/registry.ts';
import { ChangeStore } from '../store/changes.ts';
import { CursorStore } from '../store/cursors.ts';
import { NodeStore } from '../store/nodes.ts';
import { ObjectStore } from '../store/objects.ts';
import { type Database, openDatabase } from '../store/open.ts';
import { GapTracker } from './gaps.ts';
import { Ingest } from './ingest.ts';
import { MetricsBoard } from './metrics.ts';
import { Repair, type RepairSources } from './repair.ts';
import { View } from './view.ts';
import { ObjectWriter } from './write-object.ts';

export function containerDocument(vmid: number, part: Partial<ContainerDocument> = {}): InventoryDocument {
  return {
    document: {
      $case: 'container',
      value: ContainerDocument.create({ vmid, name: `ct${String(vmid)}`, status: 'stopped', ...part }),
    },
  };
}

export function storageDocument(id: string, part: Partial<StorageDocument> = {}): InventoryDocument {
  return { document: { $case: 'storage', value: StorageDocument.create({ id, type: 'dir', active: true, ...part }) } };
}

/** What an agent would do: counts revisions, remembers its view. */
export class FakeAgent {
  readonly uid: string;
  readonly name: string;
  generation = 1n;
  revision = 0n;
  knownKinds: readonly InventoryKind[] = INVENTORY_KINDS;
  readonly objects = new Map<string, { kind: InventoryKind; id: string; document: InventoryDocument }>();

  constructor(uid: string, name: string) {
    this.uid = uid;
    this.name = name;
  }

  // eslint-disable-next-line @typescript-eslint/max-params -- tests read better so
  say(kind: InventoryKind, id: string, document: InventoryDocument, part: Partial<InventoryMessage> = {}): BusMessage {
    this.objects.set(`${kind} ${id}`, { kind, id, document });
    return this.#message(kind, id, { document, hash: hashDocument(document), ...part });
  }

  gone(kind: InventoryKind, id: string, part: Partial<InventoryMessage> = {}): BusMessage {
    this.objects.delete(`${kind} ${id}`);
    return this.#message(kind, id, { deleted: true, ...part });
  }

  /** Everything again, as after a start. */
  republish(kinds?: readonly InventoryKind[]): BusMessage[] {
    return [...this.objects.values()]
      .filter((object) => kinds?.includes(object.kind) ?? true)
      .map(({ kind, id, document }) => this.say(kind, id, document, { resync: true }));
  }

  restart(): void {
    this.generation += 1n;
    this.revision = 0n;
  }

  manifest(): ManifestMessage {
    const kinds = new Map<string, { id: string; hash: string }[]>(this.knownKinds.map((kind) => [kind, []]));
    for (const { kind, id, document } of this.objects.values())
      kinds.set(kind, [...(kinds.get(kind) ?? []), { id, hash: hashDocument(document) }]);
    return ManifestMessage.create({
      generation: this.generation,
      revision: this.revision,
      kinds: [...kinds].map(([kind, entries]) => ({ kind, count: entries.length, hash: hashManifest(entries) })),
    });
  }

  #message(kind: InventoryKind, id: string, part: Partial<InventoryMessage>): BusMessage {
    this.revision += 1n;
    const message = InventoryMessage.create({
      generation: this.generation,
      revision: this.revision,
      observedAt: new Date('2026-01-01T00:00:01Z'),
      kind,
      id,
      nodeName: this.name,
      ...part,
    });
    return {
      subject: inventorySubject(this.uid, kind, id),
      sequence: 0,
      data: InventoryMessage.encode(message).finish(),
    };
  }
}

export const ALICE = 'n-aaaaaaaaaaaaaaaa';
export const BOB = 'n-bbbbbbbbbbbbbbbb';

export interface TestInventory {
  readonly clock: FakeClock;
  readonly database: Database;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  readonly changes: ChangeStore;
  readonly cursors: CursorStore;
  readonly view: View;
  readonly metrics: MetricsBoard;
  readonly gaps: GapTracker;
  readonly ingest: Ingest;
  readonly repair: Repair;
  readonly alice: FakeAgent;
  readonly bob: FakeAgent;
  /** Delivers messages as one batch; the sequence goes on by itself. */
  deliver(...messages: BusMessage[]): void;
  /** Lets background repairs run. */
  settle(): Promise<void>;
  summaries(): string[];
}

const NO_SOURCES: RepairSources = {
  readSubjects: async () => await Promise.resolve([]),
  resync: async () => await Promise.resolve(),
  readInventory: async () => await Promise.reject(new Error('not expected')),
};

export function createTestInventory(
  sources: Partial<RepairSources> = {},
  database = openDatabase(':memory:'),
): TestInventory {
  const clock = new FakeClock();
  const logger = silentLogger();
  const registry = new Registry(new NodeStore(database), clock, logger);
  for (const [uid, name] of [
    [ALICE, 'alpha'],
    [BOB, 'beta'],
  ] as const) {
    if (!registry.isMember(uid))
      registry.add({
        uid,
        name,
        address: '127.0.0.1:1',
        natsPublicKey: `U${name}`,
        certificateSerial: '01',
        certificateExpiresAt: new Date('2027-01-01'),
        agentVersion: '0',
        joinedAt: clock.now(),
        lastSeenAt: undefined,
        generation: 0n,
        revokedAt: undefined,
      });
  }
  const objects = new ObjectStore(database);
  const changes = new ChangeStore(database);
  const cursors = new CursorStore(database);
  const metrics = new MetricsBoard();
  const view = new View(registry, metrics, objects);
  for (const node of registry.list()) view.load(objects.ofNode(node.uid));
  const gaps = new GapTracker();
  const nameOf = (uid: string): string | undefined => registry.nameOf(uid);
  const writer = new ObjectWriter({ objects, changes, describe: describeChange, nameOf });
  const ingest = new Ingest({ database, objects, changes, cursors, writer, gaps, view, clock, logger, nameOf });
  const repair = new Repair({
    database,
    objects,
    writer,
    ingest,
    gaps,
    view,
    sources: { ...NO_SOURCES, ...sources },
    clock,
    logger,
    isMember: (uid) => registry.isMember(uid),
  });
  let sequence = 0;
  return {
    clock,
    database,
    registry,
    objects,
    changes,
    cursors,
    view,
    metrics,
    gaps,
    ingest,
    repair,
    alice: new FakeAgent(ALICE, 'alpha'),
    bob: new FakeAgent(BOB, 'beta'),
    deliver: (...messages) => {
      sequence += messages.length;
      ingest.commit(messages, { streamCreated: 'today', sequence });
    },
    settle: async () => {
      await clock.advance(0);
      await repair.settle();
    },
    summaries: () =>
      changes
        .list({ limit: 100 })
        .map((change) => `${change.kind} ${change.objectId} ${change.action}: ${change.summary}`),
  };
}
