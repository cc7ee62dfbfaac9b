/**
 * The active reservations and settled devices in memory, as the rows say. Follows the writes of ReservationStore; read
 * anew from the rows after a rollback and after a write of another connection, so it never knows more than is on disk.
 */
import type { ReservationRecord, SettledDevice } from '../domain/reservation.ts';

export interface ClaimListener {
  /** A new one, on top of what was there. */
  added(record: ReservationRecord): void;
  /** What is held on the node may be another sum now. `freedVmid`: nobody has it reserved any more. */
  changed(nodeUid: string, freedVmid?: number): void;
  /** Everything was read anew. */
  reset(): void;
}

export class ActiveClaims {
  readonly #active = new Map<string, ReservationRecord>();
  readonly #byNode = new Map<string, Map<string, ReservationRecord>>();
  readonly #vmids = new Map<number, number>();
  readonly #settled = new Map<string, SettledDevice[]>();
  readonly #listeners = new Set<ClaimListener>();

  load(active: readonly ReservationRecord[], settled: readonly SettledDevice[]): void {
    for (const map of [this.#active, this.#byNode, this.#vmids, this.#settled]) map.clear();
    for (const record of active) this.#put(record);
    for (const device of settled) this.#settle(device);
    for (const listener of this.#listeners) listener.reset();
  }

  listen(listener: ClaimListener): void {
    this.#listeners.add(listener);
  }

  /** In the order in which they were made. */
  active(): ReservationRecord[] {
    return [...this.#active.values()];
  }

  get(id: string): ReservationRecord | undefined {
    return this.#active.get(id);
  }

  ofNode(nodeUid: string): Iterable<ReservationRecord> {
    return this.#byNode.get(nodeUid)?.values() ?? [];
  }

  settledOn(nodeUid: string): readonly SettledDevice[] {
    return this.#settled.get(nodeUid) ?? [];
  }

  settled(): SettledDevice[] {
    return [...this.#settled.values()].flat();
  }

  isReserved(vmid: number): boolean {
    return this.#vmids.has(vmid);
  }

  add(record: ReservationRecord): void {
    this.#put(record);
    for (const listener of this.#listeners) listener.added(record);
  }

  redate(id: string, expiresMs: number): void {
    const record = this.#active.get(id);
    if (record === undefined) return;
    const redated = { ...record, expiresMs };
    this.#active.set(id, redated);
    this.#byNode.get(record.nodeUid)?.set(id, redated);
  }

  end(id: string, settle: boolean): void {
    const record = this.#active.get(id);
    if (record === undefined) return;
    this.#active.delete(id);
    this.#byNode.get(record.nodeUid)?.delete(id);
    const others = (this.#vmids.get(record.vmid) ?? 1) - 1;
    if (others === 0) this.#vmids.delete(record.vmid);
    else this.#vmids.set(record.vmid, others);
    const { nodeUid, guestUid } = record;
    if (settle) for (const device of record.devices) this.#settle({ ...device, nodeUid, guestUid });
    this.#tell(nodeUid, others === 0 ? record.vmid : undefined);
  }

  forgetGuest(guestUid: string): void {
    for (const [nodeUid, devices] of this.#settled) {
      const rest = devices.filter((device) => device.guestUid !== guestUid);
      if (rest.length === devices.length) continue;
      this.#settled.set(nodeUid, rest);
      this.#tell(nodeUid);
    }
  }

  forgetDevice({ nodeUid, guestUid, device }: SettledDevice): void {
    const devices = this.#settled.get(nodeUid) ?? [];
    const rest = devices.filter((one) => one.guestUid !== guestUid || one.device !== device);
    if (rest.length === devices.length) return;
    this.#settled.set(nodeUid, rest);
    this.#tell(nodeUid);
  }

  #put(record: ReservationRecord): void {
    this.#active.set(record.id, record);
    const ofNode = this.#byNode.get(record.nodeUid) ?? new Map<string, ReservationRecord>();
    ofNode.set(record.id, record);
    this.#byNode.set(record.nodeUid, ofNode);
    this.#vmids.set(record.vmid, (this.#vmids.get(record.vmid) ?? 0) + 1);
  }

  #settle(device: SettledDevice): void {
    const devices = this.#settled.get(device.nodeUid);
    if (devices === undefined) this.#settled.set(device.nodeUid, [device]);
    else devices.push(device);
  }

  #tell(nodeUid: string, freedVmid?: number): void {
    for (const listener of this.#listeners) listener.changed(nodeUid, freedVmid);
  }
}
