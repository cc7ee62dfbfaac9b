import type { ReservationStateName } from '@pxmgr/contract';
import type { DeviceClaim, PoolClaim, ReservationRecord, SettledDevice } from '../domain/reservation.ts';
import { ActiveClaims, type ClaimListener } from './active-claims.ts';
import type { Database } from './open.ts';

interface ReservationRow {
  id: string;
  node_uid: string;
  node_name: string;
  vmid: number;
  guest_uid: string;
  memory_bytes: number;
  cpu_cores: number;
  pools: string;
  plan_id: string;
  state: ReservationStateName;
  created_ms: number;
  expires_ms: number;
  ended_ms: number;
  actor: string;
  fencing_token: number;
  end_reason: string;
  title: string;
}

interface DeviceRow {
  reservation_id: string;
  device: string;
  node_uid: string;
  guest_uid: string;
  vram_bytes: number;
  exclusive: number;
}

function toClaim(row: DeviceRow): DeviceClaim {
  return { device: row.device, vramBytes: row.vram_bytes, exclusive: row.exclusive === 1 };
}

/** The ledger's rows. A second active reservation of a vmid or of a whole device is refused by the schema itself. */
export class ReservationStore {
  readonly #statements;
  readonly #database: Database;
  readonly #claims = new ActiveClaims();
  #epoch = '';

  constructor(database: Database) {
    const { sql } = database;
    this.#database = database;
    this.#statements = {
      fence: sql.prepare<[string], number>('SELECT token FROM fence WHERE node_uid = ?').pluck(),
      next: sql
        .prepare<[string], number>(
          `INSERT INTO fence (node_uid, token) VALUES (?, 1)
          ON CONFLICT (node_uid) DO UPDATE SET token = token + 1 RETURNING token`,
        )
        .pluck(),
      raise: sql.prepare(`
        INSERT INTO fence (node_uid, token) VALUES (?, ?)
        ON CONFLICT (node_uid) DO UPDATE SET token = max(token, excluded.token)`),
      insert: sql.prepare(`
        INSERT INTO reservation (id, scope, node_uid, node_name, vmid, guest_uid, memory_bytes, cpu_cores, pools, plan_id,
          state, created_ms, expires_ms, ended_ms, actor, fencing_token, end_reason, title)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
      insertDevice: sql.prepare(`
        INSERT INTO reservation_device (reservation_id, device, node_uid, guest_uid, vram_bytes, exclusive, state)
        VALUES (?, ?, ?, ?, ?, ?, 'held')`),
      get: sql.prepare<[string], ReservationRow>('SELECT * FROM reservation WHERE id = ?'),
      active: sql.prepare<[], ReservationRow>(
        "SELECT * FROM reservation WHERE state = 'active' ORDER BY created_ms, id",
      ),
      all: sql.prepare<[number], ReservationRow>('SELECT * FROM reservation ORDER BY created_ms DESC, id DESC LIMIT ?'),
      devices: sql.prepare<[string], DeviceRow>(
        'SELECT * FROM reservation_device WHERE reservation_id = ? ORDER BY device',
      ),
      settled: sql.prepare<[], DeviceRow>("SELECT * FROM reservation_device WHERE state = 'settled'"),
      end: sql.prepare(`
        UPDATE reservation SET state = ?, ended_ms = ?, end_reason = ? WHERE id = ? AND state = 'active'`),
      markDevices: sql.prepare('UPDATE reservation_device SET state = ? WHERE reservation_id = ?'),
      forgetGuest: sql.prepare(
        "UPDATE reservation_device SET state = 'past' WHERE guest_uid = ? AND state = 'settled'",
      ),
      forgetDevice: sql.prepare(
        "UPDATE reservation_device SET state = 'past' WHERE guest_uid = ? AND node_uid = ? AND device = ? AND state = 'settled'",
      ),
      extend: sql.prepare("UPDATE reservation SET expires_ms = max(expires_ms, ?) WHERE id = ? AND state = 'active'"),
      redate: sql.prepare("UPDATE reservation SET expires_ms = ? WHERE id = ? AND state = 'active'"),
      prune: sql.prepare(`
        DELETE FROM reservation WHERE state <> 'active' AND ended_ms < ?
          AND id NOT IN (SELECT reservation_id FROM reservation_device WHERE state = 'settled')`),
    };
  }

  /** What is active now, in memory. The answer is for this moment: ask again after anything was awaited. */
  claims(): ActiveClaims {
    const epoch = this.#database.epoch();
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#claims.load(this.#activeRows(), this.#settledRows());
    }
    return this.#claims;
  }

  listen(listener: ClaimListener): void {
    this.#claims.listen(listener);
  }

  /** Newest token of the node; 0 before the first. */
  fence(nodeUid: string): number {
    return this.#statements.fence.get(nodeUid) ?? 0;
  }

  /** Hands out the next token: in the transaction of the reservation it belongs to, or for orders that overtake those of one. */
  nextFence(nodeUid: string): number {
    const token = this.#statements.next.get(nodeUid);
    if (token === undefined) throw new Error(`no fencing token for ${nodeUid}`);
    return token;
  }

  /** The next token will be above this one. */
  raiseFence(nodeUid: string, token: number): void {
    this.#statements.raise.run(nodeUid, token);
  }

  insert(record: ReservationRecord, scope: string): void {
    const claims = this.claims();
    // By place: names would be looked up 18 times for each of thousands of rows a second.
    this.#statements.insert.run(
      record.id,
      scope,
      record.nodeUid,
      record.nodeName,
      record.vmid,
      record.guestUid,
      record.memoryBytes,
      record.cpuCores,
      JSON.stringify(record.pools),
      record.planId,
      record.state,
      record.createdMs,
      record.expiresMs,
      record.endedMs,
      record.actor,
      record.fencingToken,
      record.endReason,
      record.title,
    );
    for (const { device, vramBytes, exclusive } of record.devices) {
      this.#statements.insertDevice.run(
        record.id,
        device,
        record.nodeUid,
        record.guestUid,
        vramBytes,
        exclusive ? 1 : 0,
      );
    }
    claims.add(record);
  }

  get(id: string): ReservationRecord | undefined {
    const row = this.#statements.get.get(id);
    return row === undefined ? undefined : this.#toRecord(row);
  }

  active(): ReservationRecord[] {
    return this.claims().active();
  }

  /** Newest first, ended ones too. */
  list(limit: number): ReservationRecord[] {
    return this.#statements.all.all(limit).map((row) => this.#toRecord(row));
  }

  settled(): SettledDevice[] {
    return this.claims().settled();
  }

  /** False when it had ended already. `settle`: its guest keeps the devices. */
  end(id: string, how: { state: 'released' | 'expired'; reason: string; atMs: number; settle: boolean }): boolean {
    const claims = this.claims();
    const ended = this.#statements.end.run(how.state, how.atMs, how.reason, id).changes === 1;
    if (!ended) return false;
    this.#statements.markDevices.run(how.settle ? 'settled' : 'past', id);
    claims.end(id, how.settle);
    return true;
  }

  extend(id: string, expiresMs: number): void {
    const claims = this.claims();
    this.#statements.extend.run(expiresMs, id);
    if ((claims.get(id)?.expiresMs ?? expiresMs) < expiresMs) claims.redate(id, expiresMs);
  }

  /** Its time begins anew: the clock was set back since it was last extended. */
  redate(id: string, expiresMs: number): void {
    const claims = this.claims();
    this.#statements.redate.run(expiresMs, id);
    claims.redate(id, expiresMs);
  }

  /** The guest is gone: its devices are free. True when it had some. */
  forgetGuest(guestUid: string): boolean {
    const claims = this.claims();
    const hadSome = this.#statements.forgetGuest.run(guestUid).changes > 0;
    if (hadSome) claims.forgetGuest(guestUid);
    return hadSome;
  }

  /** The guest does not have the device any more: it is free. */
  forgetDevice(settled: SettledDevice): void {
    const claims = this.claims();
    this.#statements.forgetDevice.run(settled.guestUid, settled.nodeUid, settled.device);
    claims.forgetDevice(settled);
  }

  prune(endedBeforeMs: number): number {
    return this.#statements.prune.run(endedBeforeMs).changes;
  }

  #activeRows(): ReservationRecord[] {
    return this.#statements.active.all().map((row) => this.#toRecord(row));
  }

  #settledRows(): SettledDevice[] {
    return this.#statements.settled
      .all()
      .map((row) => ({ ...toClaim(row), nodeUid: row.node_uid, guestUid: row.guest_uid }));
  }

  #toRecord(row: ReservationRow): ReservationRecord {
    return {
      id: row.id,
      nodeUid: row.node_uid,
      nodeName: row.node_name,
      vmid: row.vmid,
      guestUid: row.guest_uid,
      memoryBytes: row.memory_bytes,
      cpuCores: row.cpu_cores,
      pools: JSON.parse(row.pools) as PoolClaim[],
      devices: this.#statements.devices.all(row.id).map(toClaim),
      planId: row.plan_id,
      state: row.state,
      createdMs: row.created_ms,
      expiresMs: row.expires_ms,
      endedMs: row.ended_ms,
      actor: row.actor,
      fencingToken: row.fencing_token,
      endReason: row.end_reason,
      title: row.title,
    };
  }
}
