/**
 * `/cluster/resources` and `/nodes`: what the nodes' status daemons last reported, made without contacting any guest
 * (pve-manager PVE/API2/Cluster.pm, PVE/API2Tools.pm). A report of a node that went offline is shown for five minutes.
 */
import { createHash } from 'node:crypto';
import { switchesOf } from '../call/switches.ts';
import { guestFile, readCluster, readGuestFile, readPveFile } from '../cluster/pmxcfs.ts';
import type { ClusterState, Member } from '../cluster/state.ts';
import { containerSyntax } from '../guest/syntax.ts';
import { vmStatusFields } from '../guest/vm-status.ts';
import type { Host } from '../host/host.ts';
import { Host as OpenHost } from '../host/host.ts';
import { statusFields } from '../pct/show.ts';
import { spaceOf } from '../storage/storages.ts';
import { parseConfig } from '../text/guest-config.ts';
import { contentOf, isDisabled, isOnNode, isShared } from '../text/storage-cfg.ts';
import { parseVmConfig } from '../text/vm-config.ts';

type Row = Record<string, unknown>;

export interface Wanted {
  /** `vm`, `node`, `storage`, `network`, or undefined for all. */
  readonly type?: string | undefined;
  /** A caller without any right sees that there are nodes, and nothing else. */
  readonly hasRights?: boolean;
}

/** How long the cluster file system keeps what a node reported (pve-cluster src/pmxcfs/status.c rrd_entry_is_old). */
const REPORT_KEPT_MS = 300_000;

export async function resources(host: Host, { type, hasRights = true }: Wanted): Promise<Row[]> {
  const state = readCluster(host);
  const wants = (kind: string): boolean => type === undefined || type === kind;
  const rows: Row[] = [];
  if (wants('vm') && hasRights)
    rows.push(
      ...Object.keys(state.guests)
        .sort()
        .map((id) => guestRow(host, state, Number(id))),
    );
  for (const [name, member] of Object.entries(state.members)) {
    const node = reporting(host, name, member);
    if (wants('node')) rows.push(nodeRow(name, { member, node, hasRights }));
    if (wants('storage') && hasRights) rows.push(...(await storageRows(host, name, node)));
    if (wants('network') && hasRights && node !== undefined) rows.push(zoneRow(name));
  }
  return rows;
}

/** Every node has this zone of its plain bridges. */
function zoneRow(node: string): Row {
  const network = 'localnetwork';
  const id = `network/${node}/zone/${network}`;
  return { id, network, 'network-type': 'zone', node, status: 'ok', type: 'network' };
}

export function nodes(host: Host, warn: (line: string) => void): Row[] {
  return Object.entries(readCluster(host).members).map(([name, member]) => ({
    ...nodeRow(name, { member, node: reporting(host, name, member), hasRights: true }),
    ssl_fingerprint: fingerprint(host, name, warn),
  }));
}

function fingerprint(host: Host, node: string, warn: (line: string) => void): string | null {
  const path = `nodes/${node}/pve-ssl.pem`;
  const text = readPveFile(host, path);
  const body = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/.exec(text ?? '')?.[1];
  if (body === undefined) {
    warn(`'/etc/pve/${path}' does not exist!\n`);
    return null;
  }
  const digest = createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex').toUpperCase();
  return digest.replace(/..(?=.)/g, '$&:');
}

/** Nodes whose last reports are known here. */
export function reportingHosts(host: Host): Host[] {
  return Object.entries(readCluster(host).members)
    .map(([name, member]) => reporting(host, name, member))
    .filter((node) => node !== undefined);
}

/** The node whose last report is still known here. */
function reporting(host: Host, name: string, member: Member): Host | undefined {
  if (name === host.name) return host;
  if (!member.online && Date.now() - (member.lastReport?.at ?? 0) > REPORT_KEPT_MS) return undefined;
  try {
    return OpenHost.open(member.root);
  } catch {
    return undefined;
  }
}

function guestRow(host: Host, state: ClusterState, vmid: number): Row {
  const guest = state.guests[String(vmid)];
  if (guest === undefined) return {};
  const base = { id: `${guest.type}/${vmid}`, node: guest.node, type: guest.type, vmid };
  const member = state.members[guest.node];
  const node = member === undefined ? undefined : reporting(host, guest.node, member);
  const text = readGuestFile(host, guestFile(guest.node, guest.type, vmid));
  if (node === undefined || text === undefined) return { ...base, status: 'unknown' };
  const last = member?.online === true ? undefined : member?.lastReport?.running;
  const told = last === undefined ? undefined : { running: last.find((one) => one.vmid === vmid) };
  if (guest.type === 'qemu')
    return { ...base, ...reported(vmStatusFields({ node, vmid, told }, parseVmConfig(text).values)) };
  const { config } = parseConfig(text, vmid, containerSyntax);
  const fields = statusFields({ host: node, vmid }, config, told);
  return { ...base, ...reported(fields) };
}

/** The same for containers and VMs (pve-manager PVE/API2Tools.pm extract_vm_stats). */
function reported(fields: Readonly<Record<string, unknown>>): Row {
  const shown = Object.fromEntries(Object.entries(fields).filter(([key]) => !isLeftOut(key)));
  const counters = { diskread: 0, diskwrite: 0, memhost: 0 };
  return { ...counters, ...shown, template: fields['template'] ?? 0, maxcpu: fields['cpus'], cpu: 0 };
}

/** Fields of a guest's own status that the report does not have. */
function isLeftOut(key: string): boolean {
  return ['cpus', 'maxswap', 'swap', 'pid', 'type', 'qmpstatus'].includes(key) || key.startsWith('pressure');
}

interface Reported {
  readonly member: Member;
  readonly node: Host | undefined;
  readonly hasRights: boolean;
}

function nodeRow(name: string, { member, node, hasRights }: Reported): Row {
  const base = { id: `node/${name}`, node: name, type: 'node' };
  const status = member.online ? 'unknown' : 'offline';
  if (node === undefined || switchesOf(node).noNodeReport === true) return { ...base, status };
  const { cores, memoryBytes, startTime } = node.identity;
  return {
    ...base,
    level: '',
    status: member.online ? 'online' : 'offline',
    ...(hasRights ? { maxcpu: cores, maxmem: memoryBytes, maxdisk: 100 * 1024 ** 3 } : {}),
    ...(hasRights && member.online
      ? {
          cpu: 0.01,
          mem: Math.floor(memoryBytes * 0.2),
          disk: 10 * 1024 ** 3,
          uptime: Math.floor(Date.now() / 1000) - startTime + 1000,
        }
      : {}),
  };
}

async function storageRows(host: Host, name: string, node: Host | undefined): Promise<Row[]> {
  const rows: Row[] = [];
  for (const storage of host.storages().filter((s) => isOnNode(s, name) && !isDisabled(s))) {
    const space = node === undefined ? undefined : await spaceOf(node, storage);
    rows.push({
      id: `storage/${name}/${storage.id}`,
      node: name,
      storage: storage.id,
      type: 'storage',
      plugintype: storage.type,
      content: contentOf(storage).sort().join(','),
      shared: isShared(storage) ? 1 : 0,
      ...(space === undefined
        ? { status: 'unknown' }
        : { status: 'available', disk: space.usedBytes, maxdisk: space.totalBytes }),
    });
  }
  return rows;
}
