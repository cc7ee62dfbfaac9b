/** USB devices of the node from sysfs, with the stable names of their serial ports. */
import type { HostPaths } from '../host/paths.ts';

export interface UsbDevice {
  /** Bus and port path: 1-4.2. It stays the same as long as nobody moves the plug. */
  readonly id: string;
  readonly vendorId: string;
  readonly productId: string;
  readonly manufacturer: string;
  readonly product: string;
  readonly serial: string;
  /** Stable names first; the raw bus node, whose number changes at each plugging, last. */
  readonly devicePaths: readonly string[];
}

const USB = '/sys/bus/usb/devices';
const BY_ID = '/dev/serial/by-id';
/** bDeviceClass of hubs (USB-IF defined class codes). */
const HUB_CLASS = '09';

/** Port paths of everything plugged in, hubs included: a cheap listing that shows whether a device came or went. */
export function usbIds(paths: HostPaths): string[] {
  return paths.list(USB).filter((name) => /^\d+-\d+(?:\.\d+)*$/.test(name));
}

/** ttyUSB0, ttyACM0: below the interface folders `<id>:<config>.<interface>`, directly or in `tty/`. */
function serialPorts(paths: HostPaths, id: string): string[] {
  const interfaces = paths.list(`${USB}/${id}`).filter((name) => name.startsWith(`${id}:`));
  return interfaces.flatMap((name) => {
    const folder = `${USB}/${id}/${name}`;
    return [...paths.list(folder), ...paths.list(`${folder}/tty`)].filter((entry) => /^tty(?:USB|ACM)\d+$/.test(entry));
  });
}

function nodePaths(paths: HostPaths, id: string): string[] {
  const targets = paths
    .list(BY_ID)
    .map((name) => [paths.link(`${BY_ID}/${name}`)?.split('/').pop() ?? '', `${BY_ID}/${name}`] as const);
  const stable = new Map(targets);
  const ports = serialPorts(paths, id).map((port) => stable.get(port) ?? `/dev/${port}`);
  const pad = (name: string): string => (paths.attribute(`${USB}/${id}/${name}`) ?? '').padStart(3, '0');
  return [...ports, `/dev/bus/usb/${pad('busnum')}/${pad('devnum')}`].filter((path) => paths.exists(path));
}

/** Every device that is no hub. */
export function readUsbDevices(paths: HostPaths): UsbDevice[] {
  return usbIds(paths).flatMap((id): UsbDevice[] => {
    const text = (name: string): string => paths.attribute(`${USB}/${id}/${name}`) ?? '';
    if (text('bDeviceClass') === HUB_CLASS) return [];
    return [
      {
        id,
        vendorId: text('idVendor'),
        productId: text('idProduct'),
        manufacturer: text('manufacturer'),
        product: text('product'),
        serial: text('serial'),
        devicePaths: nodePaths(paths, id),
      },
    ];
  });
}
