import {
  comparePositions,
  hashManifest,
  type InventoryKind,
  isInventoryKind,
  type ManifestEntry,
  type Position,
} from '@pxmgr/contract';
import type { InventoryObject } from '@pxmgr/contract/common';
import type { ManifestMessage } from '@pxmgr/contract/event';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { BusMessage } from '../bus/consume.ts';
import type { ObjectStore, StoredObject } from '../store/objects.ts';
import type { Database } from '../store/open.ts';
import type { GapTracker } from './gaps.ts';
import type { Ingest } from './ingest.ts';
import { isKindOfDocument, type Observed } from './message.ts';
import type { View, ViewWrite } from './view.ts';
import type { ObjectWriter } from './write-object.ts';

/** The whole truth of one node for some kinds, from the agent itself. */
export interface NodeInventory {
  readonly generation: bigint;
  readonly revision: bigint;
  readonly objects: readonly InventoryObject[];
  /** Kinds whose whole content the agent knows; of others nothing may be concluded from what is missing. */
  readonly knownKinds: readonly string[];
}

/** The rungs that go out of the process. Each may fail; the next manifest tries again. */
export interface RepairSources {
  /** Last message of every object of the node, from the stream. */
  readSubjects(nodeUid: string): Promise<readonly BusMessage[]>;
  /** Asks the agent to publish kinds anew. */
  resync(nodeUid: string, kinds: readonly InventoryKind[]): Promise<void>;
  /** Asks the agent for kinds directly. */
  readInventory(nodeUid: string, kinds: readonly InventoryKind[]): Promise<NodeInventory>;
}

export interface RepairOptions {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly writer: ObjectWriter;
  readonly ingest: Ingest;
  readonly gaps: GapTracker;
  readonly view: View;
  readonly sources: RepairSources;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isMember: (nodeUid: string) => boolean;
}

/** Reordering is over after this. */
const GAP_PATIENCE_MS = 200;
/** A manifest may come before the messages it counts; after this they are lost. */
const MANIFEST_PATIENCE_MS = 3000;
/** A repair that failed is not tried again before this. */
const RETRY_MS = 2000;

interface Pending {
  readonly manifest: ManifestMessage;
  readonly receivedMs: number;
}

/**
 * Makes the view true again. Rungs: a hole in the revisions -> read that node's subjects; a manifest that does not
 * agree -> the kind is published anew, then asked for directly. What an agent did not repeat is removed only when the
 * manifest proves that without it the view is right: a message may be missing because it was lost.
 */
export class Repair {
  readonly #options: RepairOptions;
  readonly #pending = new Map<string, Pending>();
  /** "uid kind" -> the manifest after which the agent was asked to publish it anew. */
  readonly #asked = new Map<string, Position>();
  readonly #busy = new Map<string, Promise<void>>();
  readonly #notBeforeMs = new Map<string, number>();

  constructor(options: RepairOptions) {
    this.#options = options;
    options.ingest.onCommit((uids) => {
      for (const uid of uids) this.#check(uid);
    });
  }

  /** A node says what its view is. */
  takeManifest(nodeUid: string, manifest: ManifestMessage): void {
    if (!this.#options.isMember(nodeUid)) return;
    this.#pending.set(nodeUid, { manifest, receivedMs: this.#options.clock.monotonicMs() });
    this.#check(nodeUid);
  }

  /** To be called several times a second. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const uid of this.#options.gaps.due(nowMs, GAP_PATIENCE_MS)) {
      if (nowMs >= (this.#notBeforeMs.get(uid) ?? 0)) this.#start(uid, async () => await this.#readAndGiveUp(uid));
    }
    for (const [uid, { manifest, receivedMs }] of this.#pending) {
      if (nowMs >= Math.max(receivedMs + MANIFEST_PATIENCE_MS, this.#notBeforeMs.get(uid) ?? 0))
        this.#start(uid, async () => await this.#readAndGiveUp(uid, manifest));
    }
  }

  forget(nodeUid: string): void {
    this.#pending.delete(nodeUid);
    this.#notBeforeMs.delete(nodeUid);
    for (const key of this.#asked.keys()) if (key.startsWith(`${nodeUid} `)) this.#asked.delete(key);
  }

  /** Resolves when no repair is under way; for stopping. */
  async settle(): Promise<void> {
    while (this.#busy.size > 0) await Promise.all(this.#busy.values());
  }

  /** One repair per node at a time; failures are told and tried again later. */
  #start(nodeUid: string, work: () => Promise<void>): void {
    if (this.#busy.has(nodeUid)) return;
    const running = work()
      .then(() => {
        this.#notBeforeMs.delete(nodeUid);
      })
      .catch((error: unknown) => {
        this.#notBeforeMs.set(nodeUid, this.#options.clock.monotonicMs() + RETRY_MS);
        this.#options.logger.warn({ err: error, uid: nodeUid }, 'a repair of the inventory failed and is tried again');
      })
      .finally(() => {
        this.#busy.delete(nodeUid);
        this.#check(nodeUid);
      });
    this.#busy.set(nodeUid, running);
  }

  /** Takes what the stream still has; what it has not (up to the manifest, when one counts it) is lost. */
  async #readAndGiveUp(nodeUid: string, upTo?: Position): Promise<void> {
    const { ingest, sources } = this.#options;
    ingest.commitRepair(await sources.readSubjects(nodeUid));
    ingest.giveUp(nodeUid, upTo);
  }

  /** Compares when everything that the manifest counts was seen, and mends what differs. */
  #check(nodeUid: string): void {
    const manifest = this.#pending.get(nodeUid)?.manifest;
    if (manifest === undefined || this.#busy.has(nodeUid)) return;
    const { gaps } = this.#options;
    if (!gaps.hasReached(nodeUid, manifest)) return;
    this.#pending.delete(nodeUid);
    if (gaps.position(nodeUid)?.generation !== manifest.generation) return;
    const wrong = manifest.kinds.map((told) => told.kind).filter(isInventoryKind);
    const left = wrong.filter((kind) => !this.#settles(nodeUid, kind, manifest));
    if (left.length > 0) this.#start(nodeUid, async () => await this.#mend(nodeUid, left, manifest));
  }

  /** True when the kind is as the manifest says, if need be after removing what the agent did not repeat. */
  #settles(nodeUid: string, kind: InventoryKind, manifest: ManifestMessage): boolean {
    const { objects } = this.#options;
    // Something newer came already; the next manifest counts it.
    if (objects.isTouchedSince(nodeUid, kind, manifest)) return true;
    const told = manifest.kinds.find((entry) => entry.kind === kind);
    const key = `${nodeUid} ${kind}`;
    const agrees = (entries: readonly ManifestEntry[]): boolean =>
      entries.length === told?.count && hashManifest(entries) === told.hash;
    if (!agrees(objects.manifest(nodeUid, kind))) {
      const since = this.#asked.get(key) ?? { generation: manifest.generation, revision: -1n };
      const isRepeated = (stored: StoredObject): boolean => comparePositions(stored.position, since) > 0;
      const all = objects.ofNodeKind(nodeUid, kind);
      if (!agrees(all.filter(isRepeated))) return false;
      this.#remove(
        all.filter((stored) => !isRepeated(stored)),
        manifest,
      );
    }
    this.#asked.delete(key);
    return true;
  }

  async #mend(nodeUid: string, kinds: readonly InventoryKind[], manifest: Position): Promise<void> {
    const { sources, logger } = this.#options;
    logger.info({ uid: nodeUid, kinds }, 'the inventory of a node differs from what it should be');
    const again = kinds.filter((kind) => this.#asked.has(`${nodeUid} ${kind}`));
    const first = kinds.filter((kind) => !again.includes(kind));
    if (first.length > 0) await this.#askAnew(nodeUid, first, manifest);
    if (again.length === 0) return;
    try {
      this.#reconcile(nodeUid, again, await sources.readInventory(nodeUid, again));
    } catch (error) {
      logger.warn({ err: error, uid: nodeUid }, 'the agent could not be asked for its inventory');
      await this.#askAnew(nodeUid, again, manifest);
    }
  }

  async #askAnew(nodeUid: string, kinds: readonly InventoryKind[], after: Position): Promise<void> {
    for (const kind of kinds) this.#asked.set(`${nodeUid} ${kind}`, after);
    await this.#options.sources.resync(nodeUid, kinds);
  }

  /** The answer is the truth as of its position: take what it has, remove what it lacks. */
  #reconcile(nodeUid: string, kinds: readonly InventoryKind[], truth: NodeInventory): void {
    const { database, writer, objects, gaps, clock, view } = this.#options;
    // Another generation has its own manifest to be measured by.
    if (gaps.position(nodeUid)?.generation !== truth.generation) return;
    const whole = kinds.filter((kind) => truth.knownKinds.includes(kind));
    const recordedAt = clock.now();
    const present = new Set(truth.objects.map((object) => `${object.kind} ${object.id}`));
    const left = whole
      .flatMap((kind) => objects.ofNodeKind(nodeUid, kind))
      .filter((stored) => !present.has(`${stored.kind} ${stored.id}`) && comparePositions(stored.position, truth) <= 0);
    const writes = database.transaction(() => {
      const made = truth.objects.map((object) => {
        const observed = toObserved(nodeUid, object, { position: truth, receivedAt: recordedAt });
        if (observed === undefined || !whole.includes(observed.kind)) return undefined;
        return writer.write(observed, { recordedAt, firstGeneration: undefined, upTo: truth });
      });
      return [...made, ...left.map((stored) => writer.writeAbsent(stored, truth, recordedAt))];
    });
    view.write(writes.filter((write): write is ViewWrite => write !== undefined && write !== 'late'));
  }

  #remove(left: readonly StoredObject[], position: Position): void {
    const { database, writer, clock, view } = this.#options;
    const at = clock.now();
    const writes = database.transaction(() => left.map((stored) => writer.writeAbsent(stored, position, at)));
    view.write(writes.filter((write) => write !== undefined));
  }
}

/** At the position of the whole answer: the state may be newer than its last publication, and is never older. */
function toObserved(
  nodeUid: string,
  object: InventoryObject,
  { position, receivedAt }: { readonly position: Position; readonly receivedAt: Date },
): Observed | undefined {
  const { kind, id, hash, document } = object;
  if (!isInventoryKind(kind) || !isKindOfDocument(kind, document)) return undefined;
  return {
    nodeUid,
    kind,
    id,
    position: { generation: position.generation, revision: position.revision },
    observedAt: object.observedAt ?? receivedAt,
    hash,
    document,
    cause: undefined,
    resync: true,
  };
}
