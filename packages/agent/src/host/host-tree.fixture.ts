/** Test support: a directory shaped like a host's file system. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { HostPaths } from './paths.ts';

export class HostTree {
  readonly root = mkdtempSync(join(tmpdir(), 'pxmgr-host-'));
  readonly paths = new HostPaths(this.root);

  write(path: string, text: string): this {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return this;
  }

  link(path: string, target: string): this {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    symlinkSync(target, file);
    return this;
  }

  folder(path: string): this {
    mkdirSync(join(this.root, path), { recursive: true });
    return this;
  }

  remove(path: string): this {
    rmSync(join(this.root, path), { recursive: true, force: true });
    return this;
  }
}

/** Removed at the end of the test. */
export function hostTree(files: Readonly<Record<string, string>> = {}): HostTree {
  const tree = new HostTree();
  onTestFinished(() => {
    rmSync(tree.root, { recursive: true, force: true });
  });
  for (const [path, text] of Object.entries(files)) tree.write(path, text);
  return tree;
}

const SOCKET_HEAD = 'Num       RefCount Protocol Flags    Type St Inode Path\n';

/** A node pve1 of no cluster, with counters that tests move by hand. */
export class NodeTree {
  readonly tree: HostTree;
  readonly #guests = new Map<number, { type: 'lxc' | 'qemu'; version: number }>();
  readonly #running = new Set<number>();
  #vmlist = 1;
  #startTime = 1_700_000_000;

  constructor(tree: HostTree = hostTree()) {
    this.tree = tree;
    tree
      .write('/etc/pve/.members', '{"nodename": "pve1", "version": 0}')
      .write('/proc/cpuinfo', 'processor\t: 0\nmodel name\t: Test CPU\nprocessor\t: 1\nmodel name\t: Test CPU\n')
      .write('/proc/meminfo', 'MemTotal:       8000000 kB\nMemAvailable:   6000000 kB\n')
      .write('/proc/stat', 'cpu  100 0 50 900 10 0 5 0 0 0\n')
      .write('/proc/loadavg', '0.25 0.10 0.05 1/100 42\n')
      .write('/proc/uptime', '3600.50 7000.00\n')
      .write('/proc/version', 'Linux version 6.17.2-1-pve (build@example)\n')
      .folder('/var/log/pve/tasks');
    this.#publish();
  }

  /** Writes a guest's configuration as a `pct set` would: the file, then the counters. */
  guest(vmid: number, config: string, type: 'lxc' | 'qemu' = 'lxc'): this {
    const folder = type === 'lxc' ? 'lxc' : 'qemu-server';
    this.tree.write(`/etc/pve/nodes/pve1/${folder}/${vmid}.conf`, config);
    this.#guests.set(vmid, { type, version: (this.#guests.get(vmid)?.version ?? 0) + 1 });
    this.#vmlist += 1;
    return this.#publish();
  }

  destroy(vmid: number): this {
    this.tree.remove(`/etc/pve/nodes/pve1/lxc/${vmid}.conf`);
    this.#guests.delete(vmid);
    this.#vmlist += 1;
    return this.#publish();
  }

  start(vmid: number): this {
    this.#running.add(vmid);
    return this.#publish();
  }

  stop(vmid: number): this {
    this.#running.delete(vmid);
    return this.#publish();
  }

  /** A new pmxcfs whose counters begin anew. */
  restartClusterFileSystem(): this {
    this.#startTime += 1;
    this.#vmlist = 1;
    for (const guest of this.#guests.values()) guest.version = 1;
    return this.#publish();
  }

  #publish(): this {
    const ids = Object.fromEntries([...this.#guests].map(([vmid, guest]) => [vmid, { node: 'pve1', ...guest }]));
    const sockets = [...this.#running].map(
      (id) => `0000000000000000: 00000002 00000000 00010000 0001 01 ${id} @/var/lib/lxc/${id}/command\n`,
    );
    this.tree.write('/etc/pve/.vmlist', JSON.stringify({ version: this.#vmlist, ids }));
    this.tree.write('/proc/net/unix', SOCKET_HEAD + sockets.join(''));
    this.tree.write(
      '/etc/pve/.version',
      JSON.stringify({ starttime: this.#startTime, clinfo: 0, vmlist: this.#vmlist, 'storage.cfg': 1 }),
    );
    return this;
  }
}
