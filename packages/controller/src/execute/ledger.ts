/**
 * The reservation ledger: what is promised and not yet seen in the inventory. Durable in SQLite; the sums are made from
 * the rows at each question, so they cannot drift. Callers hold a transaction around check and reserve.
 */
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import {
  type Claim,
  type DeviceClaim,
  type Holdings,
  type ReservationRecord,
  sumHoldings,
} from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import type { VmidOwner } from '../schedule/feasible.ts';
import { lowestFree, type VmidRange } from '../schedule/vmid.ts';
import type { Records } from './records.ts';
import type { Snapshots } from './snapshots.ts';

export interface LedgerParts {
  readonly records: Records;
  readonly snapshots: Snapshots;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly vmids: VmidRange;
}

export interface Booking {
  readonly claim: Claim;
  readonly node: NodeSnapshot;
  /** 0 = the lowest free one. */
  readonly vmid: number;
  readonly guestUid: string;
  readonly planId: string;
  readonly actor: string;
  readonly title: string;
  readonly expiresMs: number;
}

/** A vmid whose create failed rests this long. */
const FAILED_VMID_REST_MS = 10 * 60_000;

export class Ledger {
  readonly #parts: LedgerParts;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  /** Sums per node uid; nodes without promises have no entry. */
  holdings(nodes: readonly NodeSnapshot[]): Map<string, Holdings> {
    const { reservations } = this.#parts.records;
    const byUid = new Map(nodes.map((node) => [node.uid, node]));
    const claims = new Map<string, Claim[]>();
    const settled = new Map<string, DeviceClaim[]>();
    for (const record of reservations.active()) {
      const node = byUid.get(record.nodeUid);
      if (node !== undefined && isObserved(record, node)) push(settled, record.nodeUid, record.devices);
      else push(claims, record.nodeUid, [record]);
    }
    for (const device of reservations.settled()) push(settled, device.nodeUid, [device]);
    addSharedPools(claims, byUid);
    const uids = new Set([...claims.keys(), ...settled.keys()]);
    return new Map([...uids].map((uid) => [uid, sumHoldings(claims.get(uid) ?? [], settled.get(uid) ?? [])]));
  }

  /** Who has reserved the vmid. */
  vmidOwners(vmid: number, nodes: readonly NodeSnapshot[]): VmidOwner[] {
    if (vmid === 0) return [];
    const clusters = new Map(nodes.map((node) => [node.uid, node.cluster]));
    return this.#parts.records.reservations
      .active()
      .filter((record) => record.vmid === vmid)
      .map((record) => ({
        nodeUid: record.nodeUid,
        nodeName: record.nodeName,
        cluster: clusters.get(record.nodeUid) ?? '',
        holder: `a reservation (${record.title})`,
      }));
  }

  /**
   * Writes the reservation down; call inside a transaction that has checked the fit. Errors: PXM_VMID_EXHAUSTED,
   * PXM_VMID_TAKEN.
   */
  book(booking: Booking): ReservationRecord {
    const { records, clock, ids } = this.#parts;
    const { node, claim } = booking;
    const record: ReservationRecord = {
      ...claim,
      id: ids.reservationId(),
      nodeUid: node.uid,
      nodeName: node.name,
      vmid: booking.vmid === 0 ? this.freeVmid() : booking.vmid,
      guestUid: booking.guestUid,
      planId: booking.planId,
      state: 'active',
      createdMs: clock.now().getTime(),
      expiresMs: booking.expiresMs,
      endedMs: 0,
      actor: booking.actor,
      fencingToken: records.reservations.nextFence(node.uid),
      endReason: '',
      title: booking.title,
    };
    records.reservations.insert(record, node.cluster === '' ? node.uid : node.cluster);
    return record;
  }

  /** The lowest vmid that is not in the inventory, not reserved, and did not fail lately. */
  freeVmid(): number {
    const { records, snapshots, clock, vmids } = this.#parts;
    const reserved = new Set(records.reservations.active().map((record) => record.vmid));
    const failed = records.vmids.failedSince(clock.now().getTime() - FAILED_VMID_REST_MS);
    const vmid = lowestFree(vmids, (id) => reserved.has(id) || failed.has(id) || snapshots.hasGuest(id));
    if (vmid === undefined)
      throw new PxmError('PXM_VMID_EXHAUSTED', { first: String(vmids.first), last: String(vmids.last) });
    return vmid;
  }

  /** Ends it; nothing happens when it has ended. With `settle` the guest keeps the devices. */
  release(id: string, reason: string, settle: boolean): void {
    const atMs = this.#parts.clock.now().getTime();
    this.#parts.records.reservations.end(id, { state: 'released', reason, atMs, settle });
  }
}

/** The guest is in the inventory, so its memory and cores are counted there. */
export function isObserved(record: ReservationRecord, node: NodeSnapshot): boolean {
  return node.guests.get(record.vmid)?.guestUid === record.guestUid;
}

/** What is promised on a shared storage is promised to every node of the cluster. */
function addSharedPools(claims: Map<string, Claim[]>, byUid: ReadonlyMap<string, NodeSnapshot>): void {
  const shared: { from: string; claim: Claim; cluster: string }[] = [];
  for (const [uid, list] of claims) {
    const node = byUid.get(uid);
    if (node === undefined || node.cluster === '') continue;
    for (const claim of list) {
      const pools = claim.pools.filter((pool) => node.storages.get(pool.storage)?.shared === true);
      if (pools.length > 0)
        shared.push({ from: uid, claim: { memoryBytes: 0, cpuCores: 0, pools, devices: [] }, cluster: node.cluster });
    }
  }
  for (const { from, claim, cluster } of shared) {
    for (const node of byUid.values())
      if (node.cluster === cluster && node.uid !== from) push(claims, node.uid, [claim]);
  }
}

function push<T>(map: Map<string, T[]>, key: string, values: readonly T[]): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [...values]);
  else list.push(...values);
}
