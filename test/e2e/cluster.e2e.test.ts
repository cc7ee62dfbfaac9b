/** One of three nodes is cut off from its cluster, or from everybody, while something is done on it; then the network is back. */

import type { FaultRule } from '@pxmgr/sim/call/fault';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEMPLATE } from '../support/small-template.ts';
import type { Trio } from '../support/trio.ts';
import { TEST_LIMIT_MS, type TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { type Cut, Scene, STANDS_STILL, UNPACKING, VICTIM } from './scene.ts';

vi.setConfig({ testTimeout: 2 * TEST_LIMIT_MS, hookTimeout: 2 * TEST_LIMIT_MS });

let scene: Scene;
let trio: Trio;
let fleet: TestFleet;
let node: NodeProcess;
let image: string;

beforeAll(async () => {
  scene = await Scene.open();
  ({ trio, fleet, node, image } = scene);
  await scene.plugIn();
});
afterAll(async () => {
  await scene.close();
});
beforeEach(() => {
  scene.remember();
});
afterEach(async () => {
  await scene.clear();
});

describe('cut off from the cluster while a container is made', () => {
  it.each<[source: string, when: string, fault: FaultRule]>([
    ['image', 'while it is unpacked', UNPACKING],
    ['image', 'before its last configuration', { at: 'pct create', point: 'before-config', do: 'hang' }],
    ['template', 'before its last configuration', { at: 'pct create', point: 'before-config', do: 'hang' }],
  ])('of an %s, %s: it is taken back, and made again when the network is back', async (source, _when, fault) => {
    const id = await scene.cutAt(fault, 'cluster', 'run', source === 'image' ? image : TEMPLATE, ...VICTIM);
    expect(await scene.says(id, STANDS_STILL)).toContain(`watch it with: pxmgr operation watch ${id}`);
    trio.heal(node);
    const end = await fleet.ended(id);
    expect(end).toMatchObject({ state: 'done', warnings: [expect.stringMatching(STANDS_STILL)] });
    expect(await scene.guests()).toEqual(['victim on pve3 running']);
    await scene.says(id, /pve3 has quorum again and has taken back what it had begun; the order is given once more/);
    await scene.nothingIsLeft();
  });

  it('before anything of it is there: it fails at once, and the others go on, with its id too', async () => {
    const id = await scene.cutAt(
      { at: 'pct create', point: 'before-lock', do: 'hang' },
      'cluster',
      'run',
      image,
      ...VICTIM,
    );
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
    const other = await fleet.ended(await scene.begin('run', image, '--name', 'other'));
    expect(other).toMatchObject({ state: 'done', title: expect.stringMatching(/ on pve[12]$/) as string });
    expect(other.vmid).not.toBe(vmid);
    await trio.healAll();
    await waitFor('both guests are known', WAIT_LIMIT_MS, async () =>
      /^byhand on pve1 stopped,other on pve[12] running$/.test((await scene.guests()).join()) ? true : undefined,
    );
    await scene.nothingIsLeft();
  });

  it('before it is started: it is started when the network is back', async () => {
    const id = await scene.cutAt({ at: 'pct start', point: 'begin', do: 'hang' }, 'cluster', 'run', image, ...VICTIM);
    await scene.says(
      id,
      /node pve3 is cut off from its cluster \(no quorum\).*; pve3 is asked again until it has quorum/,
    );
    expect(await fleet.operation(id)).toMatchObject({ state: 'running' });
    trio.heal(node);
    expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
    expect(await scene.guests()).toEqual(['victim on pve3 running']);
    await scene.nothingIsLeft();
  });

  it('and its agent killed: the next one listens at once, refuses what is new, and ends what was begun', async () => {
    const id = await scene.cutAt(UNPACKING, 'cluster', 'run', image, ...VICTIM);
    await scene.says(id, STANDS_STILL);
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
    await scene.nothingIsLeft();
  });
});

describe('cut off from everybody while a container is made', () => {
  it('it is asked until it answers, the others go on, and it is made when the network is back', async () => {
    const id = await scene.cutAt(UNPACKING, 'all', 'run', image, ...VICTIM);
    await waitFor('the node is missed', WAIT_LIMIT_MS, async () =>
      (await trio.nodes()).some(({ name, presence }) => name === 'pve3' && presence !== 'up') ? true : undefined,
    );
    const { state, vmid } = await fleet.operation(id);
    expect(state).toBe('running');
    const other = await fleet.ended(await scene.begin('run', image, '--name', 'other'));
    expect(other).toMatchObject({ state: 'done', title: expect.stringMatching(/ on pve[12]$/) as string });
    expect(other.vmid).not.toBe(vmid);
    expect(await fleet.refused(['run', image, ...VICTIM.slice(0, 2), '--name', 'second'])).toMatchObject({
      code: 'PXM_PLACEMENT_INFEASIBLE',
    });
    trio.heal(node);
    expect(await fleet.ended(id)).toMatchObject({ state: 'done', vmid });
    expect(await scene.guests()).toEqual([
      expect.stringMatching(/^other on pve[12] running$/),
      'victim on pve3 running',
    ]);
    await scene.nothingIsLeft();
  });
});

describe('cut off while a container is changed', () => {
  const BEFORE_CONFIG = { point: 'before-config', do: 'hang' } as const;
  const AFTER_LOCK = { point: 'after-lock', do: 'hang' } as const;

  async function makeStopped(): Promise<string> {
    const made = await scene.begin('container', 'create', TEMPLATE, '--storage', 'local-zfs', ...VICTIM);
    return String((await fleet.ended(made)).vmid);
  }

  it('a change that is stored at once or not at all fails, and nothing of it comes later', async () => {
    const guest = await makeStopped();
    const before = await fleet.container(guest);
    const attach = ['device', 'attach', guest, '--usb', '1-4'];
    const set = ['container', 'set', guest, '--memory', '1GiB'];
    for (const [how, words] of [
      ['all', attach],
      ['all', set],
      ['cluster', attach],
      ['cluster', set],
    ] as const) {
      await trio.healAll();
      const id = await scene.cutAt({ at: 'pct set', ...BEFORE_CONFIG }, how, ...words);
      if (how === 'all') {
        await trio.noticed(node);
        trio.link(node).heal();
      }
      expect(await fleet.ended(id), `${how}: ${words.join(' ')}`).toMatchObject({
        state: 'failed',
        problem: { code: 'PXM_NO_QUORUM' },
        warnings: [],
      });
      expect(await fleet.activeReservations()).toEqual([]);
      // Otherwise the next turn may begin on what the inventory showed before the cut, and meet it later.
      await trio.knownCutOff(node);
    }
    for (const words of [
      ['container', 'start', guest],
      ['container', 'destroy', guest, '--yes'],
      ['container', 'snapshot', 'create', guest, 's1'],
      attach,
    ])
      expect(await fleet.refused(words), words.join(' ')).toMatchObject({ code: 'PXM_NO_QUORUM', exit: 4 });
    await trio.healAll();
    expect((await fleet.container(guest)).config).toEqual(before.config);
    await scene.nothingIsLeft();
  });

  it('what has to be ended is ended when the network is back, whoever is out of reach', async () => {
    const guest = await makeStopped();
    const work: readonly [FaultRule, Cut, readonly string[]][] = [
      [{ at: 'pct clone', ...BEFORE_CONFIG }, 'cluster', ['container', 'clone', guest, 'copy']],
      [{ at: 'pct snapshot', ...BEFORE_CONFIG }, 'cluster', ['container', 'snapshot', 'create', guest, 's1']],
      [{ at: 'pct snapshot', ...BEFORE_CONFIG }, 'all', ['container', 'snapshot', 'create', guest, 's2']],
      [{ at: 'pct rollback', ...AFTER_LOCK }, 'all', ['container', 'snapshot', 'rollback', guest, 's2', '--yes']],
      [{ at: 'pct rollback', ...AFTER_LOCK }, 'cluster', ['container', 'snapshot', 'rollback', guest, 's2', '--yes']],
      [{ at: 'pct delsnapshot', ...AFTER_LOCK }, 'all', ['container', 'snapshot', 'destroy', guest, 's2', '--yes']],
      [{ at: 'pct delsnapshot', ...AFTER_LOCK }, 'cluster', ['container', 'snapshot', 'destroy', guest, 's1', '--yes']],
      [{ at: 'pct clone', ...BEFORE_CONFIG }, 'all', ['container', 'clone', guest, 'other']],
      [{ at: 'pct destroy', point: 'after-volume', do: 'hang' }, 'all', ['container', 'destroy', 'other', '--yes']],
      [{ at: 'pct destroy', point: 'after-volume', do: 'hang' }, 'cluster', ['container', 'destroy', guest, '--yes']],
    ];
    for (const [fault, how, words] of work) {
      const id = await scene.cutAt(fault, how, ...words);
      if (how === 'cluster') await scene.says(id, STANDS_STILL);
      else await trio.noticed(node);
      trio.heal(node);
      expect(await fleet.ended(id), `${fault.at}, ${how}`).toMatchObject({ state: 'done' });
    }
    expect(await scene.guests()).toEqual(['copy on pve3 stopped']);
    await scene.nothingIsLeft();
  });

  it('what needs no quorum once it has begun, to stop or to shut down, is done although the node is cut off', async () => {
    const id = await scene.begin('run', image, ...VICTIM);
    const guest = String((await fleet.ended(id)).vmid);
    for (const [fault, how, words] of [
      [{ at: 'pct stop', point: 'begin', do: 'hang' }, 'cluster', ['container', 'stop', guest]],
      [{ at: 'pct shutdown', point: 'before-halt', do: 'hang' }, 'all', ['container', 'shutdown', guest]],
    ] as const) {
      const halting = await scene.cutAt(fault, how, ...words);
      await trio.noticed(node);
      if (how === 'all') trio.link(node).heal();
      expect(await fleet.ended(halting), words.join(' ')).toMatchObject({ state: 'done', warnings: [] });
      expect(await scene.guests()).toEqual(['victim on pve3 stopped']);
      expect(await fleet.refused(['container', 'start', guest])).toMatchObject({ code: 'PXM_NO_QUORUM' });
      await trio.healAll();
      await fleet.cli.text(['container', 'start', guest]);
    }
    await scene.nothingIsLeft();
  });
});
