import type { AnyChange } from '@pxmgr/contract';
import { OperationState, SetOptions } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import { beforeEach, describe, expect, it } from 'vitest';
import { gib } from '../domain/fleet.fixture.ts';
import type { Action } from '../domain/plan.ts';
import { DIGEST } from '../execute/agent.fixture.ts';
import { finish, request, type Workshop, webSpec, workshop } from '../execute/work.fixture.ts';
import type { Work } from '../execute/work.ts';

const GUEST_UID = 'c'.repeat(32);
let shop: Workshop;
let work: Work;
beforeEach(async () => {
  const guests = [
    { vmid: 101, name: 'web', status: 'stopped', guestUid: GUEST_UID },
    { vmid: 102, name: 'db', status: 'running', guestUid: 'd'.repeat(32) },
    { vmid: 103, name: 'safe', status: 'stopped', protection: true },
    { vmid: 104, name: 'base', status: 'stopped', template: true },
  ];
  shop = await workshop([{ name: 'pve1', guests }]);
  work = shop.open().work;
});

const guest = (key: string): { key: string; node: string } => ({ key, node: '' });
const change = (one: AnyChange, key = 'web'): Action => ({
  $case: 'change',
  value: { guest: guest(key), change: { change: one }, start: false },
});
const rollBackAndStart: Action = {
  $case: 'change',
  value: { guest: guest('web'), change: { change: { $case: 'rollbackSnapshot', value: { name: 's1' } } }, start: true },
};
const set = (wish: Parameters<typeof SetOptions.fromPartial>[0], key?: string): Action =>
  change({ $case: 'setOptions', value: SetOptions.fromPartial(wish) }, key);

async function carryOut(action: Action): Promise<string | undefined> {
  const plan = await work.actions.plan({ action, dryRun: false, showCommands: false, actor: 'operator:alice' });
  const { record } = await finish(work, work.executor.apply(plan.id).id);
  return record.operation.problem?.code;
}

function refusal(action: Action | undefined): Promise<unknown> {
  const planned = work.actions.plan({ action, dryRun: false, showCommands: false, actor: 'operator:alice' });
  return planned.then(
    () => 'planned',
    (error: unknown) => (error as { code: string }).code,
  );
}

describe('actions on guests', () => {
  it('are carried out and seen in the inventory', async () => {
    expect(await carryOut({ $case: 'start', value: { guest: guest('web'), readiness: undefined } })).toBeUndefined();
    expect(
      await carryOut({ $case: 'shutdown', value: { guest: guest('101'), timeoutSeconds: 30, force: false } }),
    ).toBeUndefined();
    expect(await carryOut({ $case: 'stop', value: { guest: guest('db') } })).toBeUndefined();
    expect(await carryOut({ $case: 'destroy', value: { guest: guest('db'), force: false } })).toBeUndefined();
    expect(shop.agent('pve1').effects).toEqual([
      'container.start 101',
      'container.shutdown 101',
      'container.stop 102',
      'container.destroy 102',
    ]);
  });

  it('carry the uid of the guest that was meant', async () => {
    const plan = await work.actions.plan({
      action: { $case: 'destroy', value: { guest: guest('web'), force: false } },
      dryRun: false,
      showCommands: false,
      actor: 'operator:alice',
    });
    const other = shop.agent('pve1').guests.get(101);
    if (other !== undefined) shop.agent('pve1').guests.set(101, { ...other, guestUid: 'e'.repeat(32) });
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.operation.problem?.code).toBe('PXM_GUEST_FOREIGN');
    expect(shop.agent('pve1').guests.has(101)).toBe(true);
  });

  it('are refused where the inventory already says no', async () => {
    expect(await refusal({ $case: 'destroy', value: { guest: guest('db'), force: false } })).toBe('PXM_GUEST_RUNNING');
    expect(await refusal({ $case: 'destroy', value: { guest: guest('safe'), force: true } })).toBe(
      'PXM_GUEST_PROTECTED',
    );
    expect(await refusal({ $case: 'start', value: { guest: guest('base'), readiness: undefined } })).toBe(
      'PXM_GUEST_TEMPLATE',
    );
    expect(await refusal({ $case: 'stop', value: { guest: undefined } })).toBe('PXM_INPUT_INVALID');
    expect(await refusal(undefined)).toBe('PXM_INPUT_INVALID');
    shop.fleet.setPresence('pve1', 'down');
    expect(await refusal({ $case: 'stop', value: { guest: guest('db') } })).toBe('PXM_NODE_DOWN');
  });

  it('change a guest, and are seen in the inventory', async () => {
    expect(await carryOut(change({ $case: 'createSnapshot', value: { name: 's1', description: '' } }))).toBeUndefined();
    expect(await carryOut(change({ $case: 'rollbackSnapshot', value: { name: 's1' } }))).toBeUndefined();
    expect(await carryOut(change({ $case: 'destroySnapshot', value: { name: 's1' } }))).toBeUndefined();
    expect(shop.agent('pve1').effects).toEqual([
      'container.snapshot.create 101',
      'container.snapshot.rollback 101',
      'container.snapshot.destroy 101',
    ]);
    expect(await refusal(change({ $case: 'createSnapshot', value: { name: 'current', description: '' } }))).toBe(
      'PXM_INPUT_INVALID',
    );
    expect(await refusal({ $case: 'change', value: { guest: guest('web'), change: undefined, start: false } })).toBe(
      'PXM_INPUT_INVALID',
    );
  });

  it('roll a guest back and start it, as two steps', async () => {
    const agent = shop.agent('pve1');
    expect(await carryOut(change({ $case: 'createSnapshot', value: { name: 's1', description: '' } }))).toBeUndefined();
    expect(await carryOut({ $case: 'start', value: { guest: guest('web'), readiness: undefined } })).toBeUndefined();
    expect(await carryOut(rollBackAndStart)).toBeUndefined();
    expect(agent.effects.slice(-2)).toEqual(['container.snapshot.rollback 101', 'container.start 101']);
    expect(agent.guests.get(101)?.status).toBe('running');
    const other = change({ $case: 'destroySnapshot', value: { name: 's1' } });
    expect(await refusal({ ...other, value: { ...other.value, start: true } } as Action)).toBe('PXM_INPUT_INVALID');
  });

  it('tell the failure of a start after a rollback', async () => {
    const agent = shop.agent('pve1');
    expect(await carryOut(change({ $case: 'createSnapshot', value: { name: 's1', description: '' } }))).toBeUndefined();
    const problem = new PxmError('PXM_START_FAILED', { vmid: '101', node: 'pve1', operation: 'op' });
    agent.plan('container.start', { fails: toProblem(problem) });
    const plan = await work.actions.plan({ action: rollBackAndStart, dryRun: false, showCommands: false, actor: 'a' });
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.operation.problem?.code).toBe('PXM_START_FAILED');
    expect(record.operation.steps.map(({ state }) => state).slice(0, 2)).toEqual([
      OperationState.OPERATION_STATE_DONE,
      OperationState.OPERATION_STATE_FAILED,
    ]);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('failed');
  });

  it('set options, and are refused for all that is wrong with them', async () => {
    expect(
      await carryOut(set({ memoryBytes: 2n ** 30n, cores: 2, onBoot: true, tags: { tags: ['shop'] } })),
    ).toBeUndefined();
    expect(shop.agent('pve1').guests.get(101)).toMatchObject({ memoryBytes: 2n ** 30n, cores: 2, tags: ['shop'] });
    expect(await refusal(set({}))).toBe('PXM_INPUT_INVALID');
    expect(await refusal(set({ memoryBytes: 1n }))).toBe('PXM_INPUT_INVALID');
    expect(await refusal(set({ name: 'no_underscore' }))).toBe('PXM_INPUT_INVALID');
  });

  it('give a guest no more memory or cores than placing would', async () => {
    // 32 GiB, of which 1 is the host's, and 1 each of two others that are no template.
    expect(await refusal(set({ memoryBytes: gib(30) }))).toBe('PXM_SIZE_UNAVAILABLE');
    expect(await refusal(set({ memoryBytes: gib(29) }))).toBe('planned');
    expect(await refusal(set({ cores: 9 }, 'db'))).toBe('PXM_SIZE_UNAVAILABLE');
    expect(await refusal(set({ cores: 8 }, 'db'))).toBe('planned');
    expect(await refusal(set({ cores: 0, swapBytes: gib(100) }))).toBe('planned');
  });

  it('give two guests that ask at once the same room only once, until the inventory shows who has it', async () => {
    const wish = { memoryBytes: gib(20) };
    const both = await Promise.all([refusal(set(wish)), refusal(set(wish, 'db'))]);
    expect(both).toEqual(['planned', 'PXM_SIZE_UNAVAILABLE']);
    expect(await refusal(set(wish, 'safe'))).toBe('PXM_SIZE_UNAVAILABLE');
    expect(work.promisedMemoryBytes(shop.fleet.node('pve1')?.uid ?? '')).toBe(gib(19));
    const large = request({ spec: webSpec({ memoryBytes: gib(20) }) });
    await expect(work.planner.planContainer(large)).rejects.toMatchObject({ code: 'PXM_PLACEMENT_INFEASIBLE' });
    const [plan] = work.records.reservations.active();
    await finish(work, work.executor.apply(plan?.planId ?? '').id);
    expect(work.records.reservations.active()).toEqual([]);
    expect(await refusal(set(wish, 'db'))).toBe('PXM_SIZE_UNAVAILABLE');
    expect(await refusal(set({ memoryBytes: gib(10) }, 'db'))).toBe('planned');
  });

  it('give nobody the room of a size that waits for a restart, whose reservation has ended', async () => {
    shop.agent('pve1').letsWait = true;
    expect(await carryOut(set({ memoryBytes: gib(20), cores: 6 }, 'db'))).toBeUndefined();
    expect(work.records.reservations.active()).toEqual([]);
    expect(shop.agent('pve1').guests.get(102)).toMatchObject({ memoryBytes: gib(1), pending: ['memory', 'cores'] });
    expect(await refusal(set({ memoryBytes: gib(20) }))).toBe('PXM_SIZE_UNAVAILABLE');
    const spec = webSpec({ memoryBytes: gib(20) });
    await expect(work.planner.planContainer(request({ spec }))).rejects.toMatchObject({
      code: 'PXM_PLACEMENT_INFEASIBLE',
    });
    // What it has been granted it may ask for again.
    expect(await refusal(set({ memoryBytes: gib(21) }, 'db'))).toBe('planned');
  });

  it('are no plan where the agent would refuse the change', async () => {
    const no = new PxmError('PXM_SNAPSHOT_UNSUPPORTED', { vmid: '101', node: 'pve1', reasons: 'mp0 is a bind mount' });
    shop.agent('pve1').answerDryRuns(no);
    expect(await refusal(change({ $case: 'createSnapshot', value: { name: 's1', description: '' } }))).toBe(
      'PXM_SNAPSHOT_UNSUPPORTED',
    );
  });

  it('pull an image by its digest', async () => {
    expect(await carryOut({ $case: 'pull', value: { reference: 'nginx', node: '', platform: '' } })).toBeUndefined();
    expect(shop.agent('pve1').images).toEqual(new Set([DIGEST]));
    expect(await refusal({ $case: 'pull', value: { reference: 'UPPER', node: '', platform: '' } })).toBe(
      'PXM_INPUT_INVALID',
    );
  });

  it('show their commands on a dry run and leave nothing', async () => {
    const action: Action = { $case: 'stop', value: { guest: guest('db') } };
    const plan = await work.actions.plan({ action, dryRun: true, showCommands: true, actor: 'operator:alice' });
    expect(plan).toMatchObject({ id: '', title: 'stop container db (102) on pve1' });
    expect(plan.steps[0]?.commands[0]?.argv).toEqual(['tool', 'container.stop', '102']);
    expect(shop.agent('pve1').effects).toEqual([]);
  });
});
