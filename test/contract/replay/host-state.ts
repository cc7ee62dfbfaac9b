/** What a command can change on a stand-in host, read before and after it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readCluster, syncCluster } from '../../../packages/sim/src/cluster/pmxcfs.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { runningGuests } from '../../../packages/sim/src/host/running.ts';

export interface HostState {
  readonly configs: ReadonlyMap<string, string>;
  readonly version: Readonly<Record<string, number>>;
  readonly vmlist: string;
  readonly tasks: ReadonlyMap<string, string>;
  readonly lines: readonly string[];
  readonly log: readonly string[];
  readonly store: ReadonlyMap<string, number | undefined>;
  readonly running: readonly string[];
}

export function stateOf(host: Host): HostState {
  syncCluster(host);
  const cluster = readCluster(host);
  const version: Record<string, number> = { vmlist: cluster.vmlist, clinfo: cluster.clinfo };
  for (const [file, count] of Object.entries(cluster.files)) version[file] = count;
  for (const [node, count] of Object.entries(cluster.tasklist)) version[`kvstore.${node}.tasklist`] = count;
  const taskFiles = filesBelow(host.path('/var/log/pve/tasks'));
  return {
    configs: configsOf(host),
    version,
    vmlist: String(cluster.vmlist),
    tasks: new Map(
      taskFiles
        .filter((path) => /\/UPID:[^/]+$/.test(path))
        .map((path) => [path.slice(path.lastIndexOf('/') + 1), readFileSync(path, 'utf8')]),
    ),
    lines: ['active', 'index'].flatMap((name) =>
      linesOf(host.path(`/var/log/pve/tasks/${name}`)).map((line) => `${name} ${line}`),
    ),
    log: [...cluster.log].reverse().map((entry) => `${entry.uid} ${entry.tag} ${entry.user} ${entry.msg}`),
    store: storeOf(host),
    running: runningGuests(host).map((guest) => String(guest.vmid)),
  };
}

function configsOf(host: Host): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of filesBelow(host.clusterPath('nodes')))
    if (/\.conf$/.test(path)) found.set(path.replace(host.clusterDir, '/etc/pve'), readFileSync(path, 'utf8'));
  return found;
}

function storeOf(host: Host): Map<string, number | undefined> {
  const found = new Map<string, number | undefined>();
  for (const storage of host.storages()) {
    const path = storage.options['path'];
    if (path === undefined) continue;
    const walk = (folder: string): void => {
      if (!existsSync(host.path(folder)) || !statSync(host.path(folder)).isDirectory()) return;
      for (const name of readdirSync(host.path(folder))) {
        const stat = statSync(host.path(join(folder, name)), { throwIfNoEntry: false });
        if (stat === undefined) continue;
        found.set(
          `${join(folder, name)}${stat.isDirectory() && !name.endsWith('.subvol') ? '/' : ''}`,
          stat.isDirectory() ? undefined : stat.size,
        );
        if (stat.isDirectory() && !name.endsWith('.subvol')) walk(join(folder, name));
      }
    };
    for (const content of ['images', 'template/cache', 'template/iso', 'snippets']) walk(join(path, content));
  }
  return found;
}

function linesOf(path: string): string[] {
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
