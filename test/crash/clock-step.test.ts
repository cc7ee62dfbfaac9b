/** The wall clock of a host, or of the controller, is set while a guest is made: nothing ends early, expires, or is asked for again. */
import { readFileSync } from 'node:fs';
import { faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let fleet: TestFleet;
let image: string;
beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', faulty: ['agent', 'controller'] });
  image = await fleet.image('web');
  await fleet.cli.text(['image', 'pull', image, '--node', 'pve2']);
});
afterEach(() => {
  for (const program of ['agent', 'controller'] as const) fleet.faults(program).setClock(0);
});
afterAll(async () => {
  await fleet.stop();
});

/** Its tool stands still. */
async function begin(name: string): Promise<string> {
  const { host } = fleet.node('pve2');
  setFaults(host, [{ at: 'pct create', point: 'before-config', do: 'hang' }]);
  const id = (await fleet.cli.text(['run', image, '--name', name, '--detach', '-o', 'name'])).trim();
  await waitFor('the guest is being made', WAIT_LIMIT_MS, () =>
    faultsOf(host).some(({ done }) => (done ?? 0) > 0) ? true : undefined,
  );
  return id;
}

/** By the wall clock: proof that it was set. */
function tookMs(operation: object): number {
  const { createdAt, endedAt } = operation as { createdAt: string; endedAt: string };
  return Date.parse(endedAt) - Date.parse(createdAt);
}

interface ChangeView {
  readonly id: string;
}

const STEPS = [
  ['agent', DAY_MS],
  ['controller', DAY_MS],
  ['controller', -DAY_MS],
] as const;

it.each(STEPS)('the clock of the %s is set by %i ms', async (program, offsetMs) => {
  const name = `${program}${offsetMs < 0 ? '-back' : '-ahead'}-${String(Math.abs(offsetMs) / HOUR_MS)}`;
  const id = await begin(name);
  fleet.faults(program).setClock(offsetMs);
  setFaults(fleet.node('pve2').host, []);
  const ended = await fleet.ended(id);
  expect(ended).toMatchObject({ state: 'done', recovery: '', warnings: [] });
  if (program === 'controller') expect(Math.abs(tookMs(ended))).toBeGreaterThan(DAY_MS / 2);
  expect(await fleet.cli.text(['operation', 'list'])).not.toMatch(/ -\d|NaN/);
  expect(await fleet.activeReservations()).toEqual([]);
  // It was noticed that the clock has moved, and nobody is taken for silent.
  await fleet.node('pve2').waitUp();
  const { vmid } = await fleet.container(name);
  await fleet.node('pve2').tool('pct', 'set', String(vmid), '--description', `set-${name}`);
  await waitFor('a change is known', WAIT_LIMIT_MS, async () =>
    (await fleet.container(name)).description.includes(`set-${name}`) ? true : undefined,
  );
  // History is in the order of what happened, whatever the clocks said.
  const told = (await fleet.cli.json<ChangeView[]>(['change', 'list', '--object', name, '--limit', '100'])).map(
    ({ id: change }) => Number(change),
  );
  expect(told.length).toBeGreaterThan(1);
  expect(told).toEqual([...told].sort((a, b) => b - a));
  // A token made now is good now.
  expect(await fleet.cli.text(['node', 'token', 'create', '--ttl', '60s'])).toMatch(/^pxj1\./);
});

it('no guest was made twice', () => {
  const lines = readFileSync(fleet.node('pve2').commandLog, 'utf8').trim().split('\n');
  const creates = lines.filter(
    (line) => (JSON.parse(line) as { argv: string[] }).argv.slice(0, 2).join(' ') === 'pct create',
  );
  expect(creates).toHaveLength(STEPS.length);
});
