/** Three nodes of one cluster with a real agent each, whose network can be cut: that of the cluster alone, or all of it. */

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { turnSwitches } from '@pxmgr/sim/call/switches';
import { cutNode, healNode } from '@pxmgr/sim/cluster/membership';
import { isQuorate } from '@pxmgr/sim/cluster/pmxcfs';
import { LOCAL_ZFS } from '@pxmgr/sim/fleet/plan';
import type { HostSpec } from '@pxmgr/sim/host/host';
import { publishStopped, runningGuests } from '@pxmgr/sim/host/running';
import { createPool } from '@pxmgr/sim/pool/pools';
import { IMPLICIT_LOCAL } from '@pxmgr/sim/text/storage-cfg';
import { build } from 'esbuild';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { CHECKOUT, type StandDir } from '../../deploy/stand/stand-dir.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { killTools } from '../e2e/traces.ts';
import { Link } from './link.ts';
import { makeTemplate } from './small-template.ts';

const GIB = 1024 ** 3;
/** The 8 s until a node notices that it is cut off become as many tenths. */
const WAIT_SCALE = 0.1;

export class Trio {
  readonly fleet: TestFleet;
  readonly #links: ReadonlyMap<string, Link>;
  readonly #cut = new Set<string>();

  private constructor(fleet: TestFleet, links: ReadonlyMap<string, Link>) {
    this.fleet = fleet;
    this.#links = links;
  }

  static async start(): Promise<Trio> {
    const links = new Map(['pve1', 'pve2', 'pve3'].map((name) => [name, new Link()]));
    const fleet = await TestFleet.start({
      nodes: [...links.keys()],
      hosts: (dir) => hosts(dir.path('cluster')),
      runtime: 'played',
      networks: links,
      preload: likePmxcfs,
      furnish: furnishNode,
    });
    return new Trio(fleet, links);
  }

  /** The others no longer reach its cluster file system; the controller still reaches its agent. */
  cutCluster(node: NodeProcess): void {
    this.#cut.add(node.name);
    cutNode(node.host);
  }

  /** Nobody reaches it, in whatever way. */
  cutAll(node: NodeProcess): void {
    this.link(node).cut();
    this.cutCluster(node);
  }

  /** What lies between a node and the controller: the agent's services, and the bus. The cluster has a network of its own. */
  link(node: NodeProcess): Link {
    const link = this.#links.get(node.name);
    if (link === undefined) throw new Error(`${node.name} has no link`);
    return link;
  }

  /** All that runs on it dies at once, and what is in memory is gone; for the others it is cut off, and stays so. */
  async losePower(node: NodeProcess): Promise<void> {
    this.cutAll(node);
    await node.kill();
    killTools(node);
    for (const { vmid } of runningGuests(node.host)) publishStopped(node.host, vmid);
    for (const name of readdirSync(node.host.path('/run/lock/lxc')))
      rmSync(node.host.path(`/run/lock/lxc/${name}`), { recursive: true });
    await this.noticed(node);
  }

  /** What an administrator does on another node with a guest of one that is away. */
  removeConfig(node: NodeProcess, vmid: string): void {
    rmSync(join(node.host.sharedDir, `nodes/${node.name}/lxc/${vmid}.conf`));
  }

  heal(node: NodeProcess): void {
    if (this.#cut.delete(node.name)) healNode(node.host);
    this.link(node).heal();
  }

  /** All of the network is back, and the controller knows it. */
  async healAll(): Promise<void> {
    for (const node of this.fleet.nodes) this.heal(node);
    await waitFor('all nodes have quorum', WAIT_LIMIT_MS, async () =>
      (await this.nodes()).every(({ presence, quorate }) => presence === 'up' && quorate) ? true : undefined,
    );
  }

  async nodes(): Promise<readonly NodeRow[]> {
    return await this.fleet.cli.json<NodeRow[]>(['node', 'list']);
  }

  /** Until the node itself sees that it is cut off: some seconds after it was. */
  async noticed(node: NodeProcess): Promise<void> {
    await waitFor(`${node.name} notices the cut`, WAIT_LIMIT_MS, () => (isQuorate(node.host) ? undefined : true));
  }

  /** Until the controller's inventory shows what the node itself sees. */
  async knownCutOff(node: NodeProcess): Promise<void> {
    await waitFor(`${node.name} is known to be cut off`, WAIT_LIMIT_MS, async () =>
      (await this.nodes()).some(({ name, quorate }) => name === node.name && !quorate) ? true : undefined,
    );
  }

  async stop(): Promise<void> {
    for (const node of this.fleet.nodes) this.heal(node);
    await this.fleet.stop();
    for (const link of this.#links.values()) await link.close();
  }
}

async function likePmxcfs(dir: StandDir, name: string): Promise<string> {
  const outfile = dir.path('pmxcfs-preload.mjs');
  if (!existsSync(outfile))
    await build({
      entryPoints: [join(CHECKOUT, 'test/support/pmxcfs-preload.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      target: 'node20.19',
      format: 'esm',
      logLevel: 'warning',
    });
  return `${pathToFileURL(outfile).href}?root=${encodeURIComponent(dir.path('hosts', name))}`;
}

export interface NodeRow {
  readonly name: string;
  readonly presence: string;
  readonly quorate: boolean;
  readonly notes: readonly string[];
}

function hosts(clusterDir: string): Omit<HostSpec, 'runtime'>[] {
  return ['pve1', 'pve2', 'pve3'].map((name, index) => ({
    name,
    cores: 8,
    memoryBytes: 16 * GIB,
    ip: `192.0.2.${index + 1}`,
    storages: [IMPLICIT_LOCAL, LOCAL_ZFS],
    clusterDir,
    clusterName: 'home',
  }));
}

async function furnishNode(node: NodeProcess): Promise<void> {
  turnSwitches(node.host, { waitScale: WAIT_SCALE });
  createPool(node.host, { name: 'tank', sizeBytes: 64 * GIB });
  await node.tool('zfs', 'create', 'tank/guests');
  makeTemplate(node);
}
