import {
  comparePositions,
  hashManifest,
  INVENTORY_KINDS,
  type InventoryKind,
  isInventoryKind,
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
import { isKindOfDocument } from './message.ts';
import type { View, ViewWrite } from './view.ts';
import type { ObjectWriter } from './write-object.ts';

/** The whole truth of one node for some kinds, from the agent itself. */
export interface NodeInventory {
  readonly generation: bigint;
  readonly revision: bigint;
  readonly objects: readonly InventoryObject[];
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

interface Pending {
  readonly manifest: ManifestMessage;
  readonly receivedMs: number;
}

/**
 * Makes the view true again. Rungs: a hole in the revisions -> read that node's subjects; a manifest that does not
 * agree -> the kind is published anew, then asked for directly; a new generation -> what it did not repeat is gone.
 */
export class Repair {
  readonly #options: RepairOptions;
  readonly #pending = new Map<string, Pending>();
  /** "uid kind" -> how often the agent was asked to publish it anew without success. */
  readonly #asked = new Map<string, number>();
  readonly #busy = new Map<string, Promise<void>>();

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
    for (const uid of this.#options.gaps.due(nowMs, GAP_PATIENCE_MS))
      this.#start(uid, async () => await this.#closeGap(uid));
    for (const [uid, pending] of this.#pending) {
      if (nowMs - pending.receivedMs >= MANIFEST_PATIENCE_MS)
        this.#start(uid, async () => await this.#catchUp(uid, pending.manifest));
    }
  }

  forget(nodeUid: string): void {
    this.#pending.delete(nodeUid);
    for (const key of this.#asked.keys()) if (key.startsWith(`${nodeUid} `)) this.#asked.delete(key);
  }

  /** Resolves when no repair is under way; for stopping. */
  async settle(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  /** One repair per node at a time; failures are told and tried again later. */
  #start(nodeUid: string, work: () => Promise<void>): void {
    if (this.#busy.has(nodeUid)) return;
    const running = work()
      .catch((error: unknown) => {
        this.#options.logger.warn(
          { err: error, uid: nodeUid },
          'a repair of the inventory failed; the next manifest tries again',
        );
      })
      .finally(() => {
        this.#busy.delete(nodeUid);
      });
    this.#busy.set(nodeUid, running);
  }

  async #closeGap(nodeUid: string): Promise<void> {
    const { ingest, sources, gaps } = this.#options;
    ingest.commitRepair(await sources.readSubjects(nodeUid));
    const gap = gaps.giveUp(nodeUid);
    if (gap !== undefined) ingest.recordGap(nodeUid, gap);
  }

  /** The manifest counts messages that did not come: read what there is, then compare whatever is missing. */
  async #catchUp(nodeUid: string, manifest: ManifestMessage): Promise<void> {
    const { ingest, sources, gaps } = this.#options;
    ingest.commitRepair(await sources.readSubjects(nodeUid));
    const known = gaps.highest(nodeUid);
    if (known === undefined || known.generation < manifest.generation) gaps.restore(nodeUid, manifest);
    const gap = gaps.giveUp(nodeUid, manifest);
    if (gap !== undefined) ingest.recordGap(nodeUid, gap);
    this.#check(nodeUid);
  }

  /** Compares when everything that the manifest counts was seen. */
  #check(nodeUid: string): void {
    const pending = this.#pending.get(nodeUid);
    const seen = this.#options.gaps.position(nodeUid);
    if (pending === undefined || seen === undefined || comparePositions(seen, pending.manifest) < 0) return;
    this.#pending.delete(nodeUid);
    if (seen.generation !== pending.manifest.generation) return;
    this.#sweep(nodeUid, pending.manifest);
    const wrong = INVENTORY_KINDS.filter((kind) => this.#differs(nodeUid, kind, pending.manifest));
    for (const kind of INVENTORY_KINDS) if (!wrong.includes(kind)) this.#asked.delete(`${nodeUid} ${kind}`);
    if (wrong.length > 0) this.#start(nodeUid, async () => await this.#mend(nodeUid, wrong));
  }

  /** What an older generation said and this one did not repeat is gone. */
  #sweep(nodeUid: string, manifest: ManifestMessage): void {
    const left = this.#options.objects.olderThan(nodeUid, manifest.generation);
    if (left.length > 0) this.#remove(left, manifest);
  }

  #differs(nodeUid: string, kind: InventoryKind, manifest: ManifestMessage): boolean {
    const { objects } = this.#options;
    if (objects.isTouchedSince(nodeUid, kind, manifest)) return false;
    const told = manifest.kinds.find((entry) => entry.kind === kind);
    const entries = objects.manifest(nodeUid, kind);
    return entries.length !== (told?.count ?? 0) || (told !== undefined && hashManifest(entries) !== told.hash);
  }

  async #mend(nodeUid: string, kinds: readonly InventoryKind[]): Promise<void> {
    const { sources, logger } = this.#options;
    logger.info({ uid: nodeUid, kinds }, 'the inventory of a node differs from what it should be');
    const again = kinds.filter((kind) => (this.#asked.get(`${nodeUid} ${kind}`) ?? 0) > 0);
    for (const kind of kinds) this.#asked.set(`${nodeUid} ${kind}`, (this.#asked.get(`${nodeUid} ${kind}`) ?? 0) + 1);
    if (again.length > 0) this.#reconcile(nodeUid, again, await sources.readInventory(nodeUid, again));
    const first = kinds.filter((kind) => !again.includes(kind));
    if (first.length > 0) await sources.resync(nodeUid, first);
  }

  /** The answer is the truth as of its position: take what it has, remove what it lacks. */
  #reconcile(nodeUid: string, kinds: readonly InventoryKind[], truth: NodeInventory): void {
    const { database, writer, objects, clock, view } = this.#options;
    const recordedAt = clock.now();
    const writes: ViewWrite[] = [];
    database.transaction(() => {
      writes.length = 0;
      for (const object of truth.objects) {
        const observed = toObserved(nodeUid, object, recordedAt);
        if (observed === undefined || !kinds.includes(observed.kind)) continue;
        const write = writer.write(observed, { recordedAt, firstGeneration: undefined, upTo: truth });
        if (write !== undefined) writes.push(write);
      }
    });
    view.write(writes);
    const present = new Set(truth.objects.map((object) => `${object.kind} ${object.id}`));
    const left = kinds
      .flatMap((kind) => objects.ofNodeKind(nodeUid, kind))
      .filter((stored) => !present.has(`${stored.kind} ${stored.id}`) && comparePositions(stored.position, truth) <= 0);
    if (left.length > 0) this.#remove(left, truth);
  }

  #remove(left: readonly StoredObject[], position: Position): void {
    const { database, writer, clock, view } = this.#options;
    const at = clock.now();
    const writes: ViewWrite[] = [];
    database.transaction(() => {
      writes.length = 0;
      for (const stored of left) {
        const write = writer.writeAbsent(stored, position, at);
        if (write !== undefined) writes.push(write);
      }
    });
    view.write(writes);
  }
}

function toObserved(
  nodeUid: string,
  object: InventoryObject,
  receivedAt: Date,
): Parameters<ObjectWriter['write']>[0] | undefined {
  const { kind, id, generation, revision, hash, document } = object;
  if (!isInventoryKind(kind) || !isKindOfDocument(kind, document)) return undefined;
  return {
    nodeUid,
    kind,
    id,
    position: { generation, revision },
    observedAt: object.observedAt ?? receivedAt,
    hash,
    document,
    cause: undefined,
    resync: true,
  };
}
