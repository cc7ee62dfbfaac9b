/** /etc/pve/.rrd: the last values of the status daemon, one line per node, guest and storage (pve-cluster status.c, pve-manager pvestatd). */

import { readCluster } from '../cluster/pmxcfs.ts';
import { readText, writeFileAtomicSync } from '../file/sim-file.ts';
import { loadConfig } from '../guest/config-store.ts';
import type { Host } from '../host/host.ts';
import { statusFields } from '../pct/show.ts';
import { spaceOf } from '../storage/storages.ts';
import { isDisabled, isOnNode } from '../text/storage-cfg.ts';

const UNKNOWN = 'U';

export async function writeStatus(host: Host): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const lines = [nodeLine(host, now), ...guestLines(host, now), ...(await storageLines(host, now))];
  // Lines of other nodes stay: each node writes its own, the cluster shares them.
  const shared = host.clusterPath('.sim', `rrd.${host.name}`);
  writeFileAtomicSync(shared, lines.map((line) => `${line}\n`).join(''));
  const all = Object.keys(readCluster(host).members).map(
    (node) => readText(host.clusterPath('.sim', `rrd.${node}`)) ?? '',
  );
  writeFileAtomicSync(host.path('/etc/pve/.rrd'), all.join(''), 0o440);
}

function nodeLine(host: Host, now: number): string {
  const { cores, memoryBytes, startTime, name } = host.identity;
  const used = Math.floor(memoryBytes * 0.2);
  const numbers = [
    0.1,
    cores,
    0.01,
    0,
    memoryBytes,
    used,
    8 * 1024 ** 3,
    0,
    100 * 1024 ** 3,
    10 * 1024 ** 3,
    0,
    0,
    memoryBytes - used,
    0,
    '0.10',
    '0.00',
    '0.00',
    '0.00',
    '0.00',
  ];
  return `pve-node-9.0/${name}:${now - startTime + 1000}::${now}:${numbers.join(':')}`;
}

function guestLines(host: Host, now: number): string[] {
  const own = Object.entries(readCluster(host).guests).filter(
    ([, guest]) => guest.node === host.name && guest.type === 'lxc',
  );
  return own.flatMap(([id]) => {
    const vmid = Number(id);
    try {
      const f = statusFields(
        { host, vmid },
        loadConfig(host, vmid, () => undefined),
      );
      const isUp = f['status'] === 'running';
      const usage = isUp ? [0, 0, 0, 0, 0] : Array.from({ length: 5 }, () => UNKNOWN);
      const pressure = Array.from({ length: 6 }, () => (isUp ? '0.00' : UNKNOWN));
      const fields = [
        f['uptime'],
        f['name'],
        f['status'],
        f['template'] ?? 0,
        now,
        f['cpus'],
        isUp ? '0.01' : UNKNOWN,
        f['maxmem'],
        isUp ? 8 * 1024 ** 2 : UNKNOWN,
        f['maxdisk'],
        0,
      ];
      return [`pve-vm-9.0/${vmid}:${[...fields, ...usage, ...pressure].join(':')}`];
    } catch {
      return []; // gone or unreadable since the list was read
    }
  });
}

async function storageLines(host: Host, now: number): Promise<string[]> {
  const lines: string[] = [];
  for (const storage of host.storages()) {
    if (isDisabled(storage) || !isOnNode(storage, host.name)) continue;
    const space = await spaceOf(host, storage);
    if (space !== undefined)
      lines.push(`pve-storage-9.0/${host.name}/${storage.id}:${now}:${space.totalBytes}:${space.usedBytes}`);
  }
  return lines;
}
