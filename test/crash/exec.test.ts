/** A command inside a guest when agent or controller are killed: nothing of it goes on inside, and the audit tells of it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { processesOf } from '../e2e/traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
let node: NodeProcess;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'here' });
  node = fleet.node('pve2');
  await fleet.cli.text(['run', await fleet.image('web'), '--name', 'web']);
});
afterAll(async () => {
  await fleet.stop();
});

/** Nothing runs in a guest that is only played; the fleet prints the reason. */
const isReal = (): boolean => fleet.runtime.kind === 'lxc';

/** Seconds that no other program on this machine sleeps. */
let lastSeconds = 1_000_000 + process.pid * 10;
function newSleep(): string {
  lastSeconds += 1;
  return String(lastSeconds);
}

function isAsleep(seconds: string): boolean {
  return processesOf(seconds).some(({ argv }) => argv[0] === 'sleep');
}

async function asleep(seconds: string, isWanted: boolean): Promise<void> {
  await waitFor(`sleep ${seconds} ${isWanted ? 'runs' : 'is gone'}`, WAIT_LIMIT_MS, () =>
    isAsleep(seconds) === isWanted ? true : undefined,
  );
}

/** Of the newest command: whose it was, where, and how it ended. */
async function audited(): Promise<string> {
  const rows = await fleet.cli.json<{ method: string; identity: string; target: string; outcome: string }[]>([
    'audit',
    'list',
  ]);
  const row = rows.find(({ method }) => method === 'GuestService/ExecGuest');
  return `${row?.identity ?? ''} ${row?.target ?? ''} ${row?.outcome ?? ''}`;
}

/** What the agent keeps of commands that run. */
function records(): string[] {
  return readdirSync(join(node.stateDir, 'execs'));
}

function begin(argv: readonly string[]): ReturnType<TestFleet['cli']['start']> {
  return fleet.cli.start(['container', 'exec', 'web', '--', ...argv]);
}

describe('a command inside a guest', () => {
  it('ends with its agent, and what an earlier command has left on purpose goes on', async () => {
    if (!isReal()) return;
    const daemon = newSleep();
    await begin(['sh', '-c', `sleep ${daemon} >/dev/null 2>&1 </dev/null &`]).done;
    const seconds = newSleep();
    // Asked to stop it says no.
    const call = begin(['sh', '-c', `trap "" TERM; sleep ${seconds}; true`]);
    await asleep(seconds, true);
    await node.kill();
    expect((await call.done).exitCode).not.toBe(0);
    expect(isAsleep(seconds)).toBe(true);
    await node.start();
    await asleep(seconds, false);
    expect(await audited()).toBe('operator:root web PXM_NODE_UNREACHABLE');
    await waitFor('nothing is left of it', WAIT_LIMIT_MS, () => (records().length === 0 ? true : undefined));
    expect(isAsleep(daemon)).toBe(true);
  });

  it('ends with its controller, and the audit says that its end is unknown', async () => {
    if (!isReal()) return;
    const seconds = newSleep();
    const call = begin(['sleep', seconds]);
    await asleep(seconds, true);
    expect(await audited()).toBe('operator:root web RUNNING');
    await fleet.controller.kill();
    expect((await call.done).exitCode).not.toBe(0);
    await asleep(seconds, false);
    await fleet.controller.start();
    await node.waitUp();
    expect(await audited()).toBe('operator:root web UNKNOWN');
    await waitFor('nothing is left of it', WAIT_LIMIT_MS, () => (records().length === 0 ? true : undefined));
  });

  it('leaves its status in the audit', async () => {
    if (!isReal()) return;
    await begin(['sh', '-c', 'exit 3']).done;
    expect(await audited()).toBe('operator:root web EXIT 3');
    await begin(['true']).done;
    expect(await audited()).toBe('operator:root web OK');
  });
});
