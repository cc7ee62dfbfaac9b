/** Devices for a guest that exists: what a wish gets on the guest's node, and what a name means there. Pure. */
import { type AttachDevices, ContainerSpec, type DetachDevices, type Device } from '@pxmgr/contract/common';
import { PlacementConstraints, type Reason } from '@pxmgr/contract/controller';
import type { GuestView } from '../domain/guest.ts';
import { askOf } from '../domain/placement.ts';
import type { DeviceClaim } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { checkDevices, deviceClaims, fitGpus, ownNodes } from './fit-device.ts';
import { type OnNode, refusal } from './reason.ts';
import { resolveDevices } from './resolve.ts';

export interface DeviceOffer {
  /** Empty when the node can give it. */
  readonly reasons: readonly Reason[];
  /** Nothing left to choose. */
  readonly devices: readonly Device[];
  readonly claims: readonly DeviceClaim[];
}

export function offerDevices(wish: AttachDevices, { node: whole, guest, held, policy }: OnNode): DeviceOffer {
  const reasons: Reason[] = [];
  // "Another card": what it has already is no answer.
  const others = whole.gpus.filter((gpu) => !ownNodes(gpu, whole).some((path) => guest.devicePaths.includes(path)));
  const node = (wish.gpu?.address ?? '') === '' ? { ...whole, gpus: others } : whole;
  const named = wish.devices.flatMap((device) => withPath(device, node, reasons));
  const spec = ContainerSpec.fromPartial({ gpu: wish.gpu, devices: named });
  const ask = askOf(spec, PlacementConstraints.fromPartial({}));
  const gpus = fitGpus({ ask, policy, node, held, reasons });
  checkDevices({ ask, policy, node: whole, held, reasons });
  return { reasons, devices: resolveDevices(named, node, gpus), claims: deviceClaims(ask, node, gpus) };
}

/** A USB device by its id: its serial ports where it has some, else the raw node. */
function withPath(device: Device, node: NodeSnapshot, reasons: Reason[]): Device[] {
  if (device.path !== '') return [device];
  const paths = pathsOfId(node, device.deviceId);
  const ports = paths.filter((path) => !path.startsWith('/dev/bus/usb/'));
  if (paths.length === 0)
    reasons.push(refusal('device', `${device.deviceId} is not there`, { wanted: device.deviceId, found: 'not there' }));
  return (ports.length > 0 ? ports : paths).map((path) => ({ ...device, path }));
}

/** Device nodes of a card or a USB device; empty when the node does not have it. */
function pathsOfId(node: NodeSnapshot, id: string): readonly string[] {
  const gpu = node.gpus.find(({ address }) => address === id);
  return gpu?.devicePaths ?? [...node.usbPaths].flatMap(([path, usb]) => (usb === id ? [path] : []));
}

/** One entry for each path of the guest that the names mean; a name that means none stays for the agent to refuse. */
export function devicesToTake({ devices }: DetachDevices, node: NodeSnapshot, guest: GuestView): Device[] {
  return devices.flatMap((device) => {
    if (device.path !== '') return [device];
    const ofId = new Set(pathsOfId(node, device.deviceId));
    const given = guest.devicePaths.filter((path) => ofId.has(path));
    return given.length > 0 ? given.map((path) => ({ ...device, path })) : [{ ...device, path: device.deviceId }];
  });
}

/** Whether the guest still has the device that it was promised; true where the node does not know it at present. */
export function hasDevice(guest: GuestView, node: NodeSnapshot, key: string): boolean {
  const gpu = node.gpus.find(({ address }) => address === key);
  const paths = gpu === undefined ? pathsOfId(node, key.replace(/^usb:/, '')) : ownNodes(gpu, node);
  return paths.length === 0 || guest.devicePaths.some((path) => paths.includes(path));
}
