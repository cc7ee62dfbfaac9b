/** A stand-in host made from its description. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomicSync } from '../file/sim-file.ts';
import { Host, type HostIdentity, type HostSpec } from '../host/host.ts';
import { buildHostTree } from './host-tree.ts';

/** Makes the tree. Refuses a directory that already holds a host. */
export function createHost(root: string, spec: HostSpec): Host {
  const record = join(root, '.sim', 'host.json');
  if (existsSync(record)) throw new Error(`${root} already holds a stand-in host`);
  mkdirSync(join(root, '.sim'), { recursive: true });
  writeFileAtomicSync(record, `${JSON.stringify(identityOf(spec), undefined, 1)}\n`);
  const host = Host.open(root);
  buildHostTree(host, spec.storages);
  return host;
}

function identityOf(spec: HostSpec): HostIdentity {
  return {
    name: spec.name,
    cores: spec.cores,
    memoryBytes: spec.memoryBytes,
    clusterDir: spec.clusterDir ?? '',
    ...(spec.clusterDir !== undefined ? { clusterName: spec.clusterName ?? 'lab' } : {}),
    seed: spec.seed ?? spec.name,
    runtime: spec.runtime ?? 'played',
    ip: spec.ip ?? '192.0.2.1',
    bridges: spec.bridges ?? ['vmbr0'],
    cpuModel: spec.cpuModel ?? 'Stand-in CPU @ 3.00GHz',
    containerLevel: spec.containerLevel ?? '6.1.10',
    startTime: spec.startTime ?? Math.floor(Date.now() / 1000),
    zfsVersion: spec.zfsVersion ?? 'zfs-2.3.4-pve1',
  };
}
