/** The network between the controller and a node is cut or bad while its cluster is fine; and a node that is cut off with the controller on it. */

import { readPools } from '@pxmgr/sim/pool/state';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Stretch } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEMPLATE } from '../support/small-template.ts';
import { TEST_LIMIT_MS, WAIT_LIMIT_MS } from './fleet.ts';
import { Scene, UNPACKING, VICTIM } from './scene.ts';

vi.setConfig({ testTimeout: 2 * TEST_LIMIT_MS, hookTimeout: 2 * TEST_LIMIT_MS });

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open();
});
afterAll(async () => {
  await scene.close();
});
beforeEach(() => {
  scene.remember();
});
afterEach(async () => {
  scene.trio.link(scene.node).slow(undefined);
  await scene.clear();
});

/** The agent's own view: what pct knows on the node. */
async function madeOnNode(vmid: number): Promise<void> {
  await waitFor('the agent has made the container', WAIT_LIMIT_MS, async () => {
    const config = await scene.node.tool('pct', 'config', String(vmid));
    return config.includes('PXMGR_GUEST=') && !config.includes('lock:') ? true : undefined;
  });
}

describe('the controller and a node lose each other while a container is made there', () => {
  it.each<[what: string, cut: readonly Stretch[]]>([
    ['nothing comes through', ['agent', 'bus']],
    ['the agent cannot be called, and is heard', ['agent']],
    ['the agent is not heard, and can be called', ['bus']],
  ])('%s: the agent makes it, and the controller learns it and places nothing twice', async (_what, cut) => {
    const { fleet, trio, node, image } = scene;
    const id = await scene.beginUntil(UNPACKING, ['run', image, ...VICTIM]);
    const { vmid } = await fleet.operation(id);
    trio.link(node).cut(...cut);
    scene.letGo();
    await madeOnNode(vmid);
    if (cut.includes('agent')) {
      expect(await fleet.operation(id)).toMatchObject({ state: 'running' });
      expect(await fleet.activeReservations()).toHaveLength(1);
    }
    const other = await fleet.ended(await scene.begin('run', image, '--name', 'other', '--node', 'pve1'));
    expect(other).toMatchObject({ state: 'done' });
    expect(other.vmid).not.toBe(vmid);
    trio.link(node).heal();
    expect(await fleet.ended(id)).toMatchObject({ state: 'done', vmid });
    await waitFor('both are known to run', WAIT_LIMIT_MS, async () =>
      (await scene.guests()).join() === 'other on pve1 running,victim on pve3 running' ? true : undefined,
    );
    await waitFor('nothing is reserved', WAIT_LIMIT_MS, async () =>
      (await fleet.activeReservations()).length === 0 ? true : undefined,
    );
    await scene.nothingIsLeft();
  });

  it('what one says comes garbled to the other, and each of their connections breaks: it is made', async () => {
    const { fleet, trio, node, image } = scene;
    const id = await scene.beginUntil(UNPACKING, ['run', image, ...VICTIM]);
    trio.link(node).garble();
    scene.letGo();
    expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
    expect(await scene.guests()).toEqual(['victim on pve3 running']);
    await scene.nothingIsLeft();
  });

  it('over a line of 64 kB/s with two seconds for a word and its answer it is made, from an image that is not there yet', async () => {
    const { fleet, trio, node } = scene;
    const fresh = await fleet.image('slow');
    trio.link(node).slow({ latencyMs: 1000, bytesPerSecond: 64_000 });
    expect(await fleet.ended(await scene.begin('run', fresh, ...VICTIM))).toMatchObject({ state: 'done' });
    // Every connection is made anew over it.
    await node.stop();
    await node.start();
    expect(await scene.guests()).toEqual(['victim on pve3 running']);
  });
});

it('the controller is on the side of one node: the others are missed, and all of it ends when the network is back', async () => {
  const { fleet, trio, node, image } = scene;
  const [pve1, pve2] = [fleet.node('pve1'), fleet.node('pve2')];
  const here = await scene.beginUntil(UNPACKING, ['run', image, ...VICTIM]);
  const there = await scene.beginUntil(
    { at: 'pct create', point: 'before-config', do: 'hang' },
    ['container', 'create', TEMPLATE, '--storage', 'local-zfs', '--name', 'theirs', '--node', 'pve1'],
    pve1,
  );
  trio.cutCluster(node);
  for (const one of [pve1, pve2]) trio.link(one).cut();
  scene.letGo();
  await trio.noticed(node);
  await waitFor('the others are missed', WAIT_LIMIT_MS, async () =>
    (await trio.nodes()).every(({ name, presence }) => (presence === 'up') === (name === 'pve3')) ? true : undefined,
  );
  for (const id of [here, there]) expect(await fleet.operation(id)).toMatchObject({ state: 'running' });
  expect(await fleet.refused(['run', image, '--name', 'second'])).toMatchObject({ code: 'PXM_PLACEMENT_INFEASIBLE' });
  await trio.healAll();
  for (const id of [here, there]) expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
  expect(await scene.guests()).toEqual(['theirs on pve1 stopped', 'victim on pve3 running']);
  await scene.nothingIsLeft();
});

describe('a node loses its power while something is done on it, and comes back without its cluster at first', () => {
  it.each([
    ['made', UNPACKING],
    ['started', { at: 'pct start', point: 'before-start', do: 'hang' }],
  ] as const)(
    'while a container is %s: nothing is done before it has quorum, then it is made',
    async (_what, fault) => {
      const { fleet, trio, node, image } = scene;
      const id = await scene.beginUntil(fault, ['run', image, ...VICTIM]);
      await trio.losePower(node);
      scene.letGo();
      node.startOnly();
      trio.link(node).heal();
      await trio.knownCutOff(node);
      expect(await fleet.operation(id)).toMatchObject({ state: 'running' });
      trio.heal(node);
      expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
      expect(await scene.guests()).toEqual(['victim on pve3 running']);
      await scene.nothingIsLeft();
    },
  );

  it('and the others give its id to another container meanwhile: that one stays, and no volume of the first one does', async () => {
    const { fleet, trio, node, image } = scene;
    const id = await scene.beginUntil(UNPACKING, ['run', image, ...VICTIM]);
    const vmid = String((await fleet.operation(id)).vmid);
    await trio.losePower(node);
    scene.letGo();
    const pve1 = fleet.node('pve1');
    trio.removeConfig(node, vmid);
    await pve1.tool('pct', 'create', vmid, TEMPLATE, '--hostname', 'byhand', '--storage', 'local');
    trio.heal(node);
    await node.start();
    const end = await fleet.ended(id);
    expect(end).toMatchObject({ state: 'failed', problem: { code: 'PXM_VMID_TAKEN' } });
    await waitFor('the other one alone is known', WAIT_LIMIT_MS, async () =>
      (await scene.guests()).join() === 'byhand on pve1 stopped' ? true : undefined,
    );
    expect(readPools(node.host).datasets.filter(({ name }) => name.includes(`-${vmid}-`))).toEqual([]);
    await scene.nothingIsLeft();
  });
});
