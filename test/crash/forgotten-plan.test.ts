/** A controller that comes back with the end of its log lost: what it forgot is found again, and nothing is given away twice. */
import { rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';

vi.setConfig({ testTimeout: 2 * TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
let image: string;
beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
  image = await fleet.image('web');
  await fleet.cli.text(['run', image, '--name', 'first']);
});
afterAll(async () => {
  await fleet.stop();
});

const log = (): string => join(fleet.controller.stateDir, 'controller.db-wal');

async function begin(...words: string[]): Promise<string> {
  return (await fleet.cli.text([...words, '--detach', '-o', 'name'])).trim();
}

/** Everything that was committed after the log had that size is gone. */
async function forget(size: number): Promise<void> {
  await fleet.controller.kill();
  expect(statSync(log()).size).toBeGreaterThan(size);
  truncateSync(log(), size);
  rmSync(log().replace(/-wal$/, '-shm'), { force: true });
  await fleet.controller.start();
  await fleet.node('pve2').waitUp();
}

it('a plan that was forgotten while its guest is made: the guest stays, and neither its vmid nor its card is given again', async () => {
  const node = fleet.node('pve2');
  const { size } = statSync(log());
  setFaults(node.host, [{ at: 'pct create', point: 'begin', do: 'delay', delayMs: 6_000, times: 1 }]);
  await begin('run', image, '--name', 'forgotten', '--gpu', 'amd,exclusive');
  await waitFor('the guest is being made', WAIT_LIMIT_MS, () =>
    faultsOf(node.host).some(({ done }) => (done ?? 0) > 0) ? true : undefined,
  );
  await forget(size);
  expect(await fleet.cli.text(['operation', 'list'])).not.toContain('forgotten');

  const second = await fleet.refused(['run', image, '--name', 'second', '--gpu', 'amd,exclusive']);
  // The inventory knows it by now, or the agent does.
  expect(['PXM_VMID_TAKEN', 'PXM_PLACEMENT_INFEASIBLE'], second.text).toContain(second.code);
  await waitFor('the forgotten guest is seen', WAIT_LIMIT_MS, async () =>
    (await fleet.containers()).some(({ name }) => name === 'forgotten') ? true : undefined,
  );
  await fleet.cli.text(['run', image, '--name', 'third']);
  const guests = await fleet.containers();
  expect(guests.map(({ name }) => name).sort()).toEqual(['first', 'forgotten', 'third']);
  expect(new Set(guests.map(({ vmid }) => vmid)).size).toBe(3);
  const cards = await fleet.cli.json<{ usedBy?: unknown }[]>(['device', 'list', '--node', 'pve2']);
  const { vmid } = guests.find(({ name }) => name === 'forgotten') ?? { vmid: 0 };
  expect(JSON.stringify(cards)).toContain(String(vmid));
  expect(await fleet.activeReservations()).toEqual([]);
});
