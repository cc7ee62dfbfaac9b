/**
 * SIGKILL in the middle of a whole run with a dataset, while the host's tool goes on working and ends by itself:
 * whoever comes back finds it at work or done. `crash.e2e.test.ts` has tools that never end,
 * `pct start`, and single steps.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/fault';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { type OperationView, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import {
  agentScratch,
  differences,
  guestLocks,
  hostTree,
  mountsBelow,
  processesOf,
  readText,
  runningTasks,
  treeOf,
} from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

/** Longer than a killed program needs to come back: it finds the host's tool still at work. */
const DELAY_MS = 3000;
const NAME = 'victim';
/** A host folder in the guest is a `pct set` of its own: `pct create` cannot make it. */
const ORDER = ['--name', NAME, '--ready', 'running', '--mount', 'tank/media:/media:ro'];

let fleet: TestFleet;
let node: NodeProcess;
let image: string;
let before: { readonly host: Map<string, string>; readonly guests: Map<string, string> };

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
  node = fleet.node('pve2');
  image = await fleet.image('web');
  // The first guest brings what the host keeps on purpose: the archive of the image, folders, lock files.
  await fleet.cli.text(['run', image, ...ORDER]);
  await fleet.cli.text(['container', 'destroy', NAME, '--force', '--yes']);
});
afterAll(async () => {
  await fleet.stop();
});
beforeEach(() => {
  before = { host: hostTree(node), guests: guestFiles() };
});
afterEach(async ({ task }) => {
  setFaults(node.host, []);
  if (task.result?.state !== 'fail') return;
  // So that the next one begins afresh.
  for (const { vmid } of await fleet.containers())
    await fleet.cli.run(['container', 'destroy', String(vmid), '--force', '--yes']);
});

/** Behind a link into the cluster's files, where `hostTree` does not go: configurations and temporary files beside them. */
const guestFiles = (): Map<string, string> => treeOf(realpathSync(node.host.path('/etc/pve/lxc')), [], /./);

type Fault = Pick<FaultRule, 'at' | 'point'> & { readonly do?: 'delay' | 'die' };

/** A run whose tool is now at the fault's point; its operation. */
async function runUntil(fault: Fault): Promise<string> {
  setFaults(node.host, [{ do: 'delay', delayMs: DELAY_MS, ...fault }]);
  const id = (await fleet.cli.text(['run', image, ...ORDER, '--detach', '-o', 'name'])).trim();
  await waitFor(`${fault.at} is at ${fault.point}`, WAIT_LIMIT_MS, () =>
    faultsOf(node.host).some((rule) => (rule.done ?? 0) > 0) ? true : undefined,
  );
  return id;
}

/** Ended, and a failure has a reason that a person can use. */
async function endedHonestly(id: string): Promise<OperationView> {
  const operation = await fleet.ended(id);
  expect(['done', 'failed']).toContain(operation.state);
  if (operation.state === 'failed') {
    expect(operation.problem?.code).toMatch(/^PXM_(?!INTERNAL)/);
    expect(operation.problem?.message).toMatch(/\w+ \w+/);
  }
  return operation;
}

/** A guest of a run that is done is as ordered; of one that failed it is whole and known, or gone. */
async function wholeOrGone({ vmid, state }: OperationView): Promise<void> {
  const file = node.host.path(`/etc/pve/lxc/${vmid}.conf`);
  if (state === 'failed' && !existsSync(file)) return;
  const guest = await fleet.container(NAME);
  expect(guest.vmid).toBe(vmid);
  if (state === 'done') expect(guest.status).toBe('running');
  const config = readFileSync(file, 'utf8');
  expect(config).toContain(`lxc.environment.hooks: PXMGR_GUEST=${guest.guestUid}\n`);
  expect(config).toMatch(/^entrypoint: \/usr\/local\/bin\/serve$/m);
  expect(config).toMatch(/^mp\d: \/tank\/media,mp=\/media,ro=1$/m);
  expect(config).toMatch(/^rootfs: /m);
  expect(config).not.toMatch(/^lock:/m);
  expect(await node.tool('pct', 'status', String(vmid))).toBe(`status: ${guest.status}\n`);
  await fleet.cli.text(['container', 'destroy', NAME, '--force', '--yes']);
}

async function nothingIsLeft(): Promise<void> {
  await waitFor('the tools on the host have ended', WAIT_LIMIT_MS, () =>
    processesOf(`${node.host.root}/bin/pct`).length === 0 ? true : undefined,
  );
  expect(differences(before.host, hostTree(node))).toEqual([]);
  expect(differences(before.guests, guestFiles())).toEqual([]);
  expect(guestLocks(node)).toEqual([]);
  expect(agentScratch(node)).toEqual([]);
  expect(mountsBelow(fleet.dir.root)).toEqual([]);
  expect(runningTasks(node)).toEqual([]);
  expect(await fleet.activeReservations()).toEqual([]);
  expect(await fleet.containers()).toEqual([]);
  expect(readText(node.host.path('/tank/media/film.txt'))).toContain('a film');
}

describe('an agent that is killed', () => {
  it.each<[at: string, point: string]>([
    ['pct create', 'after-lock'],
    ['pct create', 'after-volume'],
    ['pct create', 'mid-extract'],
    ['pct create', 'before-config'],
    ['pct set', 'before-config'],
  ])('while %s is at %s ends the run, and nothing stays', async (at, point) => {
    const id = await runUntil({ at, point });
    await node.kill();
    await node.start();
    const operation = await endedHonestly(id);
    await wholeOrGone(operation);
    await nothingIsLeft();
  });

  it('together with its pct ends the run, and nothing stays', async () => {
    const id = await runUntil({ at: 'pct create', point: 'mid-extract', do: 'die' });
    await node.kill();
    await node.start();
    const operation = await endedHonestly(id);
    await wholeOrGone(operation);
    await nothingIsLeft();
  });
});

describe('a controller that is killed', () => {
  it('goes on with the run to its end', async () => {
    const id = await runUntil({ at: 'pct create', point: 'mid-extract' });
    await fleet.controller.kill();
    await fleet.controller.start();
    const operation = await endedHonestly(id);
    expect(operation.state).toBe('done');
    await wholeOrGone(operation);
    await nothingIsLeft();
  });

  it('together with the agent ends the run, and nothing stays', async () => {
    const id = await runUntil({ at: 'pct create', point: 'mid-extract' });
    await Promise.all([node.kill(), fleet.controller.kill()]);
    node.startOnly();
    await fleet.controller.start();
    await node.waitUp();
    const operation = await endedHonestly(id);
    await wholeOrGone(operation);
    await nothingIsLeft();
  });
});
