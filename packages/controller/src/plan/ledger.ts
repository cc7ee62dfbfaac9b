/**
 * The reservation ledger: what is promised and not yet seen in the inventory. Durable in SQLite; the sums are in field.ts.
 * Callers hold a transaction around check and reserve.
 */
import type { Plan } from '@pxmgr/contract/controller';
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Claim, ReservationRecord } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import type { VmidOwner } from '../schedule/feasible.ts';
import { FreeVmids, type VmidRange } from '../schedule/vmid.ts';
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
  readonly #free: FreeVmids;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.#free = new FreeVmids(parts.vmids);
    parts.records.reservations.listen({
      added: () => undefined,
      changed: (_nodeUid, freedVmid) => {
        if (freedVmid !== undefined) this.#free.release(freedVmid);
      },
      reset: () => {
        this.#free.reset();
      },
    });
    parts.snapshots.onGuestGone((vmid) => {
      this.#free.release(vmid);
    });
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
    // Field by field, here and in the planner: a spread among other fields costs more than the row it is for.
    const record: ReservationRecord = {
      id: ids.reservationId(),
      memoryBytes: claim.memoryBytes,
      cpuCores: claim.cpuCores,
      pools: claim.pools,
      devices: claim.devices,
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
    const claims = records.reservations.claims();
    const nowMs = clock.now().getTime();
    const failed = records.vmids.failedBetween(nowMs - FAILED_VMID_REST_MS, nowMs + FAILED_VMID_REST_MS);
    const vmid = this.#free.lowest({
      isTaken: (id) => claims.isReserved(id) || snapshots.hasGuest(id),
      isResting: (id) => failed.has(id),
    });
    if (vmid === undefined)
      throw new PxmError('PXM_VMID_EXHAUSTED', { first: String(vmids.first), last: String(vmids.last) });
    return vmid;
  }

  /** The inventory shows what was reserved for. Devices are kept for the guest, where it has a uid to keep them under. */
  settle({ reservationId, guestUid }: Plan): void {
    this.#end(reservationId, { reason: 'observed in inventory', settle: guestUid !== '' });
  }

  /** Nobody gets what was reserved; nothing happens when it has ended. */
  release(id: string, reason: string): void {
    this.#end(id, { reason, settle: false });
  }

  #end(id: string, how: { reason: string; settle: boolean }): void {
    const atMs = this.#parts.clock.now().getTime();
    this.#parts.records.reservations.end(id, { ...how, state: 'released', atMs });
  }
}
