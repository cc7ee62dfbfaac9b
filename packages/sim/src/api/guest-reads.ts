/** A container's interfaces and snapshots and the content of a storage, as the API tells them. */
import { statSync } from 'node:fs';
import { loadConfig } from '../guest/config-store.ts';
import type { Host } from '../host/host.ts';
import { runningGuest } from '../host/running.ts';
import { parsePropertyString } from '../schema/value.ts';
import { contentRows } from '../storage/content.ts';
import { enabledStorage, volumePath } from '../storage/storages.ts';

/** null for a guest that does not run; a played guest has no addresses to show. */
export function interfaces(host: Host, vmid: number): unknown[] | null {
  const config = loadConfig(host, vmid, () => undefined);
  if (runningGuest(host, vmid) === undefined) return null;
  const row = (name: string, mac: string): Record<string, unknown> => ({
    name,
    hwaddr: mac,
    'hardware-address': mac,
    'ip-addresses': [],
  });
  const rows = [row('lo', '00:00:00:00:00:00')];
  for (const [key, value] of config.values) {
    if (!/^net\d+$/.test(key)) continue;
    const { name = '', hwaddr = '' } = parsePropertyString('lxc.net', value);
    rows.push(row(name, hwaddr.toLowerCase()));
  }
  return rows;
}

export async function contentAnswer(host: Host, id: string, content: string | undefined): Promise<unknown[]> {
  const rows = await contentRows(host, enabledStorage(host, id));
  const found: unknown[] = [];
  for (const row of rows.filter((r) => content === undefined || r.content === content)) {
    const stat = statSync(host.path(await volumePath(host, row.volid)), { throwIfNoEntry: false });
    found.push({
      volid: row.volid,
      content: row.content,
      format: row.format,
      size: row.sizeBytes,
      ctime: Math.floor((stat?.ctimeMs ?? 0) / 1000),
      ...(row.vmid === undefined ? {} : { vmid: row.vmid, used: (stat?.blocks ?? 0) * 512, parent: null }),
    });
  }
  return found;
}

/** Snapshots, and the present as their last (pve-container src/PVE/API2/LXC/Snapshot.pm list). */
export function snapshotRows(host: Host, vmid: number): unknown[] {
  const config = loadConfig(host, vmid, () => undefined);
  const parentOf = (values: ReadonlyMap<string, string>): Record<string, string> => {
    const parent = values.get('parent');
    return parent === undefined ? {} : { parent };
  };
  const rows = [...config.snapshots].map(([name, { values }]) => ({
    name,
    snaptime: Number(values.get('snaptime') ?? 0),
    description: values.get('description') ?? '',
    ...parentOf(values),
    ...(values.has('snapstate') ? { snapstate: values.get('snapstate') } : {}),
  }));
  const running = runningGuest(host, vmid) === undefined ? 0 : 1;
  const now = { name: 'current', digest: config.digest, running, description: 'You are here!' };
  return [...rows, { ...now, ...parentOf(config.values) }];
}
