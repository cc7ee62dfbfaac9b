/** Bridges, bonds, VLANs and cards of the node from sysfs; devices that belong to guests are left out. */
import type { Address } from './addresses.ts';
import { addressesOf } from './addresses.ts';
import type { HostPaths } from './paths.ts';

export type NetworkType = 'bridge' | 'bond' | 'vlan' | 'physical';

export interface NetworkDevice {
  readonly name: string;
  readonly type: NetworkType;
  readonly active: boolean;
  readonly vlanAware: boolean;
  /** CIDR form. */
  readonly addresses: readonly string[];
  readonly ports: readonly string[];
  readonly mtu: number;
}

/** veth and fw* of containers, tap and fw* of VMs (proxmox/pve-common src/PVE/Network.pm). */
const GUEST_DEVICE = /^(?:veth\d+i\d+|tap\d+i\d+|fw(?:br|pr|ln)\d+[ip]\d+)/;

/** `address` lines of ifupdown's file, by interface. */
export function parseInterfaces(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const line of text.split('\n')) {
    const head = /^\s*iface\s+(\S+)\s/.exec(line);
    if (head !== null) {
      current = found.get(head[1] ?? '') ?? [];
      found.set(head[1] ?? '', current);
    }
    const address = /^\s+address\s+(\S+)\s*$/.exec(line)?.[1];
    if (address !== undefined) current?.push(address);
  }
  return found;
}

function typeOf(paths: HostPaths, name: string): NetworkType | undefined {
  const base = `/sys/class/net/${name}`;
  if (paths.exists(`${base}/bridge`)) return 'bridge';
  if (paths.exists(`${base}/bonding`)) return 'bond';
  if (/^DEVTYPE=vlan$/m.test(paths.readIfThere(`${base}/uevent`) ?? '')) return 'vlan';
  return paths.exists(`${base}/device`) ? 'physical' : undefined;
}

/** A bridge without a port is "unknown" to the kernel and works all the same. */
function isActive(paths: HostPaths, name: string): boolean {
  const state = paths.attribute(`/sys/class/net/${name}/operstate`);
  return state === 'up' || state === 'unknown';
}

/** All network devices of the node, by name. Live addresses first; the configured ones when the kernel files tell none. */
export function readNetworks(paths: HostPaths): NetworkDevice[] {
  const live: Address[] = addressesOf(paths, '/proc/net');
  const configured = parseInterfaces(paths.readIfThere('/etc/network/interfaces') ?? '');
  return paths.list('/sys/class/net').flatMap((name): NetworkDevice[] => {
    const type = GUEST_DEVICE.test(name) ? undefined : typeOf(paths, name);
    if (type === undefined) return [];
    const base = `/sys/class/net/${name}`;
    const own = live.filter((address) => address.device === name).map((address) => address.cidr);
    const ports =
      type === 'bond' ? (paths.attribute(`${base}/bonding/slaves`) ?? '').split(' ') : paths.list(`${base}/brif`);
    return [
      {
        name,
        type,
        active: isActive(paths, name),
        vlanAware: paths.attribute(`${base}/bridge/vlan_filtering`) === '1',
        addresses: own.length > 0 ? own : (configured.get(name) ?? []),
        ports: ports.filter((port) => port !== '' && !GUEST_DEVICE.test(port)),
        mtu: Number(paths.attribute(`${base}/mtu`) ?? '0'),
      },
    ];
  });
}
