/** Which GPUs a placement gets, and whether the named devices are there and free. */
import { formatSize } from '@pxmgr/contract';
import type { GpuAsk, PlacementAsk } from '../domain/placement.ts';
import type { DeviceClaim, Holdings } from '../domain/reservation.ts';
import type { GpuView, NodeSnapshot } from '../domain/snapshot.ts';
import { refusal, type Trial } from './reason.ts';

const NONE: readonly GpuView[] = [];

/** Bytes of video memory that nobody asked for yet; 0 when the node does not know the card's size. */
export function freeVram(gpu: GpuView, held: Holdings): number {
  return Math.max(0, gpu.vramBytes - (held.devices.get(gpu.address)?.vramBytes ?? 0));
}

/** Why the card does not do; undefined when it does. */
function gpuObstacle(gpu: GpuView, ask: GpuAsk, held: Holdings): string | undefined {
  if (ask.address !== '' && gpu.address !== ask.address) return 'another address';
  if (ask.vendor !== '' && gpu.vendor !== ask.vendor) return gpu.vendor;
  if (gpu.devicePaths.length === 0) return 'no device node';
  return sharingObstacle(gpu, ask, held) ?? vramObstacle(gpu, ask, held);
}

function sharingObstacle(gpu: GpuView, ask: GpuAsk, held: Holdings): string | undefined {
  const hold = held.devices.get(gpu.address);
  if (hold?.exclusive === true) return 'taken as a whole';
  if (!ask.exclusive) return undefined;
  if (gpu.usedBy.length > 0) return `in use by ${gpu.usedBy.join(', ')}`;
  return hold === undefined ? undefined : 'promised to another guest';
}

function vramObstacle(gpu: GpuView, ask: GpuAsk, held: Holdings): string | undefined {
  if (ask.vramBytes === 0) return undefined;
  if (gpu.vramBytes === 0) return 'video memory unknown';
  const free = freeVram(gpu, held);
  return free < ask.vramBytes ? `${formatSize(free)} of ${formatSize(gpu.vramBytes)} free` : undefined;
}

/** The smallest card that does comes first: a bigger one stays for who needs it. */
function byFit(held: Holdings): (a: GpuView, b: GpuView) => number {
  const users = (gpu: GpuView): number => gpu.usedBy.length + (held.devices.get(gpu.address)?.holders ?? 0);
  return (a, b) =>
    a.vramBytes - b.vramBytes ||
    freeVram(a, held) - freeVram(b, held) ||
    users(a) - users(b) ||
    (a.address < b.address ? -1 : 1);
}

export function fitGpus({ ask, node, held, reasons }: Trial): readonly GpuView[] {
  const { gpu } = ask;
  if (gpu === undefined) return NONE;
  const free = node.gpus.filter((card) => gpuObstacle(card, gpu, held) === undefined).sort(byFit(held));
  if (free.length >= gpu.count) return free.slice(0, gpu.count);
  const found = node.gpus.map((card) => `${card.address} ${gpuObstacle(card, gpu, held) ?? 'free'}`).join('; ');
  const wanted = gpuWish(gpu);
  reasons.push(
    refusal('gpu', `${wanted} wanted, ${found === '' ? 'the node has no GPU' : `found ${found}`}`, {
      wanted,
      found: found === '' ? 'none' : found,
    }),
  );
  return NONE;
}

function gpuWish(ask: GpuAsk): string {
  const words = [String(ask.count), ask.vendor, ask.count === 1 ? 'GPU' : 'GPUs'];
  if (ask.address !== '') words.push(`at ${ask.address}`);
  if (ask.vramBytes > 0) words.push(`with ${formatSize(ask.vramBytes)}`);
  if (ask.exclusive) words.push('exclusively');
  return words.filter((word) => word !== '').join(' ');
}

/** Ledger key of a USB device. */
export function usbKey(id: string): string {
  return `usb:${id}`;
}

/** Names under these folders are stable and inventoried: one that is not in the inventory is not there. */
const LISTED = ['/dev/dri/', '/dev/serial/', '/dev/bus/usb/'];

/** A USB device goes to one guest only; GPU nodes and plain character devices may be shared. */
export function checkDevices(trial: Trial): void {
  const { ask, node, reasons } = trial;
  for (const path of ask.devicePaths) {
    const usb = node.usbPaths.get(path);
    const card = cardOf(path, node);
    if (usb !== undefined) checkUsb(path, usb, trial);
    else if (card !== undefined) checkCard(path, card, trial);
    else if (
      LISTED.some((folder) => path.startsWith(folder)) &&
      !node.gpus.some((gpu) => gpu.devicePaths.includes(path))
    ) {
      reasons.push(refusal('device', `${path} is not there`, { wanted: path, found: 'not there' }));
    }
  }
}

/** The card whose node this is; some nodes, like /dev/kfd, may belong to several. */
function cardOf(path: string, { gpus }: NodeSnapshot): GpuView | undefined {
  const [card, another] = gpus.filter((gpu) => gpu.devicePaths.includes(path));
  return another === undefined ? card : undefined;
}

/** Device nodes that open this card and no other. */
export function ownNodes(card: GpuView, node: NodeSnapshot): string[] {
  return card.devicePaths.filter((path) => cardOf(path, node) === card);
}

/** Who names a card by its path shares it, like anybody who does not ask for the whole. */
function checkCard(path: string, card: GpuView, { held, reasons }: Trial): void {
  if (held.devices.get(card.address)?.exclusive !== true) return;
  reasons.push(refusal('device', `${path} is taken as a whole by another guest`, { wanted: path, found: 'taken' }));
}

function checkUsb(path: string, usb: string, on: Trial): void {
  if (on.held.devices.has(usbKey(usb))) {
    on.reasons.push(refusal('device', `${path} is promised to another guest`, { wanted: path, found: 'promised' }));
    return;
  }
  for (const guest of on.node.guests.values()) {
    if (!guest.devicePaths.some((used) => on.node.usbPaths.get(used) === usb)) continue;
    on.reasons.push(
      refusal('device', `${path} is in use by ${guest.name} (${String(guest.vmid)})`, {
        wanted: path,
        found: 'in use',
      }),
    );
    return;
  }
}

/** What the ledger writes down for the placement on this node. */
export function deviceClaims(ask: PlacementAsk, node: NodeSnapshot, gpus: readonly GpuView[]): DeviceClaim[] {
  const claims: DeviceClaim[] = gpus.map((gpu) => ({
    device: gpu.address,
    vramBytes: ask.gpu?.vramBytes ?? 0,
    exclusive: ask.gpu?.exclusive ?? false,
  }));
  for (const card of ask.devicePaths.map((path) => cardOf(path, node))) {
    if (card !== undefined && !claims.some(({ device }) => device === card.address))
      claims.push({ device: card.address, vramBytes: 0, exclusive: false });
  }
  const ids = new Set(ask.devicePaths.map((path) => node.usbPaths.get(path)).filter((id) => id !== undefined));
  for (const id of ids) claims.push({ device: usbKey(id), vramBytes: 0, exclusive: true });
  return claims;
}
