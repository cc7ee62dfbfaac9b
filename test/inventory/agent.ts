/** One agent: the real feed, outbox, publisher and start counter on a folder of its own; the host is a table. */
import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { Causes } from '@pxmgr/agent/event/causes';
import { type Dirty, everythingDirty, InventoryFeed, nothingDirty } from '@pxmgr/agent/event/changes';
import { nextGeneration } from '@pxmgr/agent/event/generation';
import { Outbox } from '@pxmgr/agent/event/outbox';
import { Publisher } from '@pxmgr/agent/event/publisher';
import { kindsOf } from '@pxmgr/agent/event/resync';
import { Timers } from '@pxmgr/agent/event/timers';
import { View } from '@pxmgr/agent/event/view';
import type { Collector, Observed } from '@pxmgr/agent/inventory/collector';
import { toInventoryObject } from '@pxmgr/agent/rpc/node-view';
import { hashDocument, type InventoryKind, type Position } from '@pxmgr/contract';
import { ResyncInventoryRequest } from '@pxmgr/contract/agent';
import { ContainerDocument, type InventoryDocument, StorageDocument } from '@pxmgr/contract/common';
import type { NodeInventory } from '@pxmgr/controller/inventory/repair';
import type { Clock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { Fates, LATE_MS, type PublishFate, type SimStream } from './stream.ts';

/** Kinds that have objects here: one that is also looked at singly, and one that is only read as a whole. */
export const KINDS = ['container', 'storage'] as const;
export type Kind = (typeof KINDS)[number];
export const ABSENT = 'absent';

export interface AgentParts {
  readonly uid: string;
  readonly name: string;
  readonly folder: string;
  readonly stream: SimStream;
  readonly clock: Clock;
  /** Hears manifests as they are published. */
  readonly onManifest: (uid: string, data: Uint8Array) => void;
}

function documentOf(kind: Kind, id: string, value: number): InventoryDocument {
  const name = `v${String(value)}`;
  if (kind === 'storage')
    return { document: { $case: 'storage', value: StorageDocument.create({ id, type: name, active: true }) } };
  return { document: { $case: 'container', value: ContainerDocument.create({ vmid: Number(id), name }) } };
}

const logger = silentLogger();

/** The value in the document. */
function valueOf({ document }: InventoryDocument): string {
  if (document?.$case === 'container') return document.value.name;
  return document?.$case === 'storage' ? document.value.type : '';
}

interface Life {
  readonly outbox: Outbox;
  readonly feed: InventoryFeed;
  readonly publisher: Publisher;
  readonly timers: Timers;
}

export class SimAgent {
  readonly fates = new Fates<PublishFate>();
  /** What the agent saw of each object, in order, without repetitions. */
  readonly seen = new Map<string, string[]>();
  isOnline = true;
  readonly #parts: AgentParts;
  /** There is always something to say, as a node always has itself. */
  readonly #host = new Map<string, number>([['storage/local', 0]]);
  readonly #failing = new Map<string, number>();
  #life: Life;
  #stepDueMs = 0;
  #hasLooked = false;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#life = this.#begin();
  }

  get uid(): string {
    return this.#parts.uid;
  }

  get position(): Position {
    return this.#life.publisher.position;
  }

  get isIdle(): boolean {
    return this.#life.outbox.size === 0;
  }

  /** "kind/id" -> hash of what is on the host. */
  truth(): Map<string, string> {
    return new Map(
      [...this.#host].map(([key, value]) => {
        const [kind, id] = split(key);
        return [key, hashDocument(documentOf(kind, id, value))];
      }),
    );
  }

  /** The same, of what the agent knows. */
  known(): Map<string, string> {
    return new Map(this.#life.feed.objects().map(({ kind, id, hash }) => [`${kind}/${id}`, hash]));
  }

  set(kind: Kind, id: string, value: number | undefined): void {
    if (value === undefined) this.#host.delete(`${kind}/${id}`);
    else this.#host.set(`${kind}/${id}`, value);
  }

  /** The next readings of a kind fail. */
  failReading(kind: Kind, times: number): void {
    this.#failing.set(kind, times);
  }

  /** Everything works from now on. */
  heal(): void {
    this.isOnline = true;
    this.fates.clear();
    this.#failing.clear();
  }

  /** A new process on the same folder; a killed one may have been writing. */
  restart(tornBytes: number): void {
    const file = join(this.#parts.folder, 'outbox');
    truncateSync(file, Math.max(8, statSync(file).size - tornBytes));
    this.#life = this.#begin();
  }

  #begin(): Life {
    const { folder, clock, uid, name, stream, onManifest } = this.#parts;
    const view = new View();
    const outbox = Outbox.open(join(folder, 'outbox'));
    const feed = new InventoryFeed({
      collectors: [...KINDS.map((kind) => this.#collector(kind)), { kind: 'vm', collect: () => Promise.resolve([]) }],
      oneGuest: (vmid) => {
        this.#mayFail('container');
        const observed = this.#observe('container', String(vmid));
        return [{ kind: 'container', id: String(vmid), observed }];
      },
      view,
      outbox,
      causes: new Causes(clock, () => []),
      clock,
      logger,
    });
    const send = (subject: string, data: Uint8Array, id: string | undefined): void => {
      const fate = this.fates.take();
      if (!this.isOnline) throw new Error('not connected');
      stream.publish({ subject, data, id }, fate);
      if (!subject.startsWith('px.man.')) return;
      onManifest(uid, data);
      // Whoever listens live hears of a doubled one twice, and of an old one after a newer.
      if (fate === 'doubled')
        stream.later(LATE_MS, () => {
          onManifest(uid, data);
        });
    };
    const jetstream = {
      publish: async (subject: string, data?: unknown, options?: { msgID?: string }) => {
        send(subject, data as Uint8Array, options?.msgID);
        return await Promise.resolve({ stream: '', domain: '', seq: 0, duplicate: false });
      },
    };
    const isOnline = (): boolean => this.isOnline;
    const publisher = new Publisher({
      bus: {
        get current() {
          return isOnline() ? { jetstream } : undefined;
        },
      },
      outbox,
      view,
      feed,
      nodeUid: uid,
      nodeName: name,
      generation: nextGeneration(join(folder, 'generation'), clock.now()),
      clock,
      logger,
    });
    this.#stepDueMs = 0;
    return { outbox, feed, publisher, timers: new Timers(clock) };
  }

  #collector(kind: Kind): Collector {
    return {
      kind,
      collect: async () => {
        this.#mayFail(kind);
        const ids = [...this.#host.keys()].filter((key) => key.startsWith(`${kind}/`)).map((key) => split(key)[1]);
        return await Promise.resolve(ids.sort().flatMap((id) => this.#observe(kind, id) ?? []));
      },
    };
  }

  #mayFail(kind: Kind): void {
    const left = this.#failing.get(kind) ?? 0;
    this.#failing.set(kind, left - 1);
    if (left > 0) throw new Error(`${kind} cannot be read`);
  }

  #observe(kind: Kind, id: string): Observed | undefined {
    const value = this.#host.get(`${kind}/${id}`);
    return value === undefined ? undefined : { id, document: documentOf(kind, id, value) };
  }

  /** The watcher noticed a change of this object. */
  async notice(kind: Kind, id: string): Promise<void> {
    const dirty: Dirty = nothingDirty();
    if (kind === 'container') dirty.guests.add(Number(id));
    else dirty.kinds.add(kind);
    await this.#refresh(dirty);
  }

  async #refresh(dirty: Dirty): Promise<void> {
    await this.#life.feed.refresh(dirty);
    this.#remember();
  }

  #remember(): void {
    const { feed } = this.#life;
    const now = new Map(feed.objects().map(({ kind, id, document }) => [`${kind}/${id}`, valueOf(document)]));
    const known = new Set<InventoryKind>(feed.knownKinds());
    for (const [key, hash] of now) this.#see(key, hash);
    for (const key of this.seen.keys()) if (!now.has(key) && known.has(split(key)[0])) this.#see(key, ABSENT);
    if (KINDS.every((kind) => known.has(kind))) this.#hasLooked = true;
  }

  /** What appears after the first whole look was absent before. */
  #see(key: string, state: string): void {
    const states = this.seen.get(key) ?? (this.#hasLooked ? [ABSENT] : []);
    if (states.at(-1) !== state) states.push(state);
    this.seen.set(key, states);
  }

  /** One turn of the agent's loops. */
  async turn(nowMs: number): Promise<void> {
    const { timers, publisher, outbox } = this.#life;
    if (timers.due().has('all')) await this.#refresh(everythingDirty());
    for (let steps = 0; steps < 5; steps += 1) {
      if (nowMs < this.#stepDueMs && outbox.size === 0) return;
      if (nowMs < this.#stepDueMs && !this.#restsForNews) return;
      const { waitMs, forNews } = await publisher.step();
      this.#stepDueMs = nowMs + waitMs;
      this.#restsForNews = forNews;
    }
  }

  #restsForNews = true;

  /** The controller's wish, as it comes over the bus. */
  resync(kinds: readonly InventoryKind[]): void {
    if (!this.isOnline) throw new Error('no responders');
    this.#life.feed.resync(kindsOf(ResyncInventoryRequest.encode({ kinds: [...kinds] }).finish()));
    this.#life.publisher.requestManifest();
    this.#stepDueMs = 0;
  }

  /** GetInventory. */
  inventory(kinds: readonly InventoryKind[]): NodeInventory {
    if (!this.isOnline) throw new Error('cannot be reached');
    const { feed, publisher } = this.#life;
    const view = { nodeUid: this.uid, nodeName: this.#parts.name, position: () => publisher.position };
    const objects = feed
      .objects(kinds)
      .map((entry) => toInventoryObject({ ...view, objects: () => [], resync: () => 0, knownKinds: () => [] }, entry));
    return { ...publisher.position, objects, knownKinds: feed.knownKinds() };
  }
}

function split(key: string): [Kind, string] {
  const [kind, id] = key.split('/') as [Kind, string];
  return [kind, id];
}
