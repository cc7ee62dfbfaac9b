/** A change held against its node, with nothing left to choose: which devices are given or taken, what the ledger holds for it. */
import type { SetOptions } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { GuestView } from '../domain/guest.ts';
import type { PlacementPolicy } from '../domain/placement.ts';
import type { PlainAction } from '../domain/plan.ts';
import { type Claim, NO_CLAIM } from '../domain/reservation.ts';
import { countedCores, type NodeSnapshot } from '../domain/snapshot.ts';
import { devicesToTake, offerDevices } from '../schedule/fit-change.ts';
import { sizeRefusals } from '../schedule/fit-size.ts';
import type { ReservationStore } from '../store/reservations.ts';
import { holdingsOn } from './free-devices.ts';

export interface ExactAction {
  readonly action: PlainAction;
  readonly claim: Claim;
}

export interface ExactParts {
  readonly reservations: ReservationStore;
  readonly policy: PlacementPolicy;
  readonly node: NodeSnapshot;
  readonly guest: GuestView;
}

/** Errors: PXM_DEVICE_UNAVAILABLE and PXM_SIZE_UNAVAILABLE with all reasons, PXM_INPUT_INVALID. */
export function exactAction(action: PlainAction, parts: ExactParts): ExactAction {
  const change = action.$case === 'change' ? action.value.change?.change : undefined;
  if (action.$case !== 'change' || change === undefined) return { action, claim: NO_CLAIM };
  const exact = (one: typeof change): PlainAction => ({
    ...action,
    value: { ...action.value, change: { change: one } },
  });
  const { node, guest } = parts;
  if (change.$case === 'detachDevices') {
    const devices = devicesToTake(change.value, node, guest);
    return { action: exact({ $case: 'detachDevices', value: { devices } }), claim: NO_CLAIM };
  }
  if (change.$case === 'setOptions') return { action, claim: growthOf(change.value, parts) };
  if (change.$case !== 'attachDevices') return { action, claim: NO_CLAIM };
  if (guest.guestUid === '' && change.value.gpu?.exclusive === true) {
    const problems = 'gpu: only a container that pxmgr made can have a card as a whole';
    throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems });
  }
  const held = holdingsOn(parts.reservations, node);
  const offer = offerDevices(change.value, { node, guest, held, policy: parts.policy });
  if (offer.reasons.length > 0) {
    const reasons = offer.reasons.map(({ text }) => text).join('; ');
    throw new PxmError('PXM_DEVICE_UNAVAILABLE', { node: node.name, vmid: String(guest.vmid), reasons });
  }
  const value = { gpu: change.value.gpu, devices: [...offer.devices] };
  return { action: exact({ $case: 'attachDevices', value }), claim: { ...NO_CLAIM, devices: offer.claims } };
}

/** What becomes more is held until the inventory shows it: two guests must not be given the same room. */
function growthOf(wish: SetOptions, { reservations, policy, node, guest }: ExactParts): Claim {
  const refusals = sizeRefusals(wish, { node, guest, held: holdingsOn(reservations, node), policy });
  if (refusals.length > 0) {
    const reasons = refusals.map(({ text }) => text).join('; ');
    throw new PxmError('PXM_SIZE_UNAVAILABLE', { node: node.name, vmid: String(guest.vmid), reasons });
  }
  // A template is in no sum.
  if (guest.template) return NO_CLAIM;
  const memoryBytes = Number(wish.memoryBytes ?? 0n);
  const cpuCores = wish.cores === undefined ? 0 : countedCores(wish.cores);
  return {
    ...NO_CLAIM,
    memoryBytes: memoryBytes > guest.memoryBytes ? memoryBytes : 0,
    cpuCores: cpuCores > countedCores(guest.cores) ? cpuCores : 0,
  };
}

/** The device nodes of both are the same, in the same order. */
export function isSameDevices(a: PlainAction, b: PlainAction): boolean {
  return JSON.stringify(pathsOf(a)) === JSON.stringify(pathsOf(b));
}

function pathsOf(action: PlainAction): string[] {
  const change = action.$case === 'change' ? action.value.change?.change : undefined;
  return change?.$case === 'attachDevices' ? change.value.devices.map(({ path }) => path) : [];
}
