/** The controller's inventory on a real database file, and what reads the stream into it. Can be killed anywhere. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import type { InventoryKind } from '@pxmgr/contract';
import { InventoryMessage, ManifestMessage } from '@pxmgr/contract/event';
import type { BusMessage } from '@pxmgr/controller/bus/consume';
import { describeChange } from '@pxmgr/controller/change/record';
import type { ChangeRecord } from '@pxmgr/controller/domain/change';
import { Registry } from '@pxmgr/controller/fleet/registry';
import { GapTracker } from '@pxmgr/controller/inventory/gaps';
import { Ingest } from '@pxmgr/controller/inventory/ingest';
import { MetricsBoard } from '@pxmgr/controller/inventory/metrics';
import { Repair, type RepairSources } from '@pxmgr/controller/inventory/repair';
import { View } from '@pxmgr/controller/inventory/view';
import { ObjectWriter } from '@pxmgr/controller/inventory/write-object';
import { fleetLoops } from '@pxmgr/controller/loop/loops';
import { AuditStore } from '@pxmgr/controller/store/audit';
import { ChangeStore } from '@pxmgr/controller/store/changes';
import { CursorStore } from '@pxmgr/controller/store/cursors';
import { NodeStore } from '@pxmgr/controller/store/nodes';
import { ObjectStore } from '@pxmgr/controller/store/objects';
import { type Database, openDatabase } from '@pxmgr/controller/store/open';
import { TokenStore } from '@pxmgr/controller/store/tokens';
import type { Clock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { type DeliveryFate, Fates, LATE_MS, type SimStream } from './stream.ts';

/** Where the next transaction is cut: before its COMMIT, or right after it. */
export type KillPoint = 'before-commit' | 'after-commit';

const logger = silentLogger();

class Killed extends Error {
  readonly point: KillPoint;

  constructor(point: KillPoint) {
    super(`killed ${point}`);
    this.point = point;
  }
}

export interface ControllerParts {
  readonly file: string;
  readonly stream: SimStream;
  readonly clock: Clock;
  readonly sources: RepairSources;
}

export interface MemberSpec {
  readonly uid: string;
  readonly name: string;
}

/** A database as it is before the first agent speaks. */
export function makeDatabase(file: string, clock: Clock, members: readonly MemberSpec[]): void {
  const database = openDatabase(file);
  const registry = new Registry(new NodeStore(database), clock, logger);
  for (const { uid, name } of members)
    registry.add({
      uid,
      name,
      address: '127.0.0.1:1',
      natsPublicKey: `U${name}`,
      certificateSerial: '01',
      certificateExpiresAt: new Date('2040-01-01'),
      agentVersion: '0',
      joinedAt: clock.now(),
      lastSeenAt: undefined,
      generation: 0n,
      revokedAt: undefined,
    });
  database.close();
}

/** One process of the controller, as far as the inventory goes. */
class Life {
  readonly database: Database;
  readonly gaps = new GapTracker();
  readonly objects: ObjectStore;
  readonly changes: ChangeStore;
  readonly view: View;
  readonly ingest: Ingest;
  readonly repair: Repair;
  readonly #parts: ControllerParts;
  readonly #registry: Registry;

  constructor(parts: ControllerParts, database: Database) {
    const { clock, sources } = parts;
    this.#parts = parts;
    this.database = database;
    const registry = new Registry(new NodeStore(database), clock, logger);
    this.#registry = registry;
    this.objects = new ObjectStore(database);
    this.changes = new ChangeStore(database);
    const { objects, changes, gaps } = this;
    this.view = new View(registry, new MetricsBoard(), objects);
    const { view } = this;
    for (const node of registry.list()) view.load(objects.ofNode(node.uid));
    const nameOf = (uid: string): string | undefined => registry.nameOf(uid);
    const writer = new ObjectWriter({ objects, changes, describe: describeChange, nameOf });
    const cursors = new CursorStore(database);
    this.ingest = new Ingest({ database, objects, changes, cursors, writer, gaps, view, clock, logger, nameOf });
    const isMember = (uid: string): boolean => registry.isMember(uid);
    const { ingest } = this;
    this.repair = new Repair({ database, objects, writer, ingest, gaps, view, sources, clock, logger, isMember });
  }

  /** Retention as the controller does it every hour. */
  async hourly(): Promise<void> {
    const { clock, stream } = this.#parts;
    const { database, objects, changes } = this;
    const loops = fleetLoops({
      clock,
      database,
      registry: this.#registry,
      repair: this.repair,
      objects,
      changes,
      audit: new AuditStore(database),
      tokens: new TokenStore(database),
      purge: async (subject) => {
        stream.purge(subject);
        await Promise.resolve();
      },
      busAnswers: () => Promise.resolve(true),
      changeRetentionMs: Number.POSITIVE_INFINITY,
      auditRetentionMs: Number.POSITIVE_INFINITY,
    });
    await loops.find((loop) => loop.name === 'tombstones')?.run(new AbortController().signal);
  }
}

const BATCH_MAX = 4;

export class SimController {
  readonly fates = new Fates<DeliveryFate>();
  /** "uid generation revision" of every message that a committed transaction has taken. */
  readonly taken = new Set<string>();
  readonly #parts: ControllerParts;
  #file: string;
  #life: Life;
  #killAt: KillPoint | undefined;
  #readFrom: { created: string; sequence: number } | undefined;
  #returned: BusMessage[] = [];

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#file = parts.file;
    this.#life = this.#open();
  }

  #open(): Life {
    const database = openDatabase(this.#file);
    // A killed process needs no fsync to keep what it has written; only a power cut does.
    database.sql.pragma('synchronous = OFF');
    const life = new Life(this.#parts, this.#mortal(database));
    const { ingest } = life;
    const [commit, commitRepair] = [ingest.commit.bind(ingest), ingest.commitRepair.bind(ingest)];
    ingest.commit = (batch, position) => {
      this.#noting(batch, () => {
        commit(batch, position);
      });
    };
    ingest.commitRepair = (batch) => {
      this.#noting(batch, () => {
        commitRepair(batch);
      });
    };
    return life;
  }

  /** Remembers what was taken, once it is committed. */
  #noting(batch: readonly BusMessage[], commit: () => void): void {
    const note = (): void => {
      for (const { subject, data } of batch) {
        const { generation, revision } = InventoryMessage.decode(data);
        this.taken.add(`${subject.split('.')[2] ?? ''} ${String(generation)} ${String(revision)}`);
      }
    };
    try {
      commit();
      note();
    } catch (error) {
      if (error instanceof Killed && error.point === 'after-commit') note();
      throw error;
    }
  }

  /** A database whose process can die around a COMMIT. */
  #mortal(database: Database): Database {
    const transaction = <T>(work: () => T): T => {
      if (this.#killAt === undefined || database.sql.inTransaction) return database.transaction(work);
      const point = this.#killAt;
      const result = database.transaction(() => {
        const made = work();
        if (point === 'before-commit') this.#die(point);
        return made;
      });
      this.#die(point);
      return result;
    };
    return { ...database, transaction };
  }

  /** The files stay as they are at this instant; the process is gone. */
  #die(point: KillPoint): void {
    const next = `${this.#file}+`;
    for (const end of ['', '-wal']) if (existsSync(this.#file + end)) copyFileSync(this.#file + end, next + end);
    this.#file = next;
    this.#killAt = undefined;
    this.isDead = true;
    throw new Killed(point);
  }

  isDead = false;
  /** It neither reads nor hears. */
  isAway = false;

  /** Dies at the point given, in its next transaction. */
  kill(at: KillPoint): void {
    this.#killAt = at;
  }

  /** A new process, on the files that the old one left. */
  restart(): void {
    const old = this.#life.database;
    if (!this.isDead) {
      old.sql.close();
    } else {
      const path = old.path;
      old.sql.close();
      for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
    }
    this.isDead = false;
    this.#killAt = undefined;
    this.#readFrom = undefined;
    this.#returned = [];
    this.#life = this.#open();
  }

  heal(): void {
    this.isAway = false;
    this.fates.clear();
    this.#killAt = undefined;
  }

  close(): void {
    this.#life.database.sql.close();
  }

  takeManifest(uid: string, data: Uint8Array): void {
    if (this.isDead || this.isAway) return;
    this.#live(() => {
      this.#life.repair.takeManifest(uid, ManifestMessage.decode(data));
    });
  }

  /** Reads what came and repairs what is due, as its consumer and its repair loop do. */
  turn(): void {
    if (this.isAway) return;
    this.#live(() => {
      this.#read();
      this.#life.repair.tick();
    });
  }

  async hourly(): Promise<void> {
    if (!this.isDead) await this.#life.hourly();
  }

  #live(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
  }

  #read(): void {
    const { stream } = this.#parts;
    stream.ensure();
    const created = stream.created ?? '';
    const stored = this.#life.ingest.position();
    if (this.#readFrom?.created !== created)
      this.#readFrom = { created, sequence: stored?.streamCreated === created ? stored.sequence : 0 };
    const came = stream.after(this.#readFrom.sequence);
    for (let at = 0; at < came.length; at += BATCH_MAX) {
      const batch = came.slice(at, at + BATCH_MAX);
      this.#readFrom = { created, sequence: batch.at(-1)?.sequence ?? 0 };
      this.#commit(this.#fated(batch));
    }
    if (this.#returned.length > 0) this.#commit(this.#returned.splice(0));
  }

  #commit(batch: readonly BusMessage[]): void {
    const { created, sequence } = this.#readFrom ?? { created: '', sequence: 0 };
    this.#life.ingest.commit(batch, { streamCreated: created, sequence });
  }

  #fated(batch: readonly BusMessage[]): BusMessage[] {
    const delivered: BusMessage[] = [];
    const behind: BusMessage[] = [];
    for (const message of batch) {
      const fate = this.fates.take();
      if (fate === 'late') this.#parts.stream.later(LATE_MS, () => this.#returned.push(message));
      if (fate === 'behind-the-next') behind.push(message);
      if (fate === 'arrives' || fate === 'doubled') delivered.push(message);
      if (fate === 'doubled') this.#parts.stream.later(LATE_MS, () => this.#returned.push(message));
    }
    return [...delivered, ...behind];
  }

  position(uid: string): { generation: bigint; revision: bigint } | undefined {
    return this.#life.gaps.position(uid);
  }

  hasHoles(): boolean {
    return this.#life.gaps.due(Number.POSITIVE_INFINITY, 0).length > 0;
  }

  /** "kind/id" -> hash, as queries show it. */
  view(uid: string, kinds: readonly InventoryKind[]): Map<string, string> {
    const objects = kinds.flatMap((kind) => this.#life.view.objects(kind, uid));
    return new Map(objects.map(({ kind, id, hash }) => [`${kind}/${id}`, hash]));
  }

  /** The same, as it stands in the database. */
  stored(uid: string, kinds: readonly InventoryKind[]): Map<string, string> {
    return new Map(
      kinds.flatMap((kind) =>
        this.#life.objects.manifest(uid, kind).map(({ id, hash }) => [`${kind}/${id}`, hash] as const),
      ),
    );
  }

  /** The history, oldest first. */
  history(): ChangeRecord[] {
    return this.#life.changes.list({ limit: 100_000 }).reverse();
  }
}
