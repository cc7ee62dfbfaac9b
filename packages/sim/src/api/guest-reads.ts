/** A container's interfaces and snapshots and the content of a storage, as the API tells them. */
import { statSync } from 'node:fs';
import { loadConfig, requireSnapshot } from '../guest/config-store.ts';
import { isHaManaged } from '../guest/ha.ts';
import { mountPoints } from '../guest/mount-point.ts';
import type { Host } from '../host/host.ts';
import { runningGuest } from '../host/running.ts';
import { parsePropertyString } from '../schema/value.ts';
import { contentRows } from '../storage/content.ts';
import { enabledStorage, findVolume, volumeBackend, volumePath } from '../storage/storages.ts';
import type { Asked } from './asked.ts';

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

export async function contentAnswer(host: Host, id: string, params: Asked['params']): Promise<unknown[]> {
  const content = params.get('content');
  const vmid = params.get('vmid');
  const rows = await contentRows(host, enabledStorage(host, id), vmid === undefined ? undefined : Number(vmid));
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

/** No manager runs here, so nothing is known of the resource's state (pve-ha-manager src/PVE/HA/Config.pm get_service_status). */
export function haState(host: Host, vmid: number): Record<string, unknown> {
  return isHaManaged(host, vmid) ? { managed: 1, state: null } : { managed: 0 };
}

/** pve-container src/PVE/LXC/Config.pm has_feature: every volume must have it, and a bind mount has none. */
export async function featureAnswer(host: Host, vmid: number, params: Asked['params']): Promise<unknown> {
  const config = loadConfig(host, vmid, () => undefined);
  const name = params.get('snapname');
  const section = name === undefined ? config : requireSnapshot(config, name);
  const feature = params.get('feature') ?? '';
  const points = mountPoints(section);
  const able = await Promise.all(
    points.map(async ({ kind, volume }) => {
      if (kind !== 'volume') return false;
      const { storage, volname } = findVolume(host, volume);
      const isPool = (await volumeBackend(storage)).canSnapshot(storage, volname);
      return hasFeature(feature, {
        isBase: /(?:^|\/)base/.test(volname),
        isOfSnapshot: name !== undefined,
        volname,
        isPool,
      });
    }),
  );
  return { hasFeature: able.includes(false) ? 0 : 1 };
}

interface Featured {
  readonly isBase: boolean;
  readonly isOfSnapshot: boolean;
  readonly volname: string;
  /** On a pool, not in a directory. */
  readonly isPool: boolean;
}

/** For containers, whose clones in directories must not be qcow2 (pve-storage src/PVE/Storage/{Plugin,ZFSPoolPlugin}.pm volume_has_feature). */
function hasFeature(feature: string, { isBase, isOfSnapshot, isPool, volname }: Featured): boolean {
  if (feature === 'snapshot') return isPool && !isBase;
  if (feature === 'clone') return isPool && isBase && !isOfSnapshot;
  return feature === 'copy' && !isOfSnapshot && (isPool || /\.(?:raw|qcow2|vmdk)$/.test(volname));
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
