import type { NodeRecord, NodeSighting } from '../domain/node-state.ts';
import { fromMs, fromMsOrNull, toMs, toMsOrNull } from './columns.ts';
import type { Database } from './open.ts';

interface NodeRow {
  uid: string;
  name: string;
  address: string;
  nats_public_key: string;
  certificate_serial: string;
  certificate_expires_ms: number;
  agent_version: string;
  joined_ms: number;
  last_seen_ms: number | null;
  generation: number;
  revoked_ms: number | null;
}

function toRecord(row: NodeRow): NodeRecord {
  return {
    uid: row.uid,
    name: row.name,
    address: row.address,
    natsPublicKey: row.nats_public_key,
    certificateSerial: row.certificate_serial,
    certificateExpiresAt: fromMs(row.certificate_expires_ms),
    agentVersion: row.agent_version,
    joinedAt: fromMs(row.joined_ms),
    lastSeenAt: fromMsOrNull(row.last_seen_ms),
    generation: BigInt(row.generation),
    revokedAt: fromMsOrNull(row.revoked_ms),
  };
}

/** Nodes of the fleet, revoked ones included. */
export class NodeStore {
  readonly #list;
  readonly #get;
  readonly #put;
  readonly #see;
  readonly #revoke;
  readonly #attend;
  readonly #attended;

  constructor(database: Database) {
    const { sql } = database;
    this.#list = sql.prepare<[], NodeRow>('SELECT * FROM node ORDER BY name, joined_ms');
    this.#get = sql.prepare<[string], NodeRow>('SELECT * FROM node WHERE uid = ?');
    this.#put = sql.prepare(`
      INSERT INTO node (uid, name, address, nats_public_key, certificate_serial, certificate_expires_ms, agent_version, joined_ms, last_seen_ms, generation, revoked_ms)
      VALUES (@uid, @name, @address, @natsPublicKey, @certificateSerial, @certificateExpires, @agentVersion, @joined, @lastSeen, @generation, @revoked)
      ON CONFLICT (uid) DO UPDATE SET name = excluded.name, address = excluded.address, certificate_serial = excluded.certificate_serial,
        certificate_expires_ms = excluded.certificate_expires_ms, agent_version = excluded.agent_version, joined_ms = excluded.joined_ms`);
    this.#see = sql.prepare(
      'UPDATE node SET last_seen_ms = ?, generation = max(generation, ?), address = ?, agent_version = ? WHERE uid = ?',
    );
    this.#revoke = sql.prepare('UPDATE node SET revoked_ms = ? WHERE uid = ? AND revoked_ms IS NULL');
    this.#attend = sql.prepare(
      'INSERT INTO attended (one, until_ms) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET until_ms = excluded.until_ms',
    );
    this.#attended = sql.prepare<[], number>('SELECT until_ms FROM attended').pluck();
  }

  list(): NodeRecord[] {
    return this.#list.all().map(toRecord);
  }

  get(uid: string): NodeRecord | undefined {
    const row = this.#get.get(uid);
    return row === undefined ? undefined : toRecord(row);
  }

  /** Inserts, or renews address, certificate and join time of the same uid. */
  put(node: NodeRecord): void {
    this.#put.run({
      uid: node.uid,
      name: node.name,
      address: node.address,
      natsPublicKey: node.natsPublicKey,
      certificateSerial: node.certificateSerial,
      certificateExpires: toMs(node.certificateExpiresAt),
      agentVersion: node.agentVersion,
      joined: toMs(node.joinedAt),
      lastSeen: toMsOrNull(node.lastSeenAt),
      generation: node.generation,
      revoked: toMsOrNull(node.revokedAt),
    });
  }

  see(sighting: NodeSighting): void {
    this.#see.run(
      toMs(sighting.lastSeenAt),
      sighting.generation,
      sighting.address,
      sighting.agentVersion,
      sighting.uid,
    );
  }

  /** A controller listened to its nodes until then. */
  attend(until: Date): void {
    this.#attend.run(toMs(until));
  }

  /** Undefined when none ever listened. */
  attendedUntil(): Date | undefined {
    const until = this.#attended.get();
    return until === undefined ? undefined : fromMs(until);
  }

  /** False when it was revoked before or is unknown. */
  revoke(uid: string, at: Date): boolean {
    return this.#revoke.run(toMs(at), uid).changes === 1;
  }
}
