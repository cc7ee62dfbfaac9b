/** `/cluster/resources`: one list over nodes, guests and storages of the cluster, made without contacting any guest. */
import { parseConfig } from '../config-text.ts';
import { containerSyntax } from '../guest/syntax.ts';
import type { Host } from '../host.ts';
import { Host as OpenHost } from '../host.ts';
import { statusFields } from '../pct/show.ts';
import { guestFile, readCluster, readPveFile } from '../pmxcfs.ts';
import type { ClusterState } from '../pmxcfs-state.ts';
import { contentOf, isDisabled, isOnNode, isShared } from '../storage-cfg.ts';
import { spaceOf } from '../storages.ts';
import { parseVmConfig } from '../vm-config.ts';

type Row = Record<string, unknown>;

/** `type` may be vm, node, storage, or undefined for all. */
export async function resources(host: Host, type: string | undefined): Promise<Row[]> {
  const state = readCluster(host);
  const rows: Row[] = [];
  if (type === undefined || type === 'vm')
    rows.push(
      ...Object.keys(state.guests)
        .sort((a, b) => Number(a) - Number(b))
        .map((id) => guestRow(host, state, Number(id))),
    );
  for (const [name, member] of Object.entries(state.members)) {
    const node = name === host.name ? host : open(member.root);
    if (type === undefined || type === 'node') rows.push(nodeRow(name, member.online ? node : undefined));
    if (node !== undefined && (type === undefined || type === 'storage')) rows.push(...(await storageRows(node)));
  }
  return rows;
}

function open(root: string): Host | undefined {
  try {
    return OpenHost.open(root);
  } catch {
    return undefined;
  }
}

function guestRow(host: Host, state: ClusterState, vmid: number): Row {
  const guest = state.guests[String(vmid)];
  if (guest === undefined) return {};
  const base = { id: `${guest.type}/${vmid}`, node: guest.node, type: guest.type, vmid };
  const member = state.members[guest.node];
  const node = guest.node === host.name ? host : member?.online === true ? open(member.root) : undefined;
  const text = readPveFile(host, guestFile(guest.node, guest.type, vmid));
  if (node === undefined || text === undefined) return { ...base, status: 'unknown', template: 0 };
  if (guest.type === 'qemu') return { ...base, ...vmFields(vmid, text) };
  const fields = statusFields({ host: node, vmid }, parseConfig(text, vmid, containerSyntax).config);
  const shown = Object.fromEntries(Object.entries(fields).filter(([key]) => !NOT_LISTED.has(key)));
  return { ...base, ...shown, template: fields['template'] ?? 0, maxcpu: fields['cpus'], cpu: 0, memhost: 0 };
}

/** Fields of a guest's own status that the list leaves out. */
const NOT_LISTED = new Set(['cpus', 'maxswap', 'swap', 'pid', 'type']);

function vmFields(vmid: number, text: string): Row {
  const { values } = parseVmConfig(text);
  return {
    name: values.get('name') ?? `VM ${vmid}`,
    status: 'stopped',
    template: Number(values.get('template') ?? 0),
    maxmem: Number(values.get('memory') ?? 512) * 1024 * 1024,
    maxcpu: Number(values.get('cores') ?? 1),
  };
}

function nodeRow(name: string, node: Host | undefined): Row {
  const base = { id: `node/${name}`, node: name, type: 'node' };
  if (node === undefined) return { ...base, status: 'offline' };
  const { cores, memoryBytes } = node.identity;
  return {
    ...base,
    status: 'online',
    level: '',
    maxcpu: cores,
    cpu: 0.01,
    maxmem: memoryBytes,
    mem: Math.floor(memoryBytes * 0.2),
    disk: 10 * 1024 ** 3,
    maxdisk: 100 * 1024 ** 3,
    uptime: Math.floor(Date.now() / 1000) - node.identity.startTime + 1000,
  };
}

async function storageRows(node: Host): Promise<Row[]> {
  const rows: Row[] = [];
  for (const storage of node.storages().filter((s) => isOnNode(s, node.name) && !isDisabled(s))) {
    const space = await spaceOf(node, storage);
    rows.push({
      id: `storage/${node.name}/${storage.id}`,
      node: node.name,
      storage: storage.id,
      type: 'storage',
      plugintype: storage.type,
      content: contentOf(storage).sort().join(','),
      shared: isShared(storage) ? 1 : 0,
      status: space === undefined ? 'unknown' : 'available',
      disk: space?.usedBytes ?? 0,
      maxdisk: space?.totalBytes ?? 0,
    });
  }
  return rows;
}
