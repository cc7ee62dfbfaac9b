/**
 * fleet/: the agents. Who they are (CA, tokens, join), whether they live (presence), how to call them (dial, fan-out).
 * Knows nothing of inventory contents or SQL: it is handed small store interfaces. Never calls a node that is down.
 */
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Logger } from '@pxmgr/kit/log/logger';
import { type NodeRecord, type NodeSighting, type Presence, presenceFromSilence } from '../domain/node-state.ts';
import { Attention } from './attention.ts';

/** Durable side of the registry. */
export interface NodeRecords {
  list(): NodeRecord[];
  put(node: NodeRecord): void;
  see(sighting: NodeSighting): void;
  revoke(uid: string, at: Date): boolean;
  attend(until: Date): void;
  attendedUntil(): Date | undefined;
}

/** The parts of a heartbeat that matter here. */
export interface SignOfLife {
  readonly generation: bigint;
  /** Empty while the agent takes no orders yet. */
  readonly address: string;
  readonly agentVersion: string;
}

/** A node with its presence now. */
export interface KnownNode extends NodeRecord {
  readonly presence: Presence;
}

export type PresenceListener = (node: KnownNode, before: Presence) => void;
export type ServingListener = (node: KnownNode) => void;

interface Entry {
  record: NodeRecord;
  /** Last sign of life on the scale of `Attention.listenedMs`: before the start of this process it is negative. */
  heardMs: number | undefined;
  /** Of the last agent that was heard of with an address. */
  servingGeneration: bigint;
  /** Presence last told to listeners. */
  told: Presence;
  unsaved: boolean;
}

/** Known agents: identity, generation, last seen, presence. */
export class Registry {
  readonly #records: NodeRecords;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  #revision = 0;
  readonly #listeners = new Set<PresenceListener>();
  readonly #servingListeners = new Set<ServingListener>();
  readonly #attention: Attention;

  constructor(records: NodeRecords, clock: Clock, logger: Logger) {
    this.#records = records;
    this.#clock = clock;
    this.#logger = logger;
    this.#attention = new Attention(clock);
    const until = records.attendedUntil();
    for (const record of records.list()) this.#remember(record, heardBeforeMs(record, until));
  }

  /** False while the bus is away: then presence stays as it is. */
  get isListening(): boolean {
    return this.#attention.isListening;
  }

  /** The bus answers now. Without this about once a second no node is ever called silent. */
  attend(): void {
    this.#attention.prove();
  }

  /** Another number than before when a node joined, left, or was told to be up, silent or down. */
  get revision(): number {
    return this.#revision;
  }

  /** Nodes of the fleet, revoked ones left out, sorted by name. */
  list(): KnownNode[] {
    const live = [...this.#entries.values()].filter((entry) => entry.record.revokedAt === undefined);
    return live.map((entry) => this.#known(entry)).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** By uid or name; revoked nodes are not found. */
  find(key: string): KnownNode | undefined {
    const entry =
      this.#live(key) ??
      [...this.#entries.values()].find((other) => other.record.name === key && other.record.revokedAt === undefined);
    return entry === undefined ? undefined : this.#known(entry);
  }

  /** Errors: PXM_NODE_NOT_FOUND. */
  get(key: string): KnownNode {
    const node = this.find(key);
    if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    return node;
  }

  isMember(uid: string): boolean {
    return this.#live(uid) !== undefined;
  }

  isRevoked(uid: string): boolean {
    return this.#entries.get(uid)?.record.revokedAt !== undefined;
  }

  /** Name of a member; undefined for strangers. Cheap: it is asked for every message. */
  nameOf(uid: string): string | undefined {
    return this.#live(uid)?.record.name;
  }

  /** Stores a node that joined, or joined anew with the same key. */
  add(record: NodeRecord): void {
    this.#records.put(record);
    const heardMs = this.#entries.get(record.uid)?.heardMs;
    this.#remember(record, heardMs);
  }

  /** Errors: PXM_NODE_NOT_FOUND. Afterwards the uid can never come back. */
  revoke(key: string): NodeRecord {
    const { uid } = this.get(key);
    const at = this.#clock.now();
    this.#records.revoke(uid, at);
    const entry = this.#entries.get(uid);
    if (entry === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    entry.record = { ...entry.record, revokedAt: at };
    this.#revision += 1;
    return entry.record;
  }

  /** Public NATS keys of all revoked nodes with the time of revocation. */
  revokedKeys(): { natsPublicKey: string; at: Date }[] {
    const found: { natsPublicKey: string; at: Date }[] = [];
    for (const { record } of this.#entries.values()) {
      if (record.revokedAt !== undefined) found.push({ natsPublicKey: record.natsPublicKey, at: record.revokedAt });
    }
    return found;
  }

  /** False for strangers and revoked nodes; their words change nothing. */
  hear(uid: string, sign: SignOfLife): boolean {
    const entry = this.#live(uid);
    if (entry === undefined) return false;
    const isFirst = entry.record.lastSeenAt === undefined;
    const { generation, address, agentVersion } = sign;
    entry.heardMs = this.#attention.listenedMs;
    entry.record = {
      ...entry.record,
      lastSeenAt: this.#clock.now(),
      generation: generation > entry.record.generation ? generation : entry.record.generation,
      address: address === '' ? entry.record.address : address,
      agentVersion: agentVersion === '' ? entry.record.agentVersion : agentVersion,
    };
    entry.unsaved = true;
    // Otherwise a controller killed soon would take it for a node that never came.
    if (isFirst) this.save();
    this.#tell(entry);
    if (address !== '') this.#noteServing(entry, generation);
    return true;
  }

  /** Notices silence; to be called about once a second. */
  sweep(): void {
    for (const entry of this.#entries.values()) if (entry.record.revokedAt === undefined) this.#tell(entry);
  }

  /** Writes what heartbeats changed since the last call; the caller wraps it in a transaction. */
  save(): number {
    if (this.isListening) this.#records.attend(this.#clock.now());
    let saved = 0;
    for (const entry of this.#entries.values()) {
      const { uid, lastSeenAt, generation, address, agentVersion } = entry.record;
      if (!entry.unsaved || lastSeenAt === undefined) continue;
      this.#records.see({ uid, lastSeenAt, generation, address, agentVersion });
      entry.unsaved = false;
      saved += 1;
    }
    return saved;
  }

  /** Called after each change of presence. Returns the way out. */
  onPresence(listener: PresenceListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called once for each agent that was started anew, when it takes orders. Returns the way out. */
  onServing(listener: ServingListener): () => void {
    this.#servingListeners.add(listener);
    return () => this.#servingListeners.delete(listener);
  }

  #noteServing(entry: Entry, generation: bigint): void {
    if (generation <= entry.servingGeneration) return;
    entry.servingGeneration = generation;
    for (const listener of this.#servingListeners) listener(this.#known(entry));
  }

  #remember(record: NodeRecord, heardMs?: number): void {
    const entry: Entry = { record, heardMs, servingGeneration: -1n, told: 'joined', unsaved: false };
    entry.told = this.#presenceOf(entry);
    this.#entries.set(record.uid, entry);
    this.#revision += 1;
  }

  #live(uid: string): Entry | undefined {
    const entry = this.#entries.get(uid);
    return entry?.record.revokedAt === undefined ? entry : undefined;
  }

  #known(entry: Entry): KnownNode {
    return { ...entry.record, presence: this.#presenceOf(entry) };
  }

  #presenceOf(entry: Entry): Presence {
    return presenceFromSilence(entry.heardMs === undefined ? undefined : this.#attention.listenedMs - entry.heardMs);
  }

  #tell(entry: Entry): void {
    const now = this.#presenceOf(entry);
    const before = entry.told;
    if (now === before) return;
    entry.told = now;
    this.#revision += 1;
    this.#logger.info({ node: entry.record.name, from: before, to: now }, 'presence of a node changed');
    for (const listener of this.#listeners) listener(this.#known(entry), before);
  }
}

/** How long before this process a node was last heard of, as far as somebody listened; undefined when it never was. */
function heardBeforeMs({ lastSeenAt }: NodeRecord, attendedUntil: Date | undefined): number | undefined {
  if (lastSeenAt === undefined) return undefined;
  const silentMs = (attendedUntil ?? lastSeenAt).getTime() - lastSeenAt.getTime();
  return -Math.max(0, silentMs);
}
