/** Something of the fleet stands still: the rest goes on, and everybody is told what it is. */

import { faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { processesOf } from './traces.ts';

vi.setConfig({ testTimeout: 2 * TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

interface Status {
  readonly natsConnected: boolean;
  readonly problems?: readonly { readonly code: string; readonly message: string }[];
}

let fleet: TestFleet;
let image: string;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
  image = await fleet.image('web');
});
afterEach(() => {
  for (const node of fleet.nodes) setFaults(node.host, []);
});
afterAll(async () => {
  await fleet.stop();
});

async function status(): Promise<Status> {
  return await fleet.cli.json<Status>(['status']);
}

it('a pct that hangs holds up its own guest only, is stopped at its deadline, and is named with guest and node', async () => {
  const { host } = fleet.node('pve2');
  setFaults(host, [{ at: 'pct set', point: 'begin', do: 'hang' }]);
  const create = ['container', 'create', image, '--mount', 'tank/media:/media', '--detach', '-o', 'name'];
  const hung = (await fleet.cli.text([...create, '--name', 'hung'])).trim();
  await waitFor('pct set hangs', WAIT_LIMIT_MS, () =>
    faultsOf(host).some(({ done = 0 }) => done > 0) ? true : undefined,
  );
  const other = (await fleet.cli.text([...create, '--name', 'other'])).trim();
  expect(await fleet.ended(other)).toMatchObject({ state: 'done' });
  const operation = await fleet.ended(hung);
  expect(operation).toMatchObject({ state: 'failed', problem: { code: 'PXM_COMMAND_TIMEOUT' } });
  expect(operation.problem?.message).toMatch(
    new RegExp(`pct did not end within 30 s on pve2 and was stopped \\(.*container ${operation.vmid}.*\\)`),
  );
  // The agent looks at its storages with tools of the host, now and then.
  await waitFor('no tool runs any more', WAIT_LIMIT_MS, () =>
    processesOf(`${host.root}/bin/`).length === 0 ? true : undefined,
  );
  await waitFor('what was taken back is gone from the inventory', WAIT_LIMIT_MS, async () =>
    (await fleet.containers()).map(({ name }) => name).join() === 'other' ? true : undefined,
  );
  expect(await fleet.activeReservations()).toEqual([]);
  const { exitCode } = await fleet.cli.run(['operation', 'watch', hung]);
  expect(exitCode).toBe(6);
});

it('a message bus that stands still stops no query, is told by the status, and comes back', async () => {
  const [server] = processesOf(fleet.controller.stateDir).filter(({ argv }) => argv[0]?.includes('nats-server'));
  if (server === undefined) throw new Error('the controller has no nats-server');
  process.kill(server.pid, 'SIGSTOP');
  try {
    const said = await waitFor('the status tells it', WAIT_LIMIT_MS, async () => {
      const now = await status();
      return now.natsConnected ? undefined : now;
    });
    expect(said.problems?.map(({ code }) => code)).toEqual(['PXM_NATS_DOWN']);
    expect(await fleet.cli.text(['status'])).toMatch(/message bus +not connected[\s\S]*problem +PXM_NATS_DOWN: /);
    expect((await fleet.containers()).map(({ name }) => name)).toEqual(['other']);
    // Nobody is called down for what he could not say.
    const nodes = await fleet.cli.json<{ presence: string }[]>(['node', 'list']);
    expect(nodes.map(({ presence }) => presence)).not.toContain('down');
  } finally {
    process.kill(server.pid, 'SIGCONT');
  }
  await waitFor('the bus is back', WAIT_LIMIT_MS, async () => ((await status()).natsConnected ? true : undefined));
  const id = (await fleet.cli.text(['container', 'destroy', 'other', '--yes', '--detach', '-o', 'name'])).trim();
  expect(await fleet.ended(id)).toMatchObject({ state: 'done' });
  await waitFor('the inventory is up to date', WAIT_LIMIT_MS, async () =>
    (await fleet.containers()).length === 0 ? true : undefined,
  );
});
