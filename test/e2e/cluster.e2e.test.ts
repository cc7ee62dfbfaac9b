/** One of three nodes is cut off from its cluster, or from everybody, while something is done on it; then the network is back. */

import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { isQuorate } from '@pxmgr/sim/cluster/pmxcfs';
import { addUsb } from '@pxmgr/sim/host/devices';
import { readPools } from '@pxmgr/sim/pool/state';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEMPLATE } from '../support/small-template.ts';
import { Trio } from '../support/trio.ts';
import { TEST_LIMIT_MS, type TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { agentScratch, differences, guestLocks, hostTree, processesOf, runningTasks, treeOf } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: 2 * TEST_LIMIT_MS });

let trio: Trio;
let fleet: TestFleet;
/** The one that is cut off. */
let node: NodeProcess;
let image: string;
let untouched: Map<string, string>;

beforeAll(async () => {
  trio = await Trio.start();
  fleet = trio.fleet;
  node = fleet.node('pve3');
  await addUsb(node.host, {
    id: '1-4',
    vendorId: '1a6e',
    productId: '089a',
    manufacturer: 'Global Unichip',
    product: 'Coral',
    serial: '0001',
  });
  image = await fleet.image('web');
  await fleet.cli.text(['image', 'pull', image, '--node', 'pve3']);
});
afterAll(async () => {
  await trio.stop();
});
beforeEach(() => {
  untouched = world();
});
afterEach(async () => {
  for (const one of fleet.nodes) setFaults(one.host, []);
  await trio.healAll();
  await destroyAll();
});

function world(): Map<string, string> {
  const found = treeOf(node.host.sharedDir, [/^\/\.sim/], /\.conf$/);
  for (const one of fleet.nodes) {
    for (const [path, kind] of hostTree(one)) found.set(`${one.name}: ${path}`, kind);
    for (const { name } of readPools(one.host).datasets) found.set(`${one.name}: dataset ${name}`, 'dataset');
  }
  return found;
}

function traces(): string[] {
  return [
    ...differences(untouched, world()),
    ...fleet.nodes.flatMap((one) => [
      ...runningTasks(one).map((line) => `task: ${line}`),
      ...guestLocks(one).map((line) => `lock: ${line}`),
      ...agentScratch(one).map((path) => `scratch: ${path}`),
      ...processesOf(`${one.host.root}/bin/`).map(({ argv }) => `process: ${argv.join(' ')}`),
    ]),
  ];
}

async function destroyAll(): Promise<void> {
  for (const { vmid, node: on, guestUid } of await fleet.containers()) {
    if (guestUid === '') await fleet.node(on).tool('pct', 'destroy', String(vmid));
    else await fleet.cli.text(['container', 'destroy', String(vmid), '--node', on, '--force', '--yes']);
  }
  await waitFor('no guest is known', WAIT_LIMIT_MS, async () => ((await guests()).length === 0 ? true : undefined));
}

/** "victim on pve3 running" */
async function guests(): Promise<string[]> {
  return (await fleet.containers()).map(({ name, node: on, status }) => `${name} on ${on} ${status}`).sort();
}

/** Every guest is taken away first: what stays then was left by what the test did. */
async function nothingIsLeft(): Promise<void> {
  await destroyAll();
  const left = await waitFor('all is as before', WAIT_LIMIT_MS, async () => {
    const now = [
      ...traces(),
      ...(await fleet.activeReservations()).map((one) => `reservation: ${JSON.stringify(one)}`),
    ];
    return now.length === 0 ? now : undefined;
  }).catch(() => traces());
  expect(left).toEqual([]);
}

async function begin(...args: readonly string[]): Promise<string> {
  return (await fleet.cli.text([...args, '--detach', '-o', 'name'])).trim();
}

/** Cuts the node off while the tool stands at the point, and lets the tool go on. */
async function cutAt(fault: FaultRule, how: 'cluster' | 'all', ...args: readonly string[]): Promise<string> {
  setFaults(node.host, [fault]);
  const id = await begin(...args);
  await waitFor('the tool reaches the point', WAIT_LIMIT_MS, () =>
    faultsOf(node.host).some(({ done = 0 }) => done > 0) ? true : undefined,
  );
  if (how === 'all') trio.cutAll(node);
  else trio.cutCluster(node);
  // What asks for quorum first would still get it: the node notices seconds later. Who writes is held up until then.
  if (fault.at === 'pct start')
    await waitFor('the cut is noticed', WAIT_LIMIT_MS, () => (isQuorate(node.host) ? undefined : true));
  setFaults(node.host, []);
  return id;
}

/** Follows the operation until it says so; the whole text by then. */
async function says(id: string, pattern: RegExp): Promise<string> {
  const watched = fleet.cli.start(['operation', 'watch', id]);
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

const VICTIM = ['--node', 'pve3', '--name', 'victim'];
const STANDS_STILL =
  /pve3 has no quorum, it is cut off from its cluster: ".*" stands still, and what it began there is finished or taken back/;

describe('cut off from the cluster while a container is made', () => {
  it.each<[source: string, when: string, fault: FaultRule]>([
    ['image', 'while it is unpacked', { at: 'pct create', point: 'mid-extract', do: 'hang' }],
    ['image', 'before its last configuration', { at: 'pct create', point: 'before-config', do: 'hang' }],
    ['template', 'before its last configuration', { at: 'pct create', point: 'before-config', do: 'hang' }],
  ])('of an %s, %s: it is taken back, and made again when the network is back', async (source, _when, fault) => {
    const id = await cutAt(fault, 'cluster', 'run', source === 'image' ? image : TEMPLATE, ...VICTIM);
    expect(await says(id, STANDS_STILL)).toContain(`watch it with: pxmgr operation watch ${id}`);
    trio.heal(node);
    const end = await fleet.ended(id);
    expect(end).toMatchObject({ state: 'done', warnings: [expect.stringMatching(STANDS_STILL)] });
    expect(await guests()).toEqual(['victim on pve3 running']);
    await says(id, /pve3 has quorum again and has taken back what it had begun; the order is given once more/);
    await nothingIsLeft();
  });

  it('before anything of it is there: it fails at once, and the others go on, with its id too', async () => {
    const id = await cutAt({ at: 'pct create', point: 'before-lock', do: 'hang' }, 'cluster', 'run', image, ...VICTIM);
    const { vmid, ...end } = await fleet.ended(id);
    expect(end).toMatchObject({ state: 'failed', problem: { code: 'PXM_NO_QUORUM' }, warnings: [] });
    const watched = await fleet.cli.run(['operation', 'watch', id]);
    expect(watched.exitCode).toBe(4);
    expect(watched.stderr).toMatch(
      /error\[PXM_NO_QUORUM\]: node pve3 is cut off from its cluster[\s\S]*hint: +see what it sees with "pvecm status"/,
    );
    expect(await fleet.activeReservations()).toEqual([]);
    await trio.knownCutOff(node);
    expect(await fleet.cli.text(['node', 'list'])).toMatch(/pve3 +up, no quorum/);
    expect(await fleet.cli.text(['status'])).toMatch(/problem +PXM_NO_QUORUM: node pve3 is cut off/);
    expect(await fleet.cli.text(['place', 'explain', image])).toMatch(
      /pve3 +. no\n +. quorum: the node is cut off from cluster home/,
    );
    // Somebody at the web page of pve1, meanwhile.
    await fleet
      .node('pve1')
      .tool('pct', 'create', String(vmid), TEMPLATE, '--hostname', 'byhand', '--storage', 'local-zfs');
    const other = await fleet.ended(await begin('run', image, '--name', 'other'));
    expect(other).toMatchObject({ state: 'done', title: expect.stringMatching(/ on pve[12]$/) as string });
    expect(other.vmid).not.toBe(vmid);
    await trio.healAll();
    await waitFor('both guests are known', WAIT_LIMIT_MS, async () =>
      /^byhand on pve1 stopped,other on pve[12] running$/.test((await guests()).join()) ? true : undefined,
    );
    await nothingIsLeft();
  });

  it('before it is started: it is started when the network is back', async () => {
    const id = await cutAt({ at: 'pct start', point: 'begin', do: 'hang' }, 'cluster', 'run', image, ...VICTIM);
    await says(id, /node pve3 is cut off from its cluster \(no quorum\).*; pve3 is asked again until it has quorum/);
    expect(await fleet.operation(id)).toMatchObject({ state: 'running' });
    trio.heal(node);
    expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
    expect(await guests()).toEqual(['victim on pve3 running']);
    await nothingIsLeft();
  });

  it('and its agent killed: the next one listens at once, refuses what is new, and ends what was begun', async () => {
    const id = await cutAt({ at: 'pct create', point: 'mid-extract', do: 'hang' }, 'cluster', 'run', image, ...VICTIM);
    await says(id, STANDS_STILL);
    await node.kill();
    await node.start();
    await trio.knownCutOff(node);
    await waitFor('the node says what it recovers', WAIT_LIMIT_MS, async () =>
      (await trio.nodes()).some(({ notes }) =>
        notes.some((note) => /^being recovered: create container \d+/.test(note)),
      )
        ? true
        : undefined,
    );
    expect(await fleet.operation(id)).toMatchObject({ state: 'running' });
    expect(await fleet.refused(['run', image, '--node', 'pve3', '--name', 'second'])).toMatchObject({
      code: 'PXM_PLACEMENT_INFEASIBLE',
      text: expect.stringMatching(/pve3: the node is cut off from cluster home/) as string,
    });
    trio.heal(node);
    expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
    await nothingIsLeft();
  });
});

describe('cut off from everybody while a container is made', () => {
  it('it is asked until it answers, the others go on, and it is made when the network is back', async () => {
    const id = await cutAt({ at: 'pct create', point: 'mid-extract', do: 'hang' }, 'all', 'run', image, ...VICTIM);
    await waitFor('the node is missed', WAIT_LIMIT_MS, async () =>
      (await trio.nodes()).some(({ name, presence }) => name === 'pve3' && presence !== 'up') ? true : undefined,
    );
    const { state, vmid } = await fleet.operation(id);
    expect(state).toBe('running');
    const other = await fleet.ended(await begin('run', image, '--name', 'other'));
    expect(other).toMatchObject({ state: 'done', title: expect.stringMatching(/ on pve[12]$/) as string });
    expect(other.vmid).not.toBe(vmid);
    expect(await fleet.refused(['run', image, ...VICTIM.slice(0, 2), '--name', 'second'])).toMatchObject({
      code: 'PXM_PLACEMENT_INFEASIBLE',
    });
    trio.heal(node);
    expect(await fleet.ended(id)).toMatchObject({ state: 'done', vmid });
    expect(await guests()).toEqual([expect.stringMatching(/^other on pve[12] running$/), 'victim on pve3 running']);
    await nothingIsLeft();
  });
});

describe('cut off from the cluster while a container is changed', () => {
  const BEFORE_CONFIG = { point: 'before-config', do: 'hang' } as const;

  async function makeStopped(): Promise<string> {
    const made = await begin('container', 'create', TEMPLATE, '--storage', 'local-zfs', ...VICTIM);
    return String((await fleet.ended(made)).vmid);
  }

  it('a change that is stored at once or not at all fails, and nothing of it comes later', async () => {
    const guest = await makeStopped();
    const before = await fleet.container(guest);
    const id = await cutAt(
      { at: 'pct set', ...BEFORE_CONFIG },
      'cluster',
      ...['container', 'set', guest, '--memory', '1GiB'],
    );
    expect(await fleet.ended(id)).toMatchObject({ state: 'failed', problem: { code: 'PXM_NO_QUORUM' }, warnings: [] });
    for (const words of [
      ['container', 'start', guest],
      ['container', 'destroy', guest, '--yes'],
      ['container', 'snapshot', 'create', guest, 's1'],
      ['device', 'attach', guest, '--usb', '1-4'],
    ])
      expect(await fleet.refused(words), words.join(' ')).toMatchObject({ code: 'PXM_NO_QUORUM', exit: 4 });
    await trio.healAll();
    expect((await fleet.container(guest)).config).toEqual(before.config);
    await nothingIsLeft();
  });

  it('what has to be ended is ended when the network is back', async () => {
    const guest = await makeStopped();
    for (const [fault, words] of [
      [{ at: 'pct snapshot', ...BEFORE_CONFIG }, ['container', 'snapshot', 'create', guest, 's1']],
      [
        { at: 'pct rollback', point: 'after-lock', do: 'hang' },
        ['container', 'snapshot', 'rollback', guest, 's1', '--yes'],
      ],
      [
        { at: 'pct delsnapshot', point: 'after-lock', do: 'hang' },
        ['container', 'snapshot', 'destroy', guest, 's1', '--yes'],
      ],
      [{ at: 'pct destroy', point: 'after-volume', do: 'hang' }, ['container', 'destroy', guest, '--yes']],
    ] as const) {
      const id = await cutAt(fault, 'cluster', ...words);
      await says(id, STANDS_STILL);
      trio.heal(node);
      expect(await fleet.ended(id), fault.at).toMatchObject({ state: 'done' });
    }
    expect(await fleet.containers()).toEqual([]);
    await nothingIsLeft();
  });
});
