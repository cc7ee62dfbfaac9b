/** What time alone ends: plans nobody applied, reservations nobody renews, devices of guests that are gone, old records. */
import type { Clock } from '@pxmgr/kit/clock';
import { isObserved } from '../domain/reservation.ts';
import { freeDevices } from '../plan/free-devices.ts';
import type { Records } from '../plan/records.ts';
import type { Snapshots } from '../plan/snapshots.ts';
import type { ExecuteLimits } from './run-context.ts';

export interface SweepParts {
  readonly records: Records;
  readonly snapshots: Snapshots;
  readonly clock: Clock;
  /** Ended operations, plans, reservations and explanations are kept this long. */
  readonly keepMs: number;
  readonly planTtlMs: number;
  readonly limits: Pick<ExecuteLimits, 'holdMs'>;
}

/** For the log of the loop. */
export interface Swept {
  readonly plans: number;
  readonly reservations: number;
  readonly devices: number;
  readonly records: number;
}

/** Idempotent; a few queries when there is nothing to do. */
export function sweep(parts: SweepParts): Swept {
  return parts.records.database.transaction(() => ({
    plans: expirePlans(parts, parts.records.plans.expiredDrafts(parts.clock.now().getTime()), 'plan expired'),
    reservations: endReservations(parts),
    devices: freeAllDevices(parts),
    records: prune(parts),
  }));
}

type Expiring = Pick<SweepParts, 'records' | 'clock'>;

/**
 * At the start: whoever made a plan and did not apply it was cut off with the process before this one, and may not even
 * have heard of the plan. What it holds is free again at once; its maker hears that the plan has expired and makes another.
 */
export function endDrafts(parts: Expiring): number {
  const { database, plans } = parts.records;
  return database.transaction(() => expirePlans(parts, plans.drafts(), 'the controller was restarted'));
}

/** Only nodes that hold any are looked at. */
function freeAllDevices({ records, snapshots }: SweepParts): number {
  let count = 0;
  for (const uid of new Set(
    records.reservations
      .claims()
      .settled()
      .map((device) => device.nodeUid),
  )) {
    const node = snapshots.node(uid);
    if (node !== undefined) count += freeDevices(records.reservations, node);
  }
  return count;
}

function expirePlans({ records, clock }: Expiring, ids: readonly string[], reason: string): number {
  const atMs = clock.now().getTime();
  for (const id of ids) {
    records.plans.move(id, 'draft', 'expired');
    const reservationId = records.plans.get(id)?.plan.reservationId ?? '';
    records.reservations.end(reservationId, { state: 'expired', reason, atMs, settle: false });
  }
  return ids.length;
}

/** Of plans that have ended: what was left open because its outcome was not known, or the inventory was behind. */
function endReservations({ records, snapshots, clock, planTtlMs, limits }: SweepParts): number {
  const atMs = clock.now().getTime();
  const longestMs = Math.max(planTtlMs, limits.holdMs);
  let count = 0;
  for (const record of records.reservations.active()) {
    const state = records.plans.get(record.planId)?.plan.state;
    if (state === 'draft' || state === 'applied') continue;
    const node = snapshots.node(record.nodeUid);
    if (node !== undefined && isObserved(record, node)) {
      records.reservations.end(record.id, { state: 'released', reason: 'observed in inventory', atMs, settle: true });
      count += 1;
    } else if (record.expiresMs <= atMs) {
      records.reservations.end(record.id, { state: 'expired', reason: 'its time is over', atMs, settle: false });
      count += 1;
    } else if (record.expiresMs - atMs > 2 * longestMs) {
      // The clock ran ahead when it was extended and has been set back: nobody is held to that time.
      records.reservations.redate(record.id, atMs + longestMs);
    }
  }
  return count;
}

function prune({ records, clock, keepMs }: SweepParts): number {
  const before = clock.now().getTime() - keepMs;
  return (
    records.operations.prune(before) +
    records.plans.prune(before) +
    records.reservations.prune(before) +
    records.evaluations.prune(before) +
    records.facts.prune() +
    records.vmids.prune(before)
  );
}
