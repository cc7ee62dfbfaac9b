/** A guest is moved to another node by hand while an order for it is under way: nothing is done to it, and the error says where it is. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEMPLATE } from '../support/small-template.ts';
import { type ContainerView, TEST_LIMIT_MS, type TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { Scene, VICTIM } from './scene.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: 2 * TEST_LIMIT_MS });

let scene: Scene;
let fleet: TestFleet;
let guest: ContainerView;

const USB = ['--usb', '1-4'] as const;

beforeAll(async () => {
  scene = await Scene.open();
  fleet = scene.fleet;
  await scene.plugIn();
});
afterAll(async () => {
  await scene.close();
});
beforeEach(async () => {
  scene.remember();
  await fleet.ended(await scene.begin('container', 'create', TEMPLATE, '--storage', 'local-zfs', ...VICTIM));
  guest = await fleet.container('victim');
});
afterEach(async () => {
  await scene.clear();
});

const move = async (from: string, to: string): Promise<string> =>
  await fleet.node(from).tool('pct', 'migrate', String(guest.vmid), to);

/** Once, on that node, as it was made. */
async function isWholeOn(node: string): Promise<void> {
  await waitFor(`the guest is known on ${node} alone`, WAIT_LIMIT_MS, async () =>
    (await scene.guests()).join() === `victim on ${node} stopped` ? true : undefined,
  );
  const { guestUid, config } = await fleet.container('victim');
  expect({ guestUid, config }).toEqual({ guestUid: guest.guestUid, config: guest.config });
  expect(await fleet.activeReservations()).toEqual([]);
}

const ORDERS: readonly [at: string, words: (vmid: string) => readonly string[]][] = [
  ['pct start', (vmid) => ['container', 'start', vmid]],
  ['pct set', (vmid) => ['container', 'set', vmid, '--memory', '1GiB']],
  ['pct set', (vmid) => ['device', 'attach', vmid, ...USB]],
  ['pct snapshot', (vmid) => ['container', 'snapshot', 'create', vmid, 's1']],
  ['pct destroy', (vmid) => ['container', 'destroy', vmid, '--yes']],
];

describe('moved while an order for it is under way', () => {
  it.each(ORDERS)('at its node, before %s looks', async (at, words) => {
    const id = await scene.beginUntil({ at, point: 'begin', do: 'hang' }, words(String(guest.vmid)));
    await move('pve3', 'pve2');
    scene.letGo();
    await saysWhereItIs(id);
    await isWholeOn('pve2');
    await scene.nothingIsLeft();
  });

  /** A change is agreed with the node before there is a plan; these are not. */
  it.each([
    ['start', []],
    ['destroy', ['--yes']],
  ] as const)('on the way to its node, for %s', async (verb, more) => {
    const { trio, node } = scene;
    trio.link(node).cut();
    const id = await scene.begin('container', verb, String(guest.vmid), ...more);
    await move('pve3', 'pve2');
    trio.heal(node);
    await saysWhereItIs(id);
    await isWholeOn('pve2');
    await scene.nothingIsLeft();
  });
});

describe('moved while its devices are changed', () => {
  it('with a device that is being taken from it: it keeps the device, and its old node has it to give', async () => {
    const vmid = String(guest.vmid);
    await fleet.cli.text(['device', 'attach', vmid, ...USB]);
    guest = await fleet.container('victim');
    const fault = { at: 'pct set', point: 'begin', do: 'hang' } as const;
    const id = await scene.beginUntil(fault, ['device', 'detach', vmid, ...USB]);
    await move('pve3', 'pve2');
    scene.letGo();
    await saysWhereItIs(id);
    await isWholeOn('pve2');
    expect((await fleet.ended(id)).warnings).toEqual([]);
    const other = ['--storage', 'local-zfs', '--node', 'pve3', '--name', 'other'];
    await fleet.cli.text(['container', 'create', TEMPLATE, ...other]);
    await fleet.cli.text(['device', 'attach', 'other', ...USB]);
    await scene.nothingIsLeft();
  });

  it('with a device that it has just got: it takes it along, and that is told', async () => {
    const vmid = String(guest.vmid);
    const fault = { at: 'pct set', point: 'end', do: 'hang' } as const;
    const id = await scene.beginUntil(fault, ['device', 'attach', vmid, ...USB]);
    await move('pve3', 'pve2');
    scene.letGo();
    await saysWhereItIs(id);
    const [warning = ''] = (await fleet.ended(id)).warnings;
    expect(warning).toMatch(
      new RegExp(`container ${vmid} has taken /dev/bus/usb/\\S+ along to pve2.*pxmgr device detach ${vmid} --path`),
    );
    const path = /--path (\S+)"/.exec(warning)?.[1] ?? '';
    await waitFor('the guest is known on pve2', WAIT_LIMIT_MS, async () =>
      (await scene.guests()).join() === 'victim on pve2 stopped' ? true : undefined,
    );
    await fleet.cli.text(['device', 'detach', vmid, '--path', path]);
    await isWholeOn('pve2');
    await scene.nothingIsLeft();
  });
});

async function saysWhereItIs(id: string): Promise<void> {
  const { vmid } = guest;
  const end = await fleet.ended(id);
  expect(end).toMatchObject({ state: 'failed', problem: { code: 'PXM_GUEST_MOVED' } });
  const watched = await fleet.cli.run(['operation', 'watch', id]);
  expect(watched.stderr).toContain(`container ${vmid} is no longer on pve3: it was moved to pve2`);
  expect(watched.stderr).toMatch(/hint: +nothing was done to it on pve2; give the order again/);
}

describe('moved while its old node is out of reach', () => {
  it('it is known once, on the new one, and on the old one again when it is moved back', async () => {
    const { trio, node } = scene;
    const { sharedDir } = node.host;
    const file = (name: string): string => join(sharedDir, `nodes/${name}/lxc/${guest.vmid}.conf`);
    trio.cutAll(node);
    await trio.noticed(node);
    await rename(file('pve3'), file('pve2'));
    await isWholeOn('pve2');
    await rename(file('pve2'), file('pve3'));
    trio.heal(node);
    await isWholeOn('pve3');
    await fleet.cli.text(['container', 'start', String(guest.vmid)]);
    await scene.nothingIsLeft();
  });
});
