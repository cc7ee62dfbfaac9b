import { type Holdings, outstanding, type SettledDevice, sumHoldings } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { hasDevice } from '../schedule/fit-change.ts';
import type { ReservationStore } from '../store/reservations.ts';

/** What guests were promised and do not have any more: they are gone, or it was taken from them, by whomever. */
function unusedDevices(reservations: ReservationStore, node: NodeSnapshot): readonly SettledDevice[] {
  // Silence is no proof.
  if (node.presence !== 'up' || !node.known) return [];
  const guests = new Map([...node.guests.values()].map((guest) => [guest.guestUid, guest]));
  return reservations
    .claims()
    .settledOn(node.uid)
    .filter(({ guestUid, device }) => {
      const guest = guests.get(guestUid);
      return guest === undefined || !hasDevice(guest, node, device);
    });
}

/** Returns how many it has freed. */
export function freeDevices(reservations: ReservationStore, node: NodeSnapshot): number {
  const unused = unusedDevices(reservations, node);
  for (const device of unused) reservations.forgetDevice(device);
  return unused.length;
}

/** What is promised on the node, without what could be freed. */
export function holdingsOn(reservations: ReservationStore, node: NodeSnapshot): Holdings {
  const claims = reservations.claims();
  const unused = new Set(unusedDevices(reservations, node));
  return sumHoldings(
    [...claims.ofNode(node.uid)].map((record) => outstanding(record, node)),
    claims.settledOn(node.uid).filter((device) => !unused.has(device)),
  );
}
