/** Points that no table has: inside one write, between two, and files that come from elsewhere. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperationState, Order } from '@pxmgr/contract/common';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { publishStopped } from '@pxmgr/sim/host/running';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { differences, processesOf } from '../e2e/traces.ts';
import type { CallFault } from '../support/fault.ts';
import { TEMPLATE } from '../support/small-template.ts';
import { AgentBench } from './agent-bench.ts';
import { SCENARIOS } from './kinds.ts';
import { subjectOf } from './strike.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

const FAULTS: [what: string, kind: string, fault: Omit<CallFault, 'at'>][] = [
  [
    'before the archive gets its name',
    'image.pull',
    { call: 'rename', path: '\\.tar\\.tmp\\.', nth: 1, do: 'kill before' },
  ],
  [
    'between the archive and its record',
    'image.pull',
    { call: 'rename', path: '\\.tar\\.tmp\\.', nth: 1, do: 'kill after' },
  ],
  [
    'before the record gets its name',
    'image.pull',
    { call: 'rename', path: '/records/\\.', nth: 1, do: 'kill before' },
  ],
  [
    'in the middle of a journal line',
    'container.start',
    { call: 'writeSync', path: '/operations/op-', nth: 4, do: 'tear' },
  ],
  [
    'in the middle of a line of the outbox',
    'container.start',
    { call: 'appendFileSync', path: '/outbox$', nth: 1, do: 'tear' },
  ],
];

describe('an agent killed', () => {
  it.each(FAULTS)('%s (%s) leaves nothing half', async (_what, kind, fault) => {
    const scenario = SCENARIOS.find((one) => one.kind === kind);
    if (scenario === undefined) throw new Error(`no scenario of ${kind}`);
    const subject = subjectOf(scenario);
    await scenario.prepare(bench, subject);
    const before = bench.world(subject);
    const order = bench.newOrder();
    bench.faults.set({ at: 'call', ...fault });
    const sent = scenario.order(bench, subject, order).catch(() => undefined);
    await bench.died();
    await sent;
    await bench.restart();
    const operation = await bench.ended(order);
    const isDone = operation?.state === OperationState.OPERATION_STATE_DONE;
    expect(['resumed', 'undone', '']).toContain(operation?.recovery);
    if (!isDone) expect(differences(before, bench.world(subject))).toEqual([]);
    expect(await bench.lastingLeftovers()).toEqual([]);
    await scenario.cleanUp(bench, subject, isDone);
  });
});

it('a journal of a kind that only a newer agent knows is told, and everything else goes on', async () => {
  const id = `op-${'0'.repeat(25)}1`;
  const operation = {
    id,
    kind: 'container.teleport',
    state: 'OPERATION_STATE_RUNNING',
    title: 'teleport',
    idempotencyKey: 'newer',
  };
  const lines = [
    { begin: { operation, keys: [], params: {} } },
    { event: { operationId: id, seq: '1', operation } },
    { intent: { n: 1, name: 'container.teleport', data: { vmid: '999' } } },
  ];
  await bench.node.kill();
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  writeFileSync(join(bench.node.stateDir, 'operations', `${id}.jsonl`), text);
  await bench.restart();
  const ended = await bench.operation(Order.fromPartial({ idempotencyKey: 'newer' }));
  expect(ended?.problem).toMatchObject({ code: 'PXM_UNDO_INCOMPLETE', fields: { left: 'container.teleport' } });
});

/** The agent and its pct die where the tool stands still. */
async function dieAt(fault: FaultRule, send: () => Promise<void>): Promise<void> {
  const { node } = bench;
  setFaults(node.host, [fault]);
  await send();
  const pct = await waitFor('pct is at the point', WAIT_LIMIT_MS, () =>
    faultsOf(node.host).some(({ done = 0 }) => done > 0)
      ? processesOf(node.host.root).filter(({ argv }) => argv.includes('pct'))
      : undefined,
  );
  await node.kill();
  for (const { pid } of pct) process.kill(pid, 'SIGKILL');
  setFaults(node.host, []);
}

it('a volume of a half-made container whose id somebody took meanwhile is told and kept', async () => {
  const scenario = SCENARIOS.find(({ variant }) => variant === 'from a template');
  if (scenario === undefined) throw new Error('no scenario of a create');
  const { node } = bench;
  const subject = subjectOf(scenario);
  const vmid = String(subject.vmid);
  const order = bench.newOrder();
  await dieAt({ at: 'pct create', point: 'after-volume', do: 'delay', delayMs: 600_000 }, () =>
    scenario.order(bench, subject, order),
  );
  await node.tool('pct', 'unlock', vmid);
  await node.tool('pct', 'destroy', vmid);
  await node.tool('pct', 'create', vmid, TEMPLATE, '--storage', 'local', '--hostname', 'theirs');
  const theirs = await node.tool('pct', 'config', vmid);
  await bench.restart();
  const left = [0, 1].map((disk) => `local:${vmid}/vm-${vmid}-disk-${disk}.raw`);
  expect(await bench.ended(order)).toMatchObject({
    recovery: 'undone',
    warnings: left.map((volumeId): unknown => expect.stringContaining(`"pvesm free ${volumeId}"`)),
  });
  expect(await node.tool('pct', 'config', vmid)).toBe(theirs);
  for (const volumeId of left) await node.tool('pvesm', 'free', volumeId);
  await node.tool('pct', 'destroy', vmid);
  expect(await bench.lastingLeftovers()).toEqual([]);
});

it('a guest that goes down after the agent and pct have died over its shutdown has been shut down', async () => {
  const scenario = SCENARIOS.find(({ kind }) => kind === 'container.shutdown');
  if (scenario === undefined) throw new Error('no scenario of a shutdown');
  const { node } = bench;
  const subject = subjectOf(scenario);
  await scenario.prepare(bench, subject);
  const order = bench.newOrder();
  await dieAt({ at: 'pct shutdown', point: 'before-halt', do: 'delay', delayMs: 600_000 }, () =>
    bench.shutdown(order, subject, 120),
  );
  node.startOnly();
  await waitFor('the agent looks at the guest', WAIT_LIMIT_MS, async () => {
    const operation = await bench.operation(order).catch(() => undefined);
    return operation?.steps.some(({ name }) => name === 'recover') === true ? true : undefined;
  });
  publishStopped(node.host, subject.vmid);
  const operation = await bench.ended(order);
  expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, recovery: 'resumed' });
  await scenario.cleanUp(bench, subject, true);
});
