/** The controller killed at its own durable writes while it carries a plan out, and agent and controller at once. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { agentScratch, differences, guestLocks, hostTree, runningTasks } from '../e2e/traces.ts';
import { EXECUTION_TABLES } from '../support/fault.ts';
import { seeded } from './matrix.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

/** The same part at each run; another one with PXMGR_SEED. */
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);
/** Of the writes of one run; the unit tests of execution kill at every one of them, in one process. */
const POINTS = 4;

let fleet: TestFleet;
let image: string;
let untouched: Map<string, string>;
let writes: number;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', faulty: ['agent', 'controller'] });
  image = await fleet.image('web');
  await runOnce();
  untouched = hostTree(fleet.node('pve2'));
  fleet.faults('controller').trace();
  await runOnce();
  writes = fleet
    .faults('controller')
    .traced()
    .filter(({ entry }) => entry.split(' ').some((table) => new RegExp(EXECUTION_TABLES).test(table))).length;
  process.stdout.write(`controller points: ${POINTS} of ${writes}, twice, PXMGR_SEED=${SEED}\n`);
});
afterAll(async () => {
  await fleet.stop();
});

async function runOnce(): Promise<void> {
  await fleet.cli.text(['run', image, '--name', 'victim']);
  await fleet.cli.text(['container', 'destroy', 'victim', '--force', '--yes']);
}

async function strikeAt(nth: number, isTogether: boolean): Promise<void> {
  const node = fleet.node('pve2');
  fleet.faults('controller').set({ at: 'commit', nth, when: 'after', tables: EXECUTION_TABLES });
  await fleet.cli.run(['run', image, '--name', 'victim', '--detach']);
  await waitFor('the controller is killed', WAIT_LIMIT_MS, () => (fleet.controller.isAlive ? undefined : true));
  if (isTogether) await node.kill();
  await fleet.controller.start();
  if (isTogether) await node.start();
  else await node.waitUp();
}

/** Whatever was accepted has come to its end; nothing else is there, and nothing stays reserved. */
async function settled(): Promise<void> {
  const operations = await fleet.cli.json<{ id: string }[]>(['operation', 'list', '--active']);
  for (const { id } of operations) await fleet.ended(id);
  const guests = await fleet.containers();
  expect(guests.map((guest) => guest.status)).toEqual(guests.length === 0 ? [] : ['running']);
  if (guests.length > 0) await fleet.cli.text(['container', 'destroy', 'victim', '--force', '--yes']);
  const node = fleet.node('pve2');
  const left = async (): Promise<string[]> => [
    ...differences(untouched, hostTree(node)),
    ...guestLocks(node),
    ...runningTasks(node),
    ...agentScratch(node),
    ...(await fleet.activeReservations()).map((one) => `reservation: ${JSON.stringify(one)}`),
  ];
  await waitFor('nothing is left', WAIT_LIMIT_MS, async () => ((await left()).length === 0 ? true : undefined)).catch(
    () => undefined,
  );
  expect(await left()).toEqual([]);
}

describe.each([
  ['a controller', false],
  ['controller and agent together', true],
])('%s killed at a write of the execution', (_who, isTogether) => {
  it.each(Array.from({ length: POINTS }, (_, index) => index))(
    'point %i comes to an end, and nothing is left',
    async (index) => {
      const random = seeded(SEED + index + (isTogether ? 100 : 0));
      const slice = Math.floor(writes / 2 / POINTS);
      await strikeAt(1 + slice * index + Math.floor(random() * slice), isTogether);
      await settled();
    },
  );
});
