/**
 * Network of really started guests. Each bridge of a stand-in host is a real bridge with a name of its own, which
 * exists while a guest uses it. A host-managed static address is given to the guest as LXC does it on a node; for
 * `ip=dhcp` the stand-in is the DHCP server and picks an address from 198.18.0.0/15 (RFC 2544, never routed). The machine
 * reaches each guest by a route to that one address, so hosts may use the same subnets without knowing of each other.
 * Where bridges cannot be made, guests get the loopback interface only and are reached through their namespace.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readJson } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { runProgram } from '../host/machine.ts';
import type { PropertyValues } from '../schema/property-split.ts';
import { parsePropertyString } from '../schema/value.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { type LxcGuest, shortHash } from './lxc-command.ts';

interface NetCard {
  readonly index: number;
  readonly name: string;
  readonly bridge: string;
  readonly hwaddr: string | undefined;
  readonly isUp: boolean;
  /** With prefix length. */
  readonly ip: string | undefined;
  readonly gateway: string | undefined;
  readonly ip6: string | undefined;
  readonly gateway6: string | undefined;
  readonly fromDhcp: boolean;
}

export interface GuestNetwork {
  readonly cards: readonly NetCard[];
  readonly lxcLines: readonly string[];
}

/** `<guest directory>/net.json`: what release must undo. */
interface NetRecord {
  readonly bridges: readonly string[];
  readonly routes: readonly { readonly address: string; readonly bridge: string }[];
}

const DHCP_GATEWAY = '198.18.0.1';

/** Makes the bridges and returns the lines for LXC. `log` hears why the network is smaller than asked for. */
export async function prepareNetwork(
  host: Host,
  guest: LxcGuest,
  options: { config: GuestConfig; log: (text: string) => void },
): Promise<GuestNetwork> {
  const cards = cardsOf(host, guest.vmid, options.config);
  const bridges = [...new Set(cards.map((card) => card.bridge))];
  noteUse(host, guest, bridges);
  for (const bridge of bridges) {
    const problem = await makeBridge(bridge);
    if (problem === undefined) continue;
    options.log(`stand-in: no bridge on this machine (${problem}); the guest has its loopback interface only\n`);
    await releaseNetwork(host, guest);
    return { cards: [], lxcLines: LOOPBACK_ONLY };
  }
  return { cards, lxcLines: cards.length === 0 ? LOOPBACK_ONLY : cards.flatMap(lxcLines) };
}

const LOOPBACK_ONLY = ['lxc.net.0.type = empty', 'lxc.net.0.flags = up'] as const;

/** After the start: makes the guest's addresses reachable from this machine and leaves the lease file a DHCP client leaves. */
export async function publishAddresses(
  host: Host,
  guest: LxcGuest,
  options: { network: GuestNetwork; log: (text: string) => void },
): Promise<void> {
  const routes: { address: string; bridge: string }[] = [];
  for (const card of options.network.cards) {
    if (card.ip === undefined || !card.isUp) continue;
    const address = card.ip.replace(/\/.*$/, '');
    const source = card.gateway ?? neighbour(address);
    await ip(['address', 'add', `${source}/32`, 'dev', card.bridge]);
    const added = await ip(['route', 'add', `${address}/32`, 'dev', card.bridge, 'src', source]);
    if (added === undefined) routes.push({ address, bridge: card.bridge });
    else options.log(`stand-in: ${address} is not reachable from this machine (${added}); the guest itself has it\n`);
    if (card.fromDhcp) writeLease(host, guest.vmid, { card: card.name, address });
  }
  writeRecord(guest, { bridges: readRecord(guest).bridges, routes });
}

/** Undoes everything of one guest; a bridge goes with its last guest. Harmless when there is nothing to undo. */
export async function releaseNetwork(host: Host, guest: LxcGuest): Promise<void> {
  const record = readRecord(guest);
  for (const route of record.routes) await ip(['route', 'del', `${route.address}/32`, 'dev', route.bridge]);
  for (const bridge of record.bridges) {
    rmSync(useFile(host, bridge, guest.vmid), { force: true });
    if (existsSync(useFolder(host, bridge)) && readdirSync(useFolder(host, bridge)).length === 0)
      await ip(['link', 'del', bridge]);
  }
  rmSync(recordFile(guest), { force: true });
}

function cardsOf(host: Host, vmid: number, config: GuestConfig): NetCard[] {
  const cards: NetCard[] = [];
  for (const [key, text] of config.values) {
    const index = /^net(\d+)$/.exec(key)?.[1];
    if (index === undefined) continue;
    const net = parsePropertyString('lxc.net', text);
    const plain = {
      index: Number(index),
      name: net['name'] ?? `eth${index}`,
      bridge: `pxbr-${shortHash(`${host.root}\0${net['bridge'] ?? 'vmbr0'}`)}`,
      hwaddr: net['hwaddr'],
    };
    cards.push({ ...plain, ...addressing(net, `${host.root}\0${vmid}\0${index}`) });
  }
  return cards.sort((a, b) => a.index - b.index);
}

type Addressing = Pick<NetCard, 'isUp' | 'ip' | 'gateway' | 'ip6' | 'gateway6' | 'fromDhcp'>;

/** A card that the guest manages itself gets nothing from the host. `leaseKey` decides the address a DHCP card gets. */
function addressing(net: PropertyValues, leaseKey: string): Addressing {
  if (net['host-managed'] !== '1') {
    return { isUp: false, ip: undefined, gateway: undefined, ip6: undefined, gateway6: undefined, fromDhcp: false };
  }
  const fromDhcp = net['ip'] === 'dhcp';
  const given = (text: string | undefined): string | undefined =>
    /^(auto|dhcp|manual)$/.test(text ?? 'manual') ? undefined : text;
  return {
    isUp: net['link_down'] !== '1',
    ip: fromDhcp ? leasedAddress(leaseKey) : given(net['ip']),
    gateway: fromDhcp ? DHCP_GATEWAY : net['gw'],
    ip6: given(net['ip6']),
    gateway6: net['gw6'],
    fromDhcp,
  };
}

function lxcLines(card: NetCard): string[] {
  const key = `lxc.net.${card.index}`;
  const lines = [`${key}.type = veth`, `${key}.link = ${card.bridge}`, `${key}.name = ${card.name}`];
  if (card.hwaddr !== undefined) lines.push(`${key}.hwaddr = ${card.hwaddr}`);
  if (card.ip !== undefined) lines.push(`${key}.ipv4.address = ${card.ip}`);
  if (card.gateway !== undefined) lines.push(`${key}.ipv4.gateway = ${card.gateway}`);
  if (card.ip6 !== undefined) lines.push(`${key}.ipv6.address = ${card.ip6}`);
  if (card.gateway6 !== undefined) lines.push(`${key}.ipv6.gateway = ${card.gateway6}`);
  if (card.isUp) lines.push(`${key}.flags = up`);
  return lines;
}

/** One of 131,000 addresses; which one follows from the guest, so a restart keeps it. */
function leasedAddress(key: string): string {
  const n = 256 + (Number.parseInt(shortHash(key), 16) % (2 ** 17 - 512));
  return `198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}/15`;
}

/** An address beside the guest's for the machine's end of the bridge, when the configuration names no gateway. */
function neighbour(address: string): string {
  const last = Number(address.split('.').at(-1));
  return address.replace(/\d+$/, String(last > 1 ? last - 1 : last + 1));
}

async function makeBridge(name: string): Promise<string | undefined> {
  if (existsSync(`/sys/class/net/${name}`)) return undefined;
  const problem = await ip(['link', 'add', name, 'type', 'bridge']);
  if (problem !== undefined && !existsSync(`/sys/class/net/${name}`)) return problem;
  return ip(['link', 'set', name, 'up']);
}

/** undefined when it worked, else what `ip` said. An address that is already there counts as done. */
async function ip(args: readonly string[]): Promise<string | undefined> {
  const result = await runProgram({ file: 'ip', args, purpose: 'network of a guest', timeoutMs: 10_000 }).catch(
    (err: unknown) => err as Error,
  );
  if (result instanceof Error) return result.message;
  if (result.exitCode === 0) return undefined;
  return result.stderr.trim().split('\n')[0] ?? 'unknown';
}

function useFolder(host: Host, bridge: string): string {
  return host.simPath('lxc-net', bridge);
}

function useFile(host: Host, bridge: string, vmid: number): string {
  return `${useFolder(host, bridge)}/${vmid}`;
}

function noteUse(host: Host, guest: LxcGuest, bridges: readonly string[]): void {
  for (const bridge of bridges) {
    mkdirSync(useFolder(host, bridge), { recursive: true });
    writeFileSync(useFile(host, bridge, guest.vmid), '');
  }
  writeRecord(guest, { bridges, routes: [] });
}

function recordFile(guest: LxcGuest): string {
  return `${guest.directory}/net.json`;
}

function readRecord(guest: LxcGuest): NetRecord {
  return readJson<NetRecord>(recordFile(guest)) ?? { bridges: [], routes: [] };
}

function writeRecord(guest: LxcGuest, record: NetRecord): void {
  writeFileSync(recordFile(guest), JSON.stringify(record));
}

function writeLease(host: Host, vmid: number, lease: { card: string; address: string }): void {
  const folder = host.path(`/var/lib/lxc/${vmid}/hook`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    `${folder}/dhclient4-${lease.card}.leases`,
    `lease {\n  interface "${lease.card}";\n  fixed-address ${lease.address};\n  option routers ${DHCP_GATEWAY};\n  expire 5 2038/01/01 00:00:00;\n}\n`,
  );
}
