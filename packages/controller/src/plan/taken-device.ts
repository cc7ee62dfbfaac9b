/** Whether somebody has put a device to use that a plan was promised alone, as far as the inventory shows. */
import type { FleetView } from '../domain/fleet-view.ts';
import type { ReservationRecord } from '../domain/reservation.ts';

/** Said in words; undefined while the guest of the reservation can have what it was promised. */
export function takenDevice(view: FleetView, reservation: ReservationRecord): string | undefined {
  for (const { device, exclusive } of reservation.devices) {
    const [user] = exclusive ? usersOf(view, reservation.nodeUid, device) : [];
    if (user !== undefined) return `device ${device} is now used by guest ${user} on ${reservation.nodeName}`;
  }
  return undefined;
}

function usersOf(view: FleetView, nodeUid: string, device: string): readonly number[] {
  const card = view.object(nodeUid, 'gpu', device)?.document?.document;
  if (card?.$case === 'gpu') return card.value.usedBy;
  const stick = view.object(nodeUid, 'usb', device.replace(/^usb:/, ''))?.document?.document;
  if (stick?.$case !== 'usb') return [];
  const paths = new Set(stick.value.devicePaths);
  return view.objects('container', nodeUid).flatMap(({ document }) => {
    const guest = document?.document;
    if (guest?.$case !== 'container') return [];
    return guest.value.devices.some(({ path }) => paths.has(path)) ? [guest.value.vmid] : [];
  });
}
