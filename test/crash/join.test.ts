/** A join in which the controller or the joining agent is killed: the same command again succeeds, with the same identity. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { importOf } from '../../deploy/stand/daemon.ts';
import { bundle } from '../../deploy/stand/stand-dir.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import type { CallFault, Fault } from '../support/fault.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
let joined = 0;
beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', faulty: ['agent', 'controller'] });
});
afterAll(async () => {
  await fleet.stop();
});

interface Newcomer {
  readonly name: string;
  readonly stateDir: string;
  readonly join: () => Promise<CommandResult>;
}

/** Another node, with a token of its own. */
async function newcomer(): Promise<Newcomer> {
  joined += 1;
  const name = `new${String(joined)}`;
  const config = fleet.dir.path(`${name}.yaml`);
  const stateDir = fleet.dir.path(name);
  const { host } = fleet.node('pve2');
  writeFileSync(config, `host_root: ${host.root}\nstate_dir: ${stateDir}\nlisten: 127.0.0.1:7450\n`);
  const stdin = await fleet.cli.text(['node', 'token', 'create', '--node', name]);
  const args = [bundle('pxmgr-agent'), 'join', '-', '--config', config, '--node-name', name];
  const join_ = async (): Promise<CommandResult> =>
    await fleet.dir.runner.run({
      file: process.execPath,
      args: [...importOf(fleet.faults('agent').module), ...args],
      stdin,
      purpose: 'join',
      timeoutMs: WAIT_LIMIT_MS,
    });
  return { name, stateDir, join: join_ };
}

/** What is wrong after the same command was given again. */
async function joinsAgain({ name, stateDir, join: again }: Newcomer): Promise<string[]> {
  const { exitCode, stderr } = await again();
  if (exitCode !== 0) return [`it does not join: ${stderr}`];
  const { nodeUid } = JSON.parse(readFileSync(join(stateDir, 'identity/membership.json'), 'utf8')) as {
    nodeUid: string;
  };
  const nodes = await fleet.cli.json<{ name: string; uid: string }[]>(['node', 'list']);
  const uids = nodes.filter((node) => node.name === name).map(({ uid }) => uid);
  return [
    ...(uids.join() === nodeUid ? [] : [`the agent is ${nodeUid}, the controller knows ${uids.join()}`]),
    ...readdirSync(stateDir)
      .filter((entry) => entry !== 'identity')
      .map((entry) => `left over: ${entry}`),
  ];
}

describe('a controller killed at a write of a join', () => {
  it.each([
    ['before', 'token'],
    ['after', 'token'],
  ] as const)('%s its commit lets the same node in with the same token', async (when, table) => {
    const node = await newcomer();
    const fault: Fault = { at: 'commit', nth: 1, tables: `^${table}$`, when };
    fleet.faults('controller').set(fault);
    expect((await node.join()).exitCode).not.toBe(0);
    expect(fleet.controller.isAlive).toBe(false);
    await fleet.controller.start();
    expect(await joinsAgain(node)).toEqual([]);
  });
});

const POINTS: readonly (readonly [string, Pick<CallFault, 'call' | 'path'>])[] = [
  ['keeps its keys', { call: 'rename', path: '/identity\\.pending/[^/]+\\.tmp$' }],
  ['writes its certificate', { call: 'handle.sync', path: '\\.agent\\.crt\\.' }],
  ['gives the identity its name', { call: 'renameSync', path: '/identity\\.new$' }],
];

describe('an agent killed while it', () => {
  it.each(POINTS)('%s joins with the same command', async (_what, { call, path }) => {
    for (const how of ['kill before', 'kill after'] as const) {
      const node = await newcomer();
      fleet.faults('agent').set({ at: 'call', call, path, nth: 1, do: how });
      expect((await node.join()).signal).toBe('SIGKILL');
      expect(await joinsAgain(node), how).toEqual([]);
    }
  });
});
