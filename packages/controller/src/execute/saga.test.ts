import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { beforeEach, describe, expect, it } from 'vitest';
import { begin, failure, finish, request, until, type Workshop, workshop } from './work.fixture.ts';

let shop: Workshop;
beforeEach(async () => {
  shop = await workshop([{ name: 'pve1' }]);
});

describe('a step that fails', () => {
  it('takes back what the plan made, releases the reservation and rests the vmid', async () => {
    const { work } = shop.open();
    shop.agent('pve1').plan('container.start', { fails: failure('PXM_START_FAILED') });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record).toMatchObject({ state: 'failed', operation: { problem: { code: 'PXM_START_FAILED' } } });
    expect(shop.agent('pve1').guests.size).toBe(0);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('undone');
    expect(work.records.reservations.get(plan.reservationId)).toMatchObject({
      state: 'released',
      endReason: 'plan failed, undone',
    });
    const next = await work.planner.planContainer(request());
    expect(next.plan.vmid).toBe(101);
  });

  it('undoes nothing when nothing was made', async () => {
    const { work } = shop.open();
    shop.agent('pve1').plan('image.pull', { fails: failure('PXM_DISK_FULL') });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.operation.problem?.code).toBe('PXM_DISK_FULL');
    expect(shop.agent('pve1').effects).toEqual([]);
    expect(work.records.reservations.active()).toEqual([]);
    expect(work.leftBehind()).toEqual([]);
  });

  it('leaves a guest that runs but was not ready in time', async () => {
    const { work } = shop.open();
    shop.agent('pve1').plan('container.start', { fails: failure('PXM_NOT_READY') });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record).toMatchObject({ state: 'failed', operation: { warnings: ['container 100 was left as it is'] } });
    expect(shop.agent('pve1').guests.size).toBe(1);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('failed');
    const { id } = record.operation;
    expect(work.leftBehind()).toMatchObject([
      { code: 'PXM_NOT_READY', message: `pve1: ${id}: container 100 was left as it is` },
    ]);
  });

  it('says what is left, and keeps it reserved, when the undo fails too', async () => {
    const { work } = shop.open();
    shop.agent('pve1').plan('container.start', { fails: failure('PXM_START_FAILED') });
    shop.agent('pve1').plan('container.destroy', { fails: failure('PXM_DATASET_BUSY') });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.operation.problem?.code).toBe('PXM_UNDO_INCOMPLETE');
    expect(record.operation.problem?.message).toContain('container 100 on pve1');
    expect(record.operation.problem?.causes).toEqual(['it failed with PXM_START_FAILED']);
    expect(work.leftBehind()).toEqual([record.operation.problem]);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('failed');
    expect(work.records.reservations.active()).toHaveLength(1);
    // The guest is in the inventory, so the next sweep ends the reservation.
    expect(work.sweep().reservations).toBe(1);
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('has nothing to undo when the agent refused the order', async () => {
    const { work } = shop.open();
    const refuses = new PxmError('PXM_VMID_TAKEN', { vmid: '100', owner: 'by-hand' });
    shop.agent('pve1').plan('container.create', { refuses });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.operation.problem?.code).toBe('PXM_VMID_TAKEN');
    expect(shop.agent('pve1').orders.map((order) => order.idempotencyKey)).toEqual([`${plan.id}/1`, `${plan.id}/2`]);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('undone');
    expect((await work.planner.planContainer(request())).plan.vmid).toBe(101);
  });

  it('waits when the agent has too much to do', async () => {
    const { work } = shop.open();
    const refuses = new PxmError('PXM_QUEUE_FULL', { node: 'pve1', count: '99' });
    shop.agent('pve1').plan('container.create', { refuses }, { refuses });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.state).toBe('done');
  });

  it('never destroys a guest that somebody else put in its place', async () => {
    const { work } = shop.open();
    const agent = shop.agent('pve1');
    agent.plan('container.start', 'held');
    const { id } = await begin(work);
    await until(() => agent.running('container.start') === 1);
    const ours = agent.guests.get(100);
    if (ours !== undefined) agent.guests.set(100, { ...ours, guestUid: 'f'.repeat(32) });
    work.executor.cancel(id, 'operator:bob');
    const { record } = await finish(work, id);
    expect(record.state).toBe('cancelled');
    expect(agent.guests.get(100)?.guestUid).toBe('f'.repeat(32));
  });
});

describe('a node that has seen a newer token', () => {
  it('refuses the plan, and the next plan has a token above it', async () => {
    const { work } = shop.open();
    const fields = { node: 'pve1', seen: '7 (token 41)', generation: '1 (token 1)' };
    shop.agent('pve1').plan('container.create', { fails: { ...failure('PXM_GENERATION_OLD'), fields } });
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.operation.problem?.code).toBe('PXM_GENERATION_OLD');
    expect((await work.planner.planContainer(request())).plan.fencingToken).toBe(42n);
  });
});

describe('cancel', () => {
  it('stops the running step on the agent and takes the plan back', async () => {
    const { work } = shop.open();
    const agent = shop.agent('pve1');
    agent.plan('container.start', 'held');
    const { plan, id } = await begin(work);
    await until(() => agent.running('container.start') === 1);
    work.executor.cancel(id, 'operator:bob');
    const { record } = await finish(work, id);
    expect(record).toMatchObject({
      state: 'cancelled',
      cancelActor: 'operator:bob',
      operation: { problem: { code: 'PXM_CANCELLED' } },
    });
    expect(agent.guests.size).toBe(0);
    expect(work.records.reservations.get(plan.reservationId)?.endReason).toBe('cancelled, undone');
    expect(() => work.executor.cancel(id, 'operator:bob')).toThrow(
      expect.objectContaining({ code: 'PXM_OPERATION_ENDED' }),
    );
  });

  it('is remembered over a restart', async () => {
    const first = shop.open();
    const agent = shop.agent('pve1');
    agent.plan('container.create', 'held');
    const { plan } = await first.work.planner.planContainer(request());
    const { id } = first.work.executor.apply(plan.id);
    await until(() => agent.running('container.create') === 1);
    await first.work.stop();
    first.work.records.operations.requestCancel(id, 'operator:bob');
    const second = shop.open();
    second.work.start();
    const { record } = await finish(second.work, id);
    expect(record.state).toBe('cancelled');
    expect(agent.effects).toEqual(['image.pull']);
  });
});

describe('an agent that undid its work after a crash', () => {
  it('gets the order once more when it undid its work after a crash', async () => {
    const { work } = shop.open();
    const agent = shop.agent('pve1');
    agent.plan('container.create', 'undone');
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.state).toBe('done');
    const keys = agent.orders.map((order) => order.idempotencyKey.replace(plan.id, 'P'));
    expect(keys).toEqual(['P/1', 'P/2', 'P/2/2', 'P/3']);
  });

  it('does not get it a third time', async () => {
    const { work } = shop.open();
    shop.agent('pve1').plan('container.create', 'undone', 'undone');
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.state).toBe('failed');
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('undone');
  });
});

describe('the inventory', () => {
  it('may lag: the agent itself confirms, and the reservation waits for the inventory', async () => {
    const { work } = shop.open({ limits: { confirmMs: 20 } });
    const agent = shop.agent('pve1');
    agent.publishes = false;
    const { plan } = await work.planner.planContainer(request());
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record.state).toBe('done');
    expect(work.records.reservations.active()).toHaveLength(1);
    agent.publish(100);
    work.sweep();
    expect(work.records.reservations.get(plan.reservationId)?.endReason).toBe('observed in inventory');
  });

  it('that never shows the guest fails the operation and leaves the guest', async () => {
    const { work } = shop.open({ limits: { confirmMs: 20 } });
    const agent = shop.agent('pve1');
    agent.publishes = false;
    agent.plan('container.start', 'held');
    const { id } = await begin(work);
    await until(() => agent.running('container.start') === 1);
    const guest = agent.guests.get(100);
    agent.letGo('container.start');
    if (guest !== undefined) agent.guests.set(100, { ...guest, status: 'stopped' });
    const { record } = await finish(work, id);
    expect(record.operation.problem?.code).toBe('PXM_CONFIRM_TIMEOUT');
    expect(agent.guests.size).toBe(1);
  });
});

describe('a guest that was moved to another node meanwhile', () => {
  it('is left there, and what was promised for it on the old node is free', async () => {
    const { work } = shop.open();
    const agent = shop.agent('pve1');
    agent.publishes = false;
    agent.plan('container.start', { fails: failure('PXM_GUEST_MOVED') });
    const { plan, id } = await begin(work);
    const { record } = await finish(work, id);
    expect(record).toMatchObject({ state: 'failed', operation: { problem: { code: 'PXM_GUEST_MOVED' } } });
    expect(record.operation.warnings).toEqual(['container 100 was left as it is']);
    expect(agent.effects).toEqual(['image.pull', 'container.create 100']);
    expect(work.records.reservations.get(plan.reservationId)).toMatchObject({
      state: 'released',
      endReason: 'its guest was moved to another node',
    });
  });
});
