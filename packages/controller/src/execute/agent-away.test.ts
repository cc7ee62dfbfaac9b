import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Fate } from './agent.fixture.ts';
import { begin, failure, finish, request, until, type Workshop, workshop } from './work.fixture.ts';
import type { Work } from './work.ts';

let shop: Workshop;
beforeEach(async () => {
  shop = await workshop([{ name: 'pve1' }]);
});

function warnings(work: Work, id: string): string[] {
  return work.records.operations
    .events(id, 0n, 999)
    .flatMap(({ event }) => (event?.$case === 'log' && event.value.stream === 'warning' ? [event.value.text] : []));
}

describe('an agent that goes away', () => {
  it('is waited for: a restart in the middle only pauses the step', async () => {
    const { work } = shop.open();
    const agent = shop.agent('pve1');
    agent.plan('container.create', 'held');
    const { id } = await begin(work);
    await until(() => agent.running('container.create') === 1);
    await agent.stop();
    await until(() => warnings(work, id).length > 0);
    await shop.listen('pve1');
    agent.letGo('container.create');
    const { record } = await finish(work, id);
    expect(record.state).toBe('done');
    expect(agent.effects).toEqual(['image.pull', 'container.create 100', 'container.start 100']);
  });

  it.each<[string, Exclude<Fate, 'held' | { refuses: PxmError }>, string[]]>([
    ['finished', 'done', ['image.pull', 'container.create 100', 'container.start 100']],
    ['undid', 'undone', ['image.pull', 'container.create 100', 'container.start 100']],
    ['failed in', { fails: failure('PXM_COMMAND_FAILED') }, ['image.pull']],
  ])(
    'is asked until it is back, however long its node is down, and what it %s decides',
    async (_what, fate, effects) => {
      const { work } = shop.open({ limits: { silenceMs: 20 } });
      const agent = shop.agent('pve1');
      agent.plan('container.create', 'held');
      const { plan, id } = await begin(work);
      await until(() => agent.running('container.create') === 1);
      await agent.stop();
      shop.fleet.setPresence('pve1', 'down');
      await until(() => warnings(work, id).some((text) => text.includes('it is asked until it answers')));
      agent.letGo('container.create', fate);
      shop.fleet.setPresence('pve1', 'up');
      await shop.listen('pve1');
      const { record } = await finish(work, id);
      expect(record.state).toBe(effects.length > 1 ? 'done' : 'failed');
      expect(agent.effects).toEqual(effects);
      expect(work.records.plans.get(plan.id)?.plan.state).toBe(effects.length > 1 ? 'done' : 'undone');
      expect(work.records.reservations.active()).toEqual([]);
    },
  );

  it('is waited for with an undo too: nothing is left, and nothing stays reserved', async () => {
    const { work } = shop.open({ limits: { silenceMs: 20 } });
    const agent = shop.agent('pve1');
    agent.plan('container.start', 'held');
    const { id } = await begin(work);
    await until(() => agent.running('container.start') === 1);
    agent.letGo('container.start', { fails: failure('PXM_START_FAILED') });
    await agent.stop();
    shop.fleet.setPresence('pve1', 'down');
    await until(() => warnings(work, id).some((text) => text.includes('it is asked until it answers')));
    await shop.listen('pve1');
    const { record } = await finish(work, id);
    expect(record.operation.problem?.code).toBe('PXM_START_FAILED');
    expect(agent.guests.size).toBe(0);
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('does not get an order that was cancelled while it was away', async () => {
    const agent = shop.agent('pve1');
    const { work } = shop.open({
      limits: { silenceMs: 20 },
      door: (agents) => ({
        ...agents,
        createContainer: async (...order) => {
          await agent.stop();
          return await agents.createContainer(...order);
        },
      }),
    });
    const { plan, id } = await begin(work);
    await until(() => warnings(work, id).length > 0);
    work.executor.cancel(id, 'operator:bob');
    await shop.listen('pve1');
    const { record } = await finish(work, id);
    expect(record.state).toBe('cancelled');
    // The lost order may still be on its way: the undo has a newer token, so that the agent refuses what comes after it.
    expect(agent.orders.map((order) => [order.idempotencyKey, order.fencingToken])).toEqual([
      [`${plan.id}/1`, plan.fencingToken],
      [`${plan.id}/2/undo`, plan.fencingToken + 1n],
    ]);
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('that keeps away before anything was asked of its guests ends the operation', async () => {
    const { work } = shop.open({ limits: { silenceMs: 20 } });
    const { plan } = await work.planner.planContainer(request());
    await shop.agent('pve1').stop();
    const { record } = await finish(work, work.executor.apply(plan.id).id);
    expect(record).toMatchObject({ state: 'failed', operation: { problem: { code: 'PXM_NODE_UNREACHABLE' } } });
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('ends the operation with honest words when its node has left the fleet', async () => {
    const { work } = shop.open();
    const agent = shop.agent('pve1');
    agent.plan('container.create', 'held');
    const { id } = await begin(work);
    await until(() => agent.running('container.create') === 1);
    await agent.stop();
    shop.fleet.leave('pve1');
    const { record } = await finish(work, id);
    expect(record.state).toBe('failed');
    expect(record.operation.problem?.code).toBe('PXM_UNDO_INCOMPLETE');
    expect(record.operation.problem?.message).toContain('container 100 on pve1, if it was made');
    expect(record.operation.problem?.causes.join()).toContain('what it was told may still happen there');
    // Nobody knows what is there, and nobody can be asked: memory and vmid stay reserved until the time is over.
    expect(work.records.reservations.active()).toHaveLength(1);
  });

  it('is waited for when the inventory does not show it', async () => {
    const agent = shop.agent('pve1');
    const { work } = shop.open({
      limits: { confirmMs: 20 },
      door: (agents) => ({
        ...agents,
        getGuest: async (...guest) => {
          await agent.stop();
          return await agents.getGuest(...guest);
        },
      }),
    });
    agent.publishes = false;
    const { id } = await begin(work);
    await until(() => warnings(work, id).some((text) => text.includes('cannot be asked')));
    agent.publish(100);
    const { record } = await finish(work, id);
    expect(record.state).toBe('done');
    expect(work.records.reservations.active()).toEqual([]);
  });
});

it('an agent that has just started and has not looked yet is asked again, and not taken for one that has no guest', async () => {
  const unread = new PxmError('PXM_INVENTORY_UNREAD', { node: 'pve1', kind: 'container' });
  const answers = [unread, unread];
  const { work } = shop.open({
    limits: { confirmMs: 20 },
    door: (agents) => ({
      ...agents,
      getGuest: async (...guest) => {
        const answer = answers.shift();
        if (answer !== undefined) throw answer;
        return await agents.getGuest(...guest);
      },
    }),
  });
  shop.agent('pve1').publishes = false;
  const { id } = await begin(work);
  const { record } = await finish(work, id);
  expect(record.state).toBe('done');
  expect(answers).toEqual([]);
  expect(warnings(work, id)).toContain('pve1 cannot be asked; trying on');
});
