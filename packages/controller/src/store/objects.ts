import type { InventoryKind, ManifestEntry, Position } from '@pxmgr/contract';
import { fromMs, toMs } from './columns.ts';
import type { Database } from './open.ts';

/** One object as last observed; the document is encoded and absent from a tombstone. */
export interface StoredObject {
  readonly nodeUid: string;
  readonly kind: InventoryKind;
  readonly id: string;
  readonly position: Position;
  readonly hash: string;
  readonly observedAt: Date;
  readonly deleted: boolean;
  readonly document: Uint8Array | undefined;
}

export interface ObjectKey {
  readonly nodeUid: string;
  readonly kind: InventoryKind;
  readonly id: string;
}

interface ObjectRow {
  node_uid: string;
  kind: InventoryKind;
  id: string;
  generation: number;
  revision: number;
  hash: string;
  observed_ms: number;
  deleted: number;
  document: Buffer | null;
}

function toObject(row: ObjectRow): StoredObject {
  return {
    nodeUid: row.node_uid,
    kind: row.kind,
    id: row.id,
    position: { generation: BigInt(row.generation), revision: BigInt(row.revision) },
    hash: row.hash,
    observedAt: fromMs(row.observed_ms),
    deleted: row.deleted === 1,
    document: row.document ?? undefined,
  };
}

/** The inventory view on disk, and per node the position up to which every message was seen. */
export class ObjectStore {
  readonly #get;
  readonly #put;
  readonly #all;
  readonly #older;
  readonly #manifest;
  readonly #ofNodeKind;
  readonly #purge;
  readonly #forget;
  readonly #getPosition;
  readonly #putPosition;
  readonly #forgetPosition;

  constructor(database: Database) {
    const { sql } = database;
    this.#get = sql.prepare<[string, string, string], ObjectRow>('SELECT * FROM object WHERE node_uid = ? AND kind = ? AND id = ?');
    this.#put = sql.prepare(`
      INSERT INTO object (node_uid, kind, id, generation, revision, hash, observed_ms, deleted, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (node_uid, kind, id) DO UPDATE SET generation = excluded.generation, revision = excluded.revision, hash = excluded.hash,
        observed_ms = excluded.observed_ms, deleted = excluded.deleted, document = excluded.document`);
    this.#all = sql.prepare<[], ObjectRow>('SELECT * FROM object WHERE deleted = 0');
    this.#older = sql.prepare<[string, bigint], ObjectRow>('SELECT * FROM object WHERE node_uid = ? AND generation < ? AND deleted = 0');
    this.#manifest = sql.prepare<[string, string], ManifestEntry>('SELECT id, hash FROM object WHERE node_uid = ? AND kind = ? AND deleted = 0');
    this.#ofNodeKind = sql.prepare<[string, string], ObjectRow>('SELECT * FROM object WHERE node_uid = ? AND kind = ? AND deleted = 0');
    this.#purge = sql.prepare('DELETE FROM object WHERE deleted = 1 AND observed_ms < ?');
    this.#forget = sql.prepare('DELETE FROM object WHERE node_uid = ?');
    this.#getPosition = sql.prepare<[string], { generation: number; revision: number }>('SELECT generation, revision FROM node_position WHERE node_uid = ?');
    this.#putPosition = sql.prepare(`
      INSERT INTO node_position (node_uid, generation, revision) VALUES (?, ?, ?)
      ON CONFLICT (node_uid) DO UPDATE SET generation = excluded.generation, revision = excluded.revision`);
    this.#forgetPosition = sql.prepare('DELETE FROM node_position WHERE node_uid = ?');
  }

  get(key: ObjectKey): StoredObject | undefined {
    const row = this.#get.get(key.nodeUid, key.kind, key.id);
    return row === undefined ? undefined : toObject(row);
  }

  put(object: StoredObject): void {
    const { generation, revision } = object.position;
    this.#put.run(object.nodeUid, object.kind, object.id, generation, revision, object.hash, toMs(object.observedAt), object.deleted ? 1 : 0, object.document ?? null);
  }

  /** Everything that exists; an iterator, so 100,000 rows are never held at once. */
  *all(): IterableIterator<StoredObject> {
    for (const row of this.#all.iterate()) yield toObject(row);
  }

  /** What a node published in an earlier generation and not since. */
  olderThan(nodeUid: string, generation: bigint): StoredObject[] {
    return this.#older.all(nodeUid, generation).map(toObject);
  }

  manifest(nodeUid: string, kind: InventoryKind): ManifestEntry[] {
    return this.#manifest.all(nodeUid, kind);
  }

  ofNodeKind(nodeUid: string, kind: InventoryKind): StoredObject[] {
    return this.#ofNodeKind.all(nodeUid, kind).map(toObject);
  }

  purgeTombstones(observedBefore: Date): number {
    return this.#purge.run(toMs(observedBefore)).changes;
  }

  /** All of a node's objects and its position. */
  forgetNode(nodeUid: string): void {
    this.#forget.run(nodeUid);
    this.#forgetPosition.run(nodeUid);
  }

  position(nodeUid: string): Position | undefined {
    const row = this.#getPosition.get(nodeUid);
    return row === undefined ? undefined : { generation: BigInt(row.generation), revision: BigInt(row.revision) };
  }

  putPosition(nodeUid: string, position: Position): void {
    this.#putPosition.run(nodeUid, position.generation, position.revision);
  }
}
