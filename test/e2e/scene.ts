/** Three nodes, one of which is cut off in the middle of some work, and what may be left of that work: nothing. */
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { addUsb, CORAL } from '@pxmgr/sim/host/devices';
import { readPools } from '@pxmgr/sim/pool/state';
import { expect } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { lasting, waitFor } from '../../deploy/stand/wait.ts';
import { Trio } from '../support/trio.ts';
import { type TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { agentScratch, differences, guestLocks, hostTree, processesOf, runningTasks, treeOf } from './traces.ts';

/** What the network does to the node: it loses the other nodes, everybody, or the controller alone. */
export type Cut = 'cluster' | 'all' | 'controller';

export class Scene {
  readonly trio: Trio;
  /** The one that is cut off. */
  readonly node: NodeProcess;
  /** It is in the node's cache. */
  readonly image: string;
  #untouched = new Map<string, string>();

  private constructor(trio: Trio, node: NodeProcess, image: string) {
    this.trio = trio;
    this.node = node;
    this.image = image;
  }

  static async open(): Promise<Scene> {
    const trio = await Trio.start();
    const image = await trio.fleet.image('web');
    await trio.fleet.cli.text(['image', 'pull', image, '--node', 'pve3']);
    return new Scene(trio, trio.fleet.node('pve3'), image);
  }

  get fleet(): TestFleet {
    return this.trio.fleet;
  }

  /** The node gets a USB device, which the controller knows when this returns. */
  async plugIn(): Promise<void> {
    await addUsb(this.node.host, CORAL);
    await waitFor('the device is known', WAIT_LIMIT_MS, async () =>
      (await this.fleet.cli.text(['device', 'list'])).includes(CORAL.id) ? true : undefined,
    );
  }

  /** Before each test. */
  remember(): void {
    this.#untouched = this.#world();
  }

  /** After each test, however it ended. */
  async clear(): Promise<void> {
    this.letGo();
    await this.trio.healAll();
    await this.#destroyAll();
  }

  async close(): Promise<void> {
    await this.trio.stop();
  }

  #world(): Map<string, string> {
    const found = treeOf(this.node.host.sharedDir, [/^\/\.sim/], /\.conf$/);
    for (const one of this.fleet.nodes) {
      for (const [path, kind] of hostTree(one)) found.set(`${one.name}: ${path}`, kind);
      for (const { name } of readPools(one.host).datasets) found.set(`${one.name}: dataset ${name}`, 'dataset');
    }
    return found;
  }

  #traces(): string[] {
    return [
      ...differences(this.#untouched, this.#world()),
      ...this.fleet.nodes.flatMap((one) => [
        ...runningTasks(one).map((line) => `task: ${line}`),
        ...guestLocks(one).map((line) => `lock: ${line}`),
        ...agentScratch(one).map((path) => `scratch: ${path}`),
        ...processesOf(`${one.host.root}/bin/`).map(({ argv }) => `process: ${argv.join(' ')}`),
      ]),
    ];
  }

  async #destroyAll(): Promise<void> {
    for (const { vmid, node: on, guestUid } of await this.fleet.containers()) {
      if (guestUid === '') await this.fleet.node(on).tool('pct', 'destroy', String(vmid));
      else await this.fleet.cli.text(['container', 'destroy', String(vmid), '--node', on, '--force', '--yes']);
    }
    await waitFor('no guest is known', WAIT_LIMIT_MS, async () =>
      (await this.guests()).length === 0 ? true : undefined,
    );
  }

  /** "victim on pve3 running" */
  async guests(): Promise<string[]> {
    return (await this.fleet.containers()).map(({ name, node: on, status }) => `${name} on ${on} ${status}`).sort();
  }

  /** Every guest is taken away first: what stays then was left by what the test did. */
  async nothingIsLeft(): Promise<void> {
    await this.#destroyAll();
    const left = await lasting(WAIT_LIMIT_MS, async () => [
      ...this.#traces(),
      ...(await this.fleet.activeReservations()).map((one) => `reservation: ${JSON.stringify(one)}`),
    ]);
    expect(left).toEqual([]);
  }

  async begin(...args: readonly string[]): Promise<string> {
    return (await this.fleet.cli.text([...args, '--detach', '-o', 'name'])).trim();
  }

  /** Begins the work, and lets the tool of the node stand still at the point. */
  async beginUntil(fault: FaultRule, words: readonly string[], on = this.node): Promise<string> {
    setFaults(on.host, [fault]);
    const id = await this.begin(...words);
    await waitFor(`the tool on ${on.name} reaches the point`, WAIT_LIMIT_MS, () =>
      faultsOf(on.host).some(({ done = 0 }) => done > 0) ? true : undefined,
    );
    return id;
  }

  /** The tools that stand still go on. */
  letGo(): void {
    for (const one of this.fleet.nodes) setFaults(one.host, []);
  }

  /** Cuts the node off while the tool stands at the point, and lets the tool go on. */
  async cutAt(fault: FaultRule, how: Cut, ...words: readonly string[]): Promise<string> {
    const { node, trio } = this;
    const id = await this.beginUntil(fault, words);
    if (how === 'all') trio.cutAll(node);
    else if (how === 'controller') trio.link(node).cut();
    else trio.cutCluster(node);
    // What asks for quorum first would still get it: the node notices seconds later. Who writes is held up until then.
    if (fault.at === 'pct start' && how !== 'controller') await trio.noticed(node);
    this.letGo();
    return id;
  }

  /** Follows the operation until it says so; the whole text by then. */
  async says(id: string, pattern: RegExp): Promise<string> {
    const watched = this.fleet.cli.start(['operation', 'watch', id]);
    let text = '';
    const isSaid = new Promise<boolean>((resolve) => {
      for (const stream of [watched.stdout, watched.stderr])
        stream.on('data', (data: Buffer) => {
          text += data.toString();
          if (pattern.test(text)) resolve(true);
        });
      void watched.done.then(() => resolve(pattern.test(text)));
      setTimeout(() => resolve(false), WAIT_LIMIT_MS).unref();
    });
    const wasSaid = await isSaid;
    watched.terminate();
    await watched.done;
    expect(wasSaid, `${pattern.source} in:\n${text}`).toBe(true);
    return text;
  }
}

export const UNPACKING = { at: 'pct create', point: 'mid-extract', do: 'hang' } as const;

export const VICTIM = ['--node', 'pve3', '--name', 'victim'];

export const STANDS_STILL =
  /pve3 has no quorum, it is cut off from its cluster: ".*" stands still, and what it began there is finished or taken back/;
