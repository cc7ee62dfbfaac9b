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

/** What a view is filled from. */
export interface LoadedObject extends ObjectKey {
  readonly document: Uint8Array;
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

/** How far a node's messages were seen, and the generation it was first heard in. */
export interface NodePosition extends Position {
  readonly firstGeneration: bigint;
}

interface PositionRow {
  first_generation: number;
  generation: number;
  revision: number;
}

function toPosition(row: PositionRow): NodePosition {
  return {
    firstGeneration: BigInt(row.first_generation),
    generation: BigInt(row.generation),
    revision: BigInt(row.revision),
  };
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
  readonly #ofNode;
  readonly #manifest;
  readonly #ofNodeKind;
  readonly #purge;
  readonly #forget;
  readonly #getPosition;
  readonly #allPositions;
  readonly #touched;
  readonly #tombstones;
  readonly #putPosition;
  readonly #forgetPosition;

  constructor(database: Database) {
    const { sql } = database;
    this.#get = sql.prepare<[string, string, string], ObjectRow>(
      'SELECT * FROM object WHERE node_uid = ? AND kind = ? AND id = ?',
    );
    this.#put = sql.prepare(`
      INSERT INTO object (node_uid, kind, id, generation, revision, hash, observed_ms, deleted, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (node_uid, kind, id) DO UPDATE SET generation = excluded.generation, revision = excluded.revision, hash = excluded.hash,
        observed_ms = excluded.observed_ms, deleted = excluded.deleted, document = excluded.document`);
    this.#ofNode = sql
      .prepare<[string], [InventoryKind, string, Buffer]>(
        'SELECT kind, id, document FROM object WHERE node_uid = ? AND deleted = 0 AND document IS NOT NULL',
      )
      .raw();
    this.#manifest = sql.prepare<[string, string], ManifestEntry>(
      'SELECT id, hash FROM object WHERE node_uid = ? AND kind = ? AND deleted = 0',
    );
    this.#ofNodeKind = sql.prepare<[string, string], ObjectRow>(
      'SELECT * FROM object WHERE node_uid = ? AND kind = ? AND deleted = 0',
    );
    this.#purge = sql.prepare('DELETE FROM object WHERE node_uid = ? AND kind = ? AND id = ? AND deleted = 1');
    this.#forget = sql.prepare('DELETE FROM object WHERE node_uid = ?');
    this.#getPosition = sql.prepare<[string], PositionRow>(
      'SELECT first_generation, generation, revision FROM node_position WHERE node_uid = ?',
    );
    this.#allPositions = sql.prepare<[], PositionRow & { node_uid: string }>('SELECT * FROM node_position');
    this.#touched = sql
      .prepare(
        'SELECT 1 FROM object WHERE node_uid = ? AND kind = ? AND generation >= ? AND (generation > ? OR revision > ?) LIMIT 1',
      )
      .pluck();
    this.#tombstones = sql.prepare<[number, number], ObjectRow>(
      'SELECT * FROM object WHERE deleted = 1 AND observed_ms < ? LIMIT ?',
    );
    this.#putPosition = sql.prepare(`
      INSERT INTO node_position (node_uid, first_generation, generation, revision) VALUES (?, ?, ?, ?)
      ON CONFLICT (node_uid) DO UPDATE SET generation = excluded.generation, revision = excluded.revision`);
    this.#forgetPosition = sql.prepare('DELETE FROM node_position WHERE node_uid = ?');
  }

  get(key: ObjectKey): StoredObject | undefined {
    const row = this.#get.get(key.nodeUid, key.kind, key.id);
    return row === undefined ? undefined : toObject(row);
  }

  put(object: StoredObject): void {
    const { generation, revision } = object.position;
    this.#put.run(
      object.nodeUid,
      object.kind,
      object.id,
      generation,
      revision,
      object.hash,
      toMs(object.observedAt),
      object.deleted ? 1 : 0,
      object.document ?? null,
    );
  }

  /** Everything of a node that exists. */
  ofNode(nodeUid: string): LoadedObject[] {
    return this.#ofNode.all(nodeUid).map(([kind, id, document]) => ({ nodeUid, kind, id, document }));
  }

  manifest(nodeUid: string, kind: InventoryKind): ManifestEntry[] {
    return this.#manifest.all(nodeUid, kind);
  }

  ofNodeKind(nodeUid: string, kind: InventoryKind): StoredObject[] {
    return this.#ofNodeKind.all(nodeUid, kind).map(toObject);
  }

  /** True when an object of the kind, or its tombstone, is newer than the position. */
  isTouchedSince(nodeUid: string, kind: InventoryKind, position: Position): boolean {
    const { generation, revision } = position;
    return this.#touched.get(nodeUid, kind, generation, generation, revision) !== undefined;
  }

  tombstones(observedBefore: Date, limit: number): StoredObject[] {
    return this.#tombstones.all(toMs(observedBefore), limit).map(toObject);
  }

  purgeTombstone(key: ObjectKey): void {
    this.#purge.run(key.nodeUid, key.kind, key.id);
  }

  /** All of a node's objects and its position. */
  forgetNode(nodeUid: string): void {
    this.#forget.run(nodeUid);
    this.#forgetPosition.run(nodeUid);
  }

  position(nodeUid: string): NodePosition | undefined {
    const row = this.#getPosition.get(nodeUid);
    return row === undefined ? undefined : toPosition(row);
  }

  positions(): Map<string, NodePosition> {
    return new Map(this.#allPositions.all().map((row) => [row.node_uid, toPosition(row)]));
  }

  /** `firstGeneration` counts only the first time. */
  putPosition(nodeUid: string, position: NodePosition): void {
    this.#putPosition.run(nodeUid, position.firstGeneration, position.generation, position.revision);
  }
}
