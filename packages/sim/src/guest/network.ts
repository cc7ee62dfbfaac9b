/** `netN` values: the stored form and the MAC address a new interface gets (pve-container src/PVE/LXC/Config.pm). */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { readPveFile } from '../cluster/pmxcfs.ts';
import { readText } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { printPropertyString } from '../schema/property-string.ts';
import { parsePropertyString } from '../schema/value.ts';

const DEFAULT_PREFIX = 'BC:24:11';
const DEFAULT_MTU = 1500;

/** type is always set, a missing hwaddr is drawn with the datacenter's prefix. */
export function storedNetwork(host: Host, text: string): string {
  const values = parsePropertyString('lxc.net', text);
  values['type'] = 'veth';
  values['hwaddr'] ??= drawMac(host);
  return printPropertyString('lxc.net', values);
}

function drawMac(host: Host): string {
  const datacenter = readPveFile(host, 'datacenter.cfg') ?? '';
  const prefix = /^mac_prefix:\s*(\S+)/m.exec(datacenter)?.[1] ?? DEFAULT_PREFIX;
  const bytes = prefix.split(':').filter((part) => part !== '');
  // The process id is mixed in: two tools at work at once must not draw the same address.
  const drawn = host.draw(`mac\0${process.pid}\0${randomBytes(4).toString('hex')}`, 6 - bytes.length);
  return [...bytes, ...[...drawn].map((byte) => byte.toString(16).padStart(2, '0'))].join(':').toUpperCase();
}

/** What is refused before anything changes: an MTU above the bridge's, automatic IPv6 on a host-managed interface. */
export function checkNetwork(host: Host, key: string, text: string): void {
  const values = parsePropertyString('lxc.net', text);
  const mtu = Number(values['mtu'] ?? 0);
  const limit = mtu > 0 ? bridgeMtu(host, values['bridge'] ?? '') : Infinity;
  if (mtu > limit) throw new ToolError(`${key}: MTU size '${mtu}' is bigger than bridge MTU '${limit}'\n`);
  if (values['link_down'] !== '1' && values['host-managed'] === '1' && values['ip6'] === 'auto') {
    throw new ToolError(`${key}: SLAAC is not supported for host-managed network configuration.\n`);
  }
}

/** A bridge without a file that tells its MTU is one that does not exist (pve-common src/PVE/Network.pm read_bridge_mtu). */
export function bridgeMtu(host: Host, bridge: string): number {
  const folder = host.path(`/sys/class/net/${bridge}`);
  if (bridge === '' || !existsSync(folder)) throw new ToolError(`bridge '${bridge}' does not exist\n`, 2);
  return Number(readText(`${folder}/mtu`) ?? DEFAULT_MTU);
}

export function requireBridge(host: Host, text: string): void {
  const bridge = parsePropertyString('lxc.net', text)['bridge'];
  if (bridge !== undefined) bridgeMtu(host, bridge);
}

/** How often upstream writes the config while it changes an interface of a running guest (pve-container src/PVE/LXC.pm update_net). */
export function networkWrites(before: string | undefined, after: string): number {
  const next = parsePropertyString('lxc.net', after);
  const old = before === undefined ? {} : parsePropertyString('lxc.net', before);
  const differs = (keys: readonly string[]): boolean => keys.some((key) => old[key] !== next[key]);
  const isNew = before === undefined || differs(['hwaddr', 'name']);
  const unplugged = before !== undefined && isNew ? 1 : 0;
  const plugged = isNew ? 1 : differs(['bridge', 'tag', 'firewall', 'trunks', 'rate', 'link_down', 'mtu']) ? 2 : 0;
  const isSet = ({ ip, gw }: { ip: string; gw: string }): boolean =>
    isNew ? next[ip] !== undefined || next[gw] !== undefined : differs([ip, gw]);
  const addresses = [
    { ip: 'ip', gw: 'gw' },
    { ip: 'ip6', gw: 'gw6' },
  ].filter(isSet);
  return unplugged + plugged + addresses.length;
}
