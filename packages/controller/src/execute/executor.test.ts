import { beforeEach, describe, expect, it } from 'vitest';
import { finish, request, until, type Workshop, workshop } from './work.fixture.ts';

let shop: Workshop;
beforeEach(async () => {
  shop = await workshop([{ name: 'pve1' }, { name: 'pve2', memoryGib: 64 }]);
});

describe('a create plan', () => {
  it('goes from wish to a running guest, and the reservation ends when the inventory shows it', async () => {
    const { work } = shop.open();
    const { plan, evaluation } = await work.planner.planContainer(request());
    expect(plan).toMatchObject({ nodeName: 'pve2', vmid: 100, state: 'draft', fencingToken: 1n, generation: 1n });
    expect(evaluation.chosenNodeName).toBe('pve2');
    expect(work.records.reservations.active()).toHaveLength(1);

    const operation = work.executor.apply(plan.id);
    const { record, events } = await finish(work, operation.id);

    expect(record.operation.problem).toBeUndefined();
    expect(record.state).toBe('done');
    expect(shop.agent('pve2').effects).toEqual(['image.pull', 'container.create 100', 'container.start 100']);
    expect(shop.agent('pve2').guests.get(100)).toMatchObject({ guestUid: plan.guestUid, status: 'running' });
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => BigInt(index + 1)));
    expect(
      events.some(
        (event) => event.event?.$case === 'log' && event.event.value.text === 'container.create is under way',
      ),
    ).toBe(true);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('done');
    expect(work.records.reservations.get(plan.reservationId)).toMatchObject({
      state: 'released',
      endReason: 'observed in inventory',
    });
  });

  it('is not applied twice', async () => {
    const { work } = shop.open();
    shop.agent('pve2').plan('container.create', 'held');
    const { plan } = await work.planner.planContainer(request());
    const first = work.executor.apply(plan.id);
    expect(work.executor.apply(plan.id).id).toBe(first.id);
    await until(() => shop.agent('pve2').running('container.create') === 1);
    shop.agent('pve2').letGo('container.create');
    await finish(work, first.id);
    expect(() => work.executor.apply(plan.id)).toThrow(expect.objectContaining({ code: 'PXM_PLAN_NOT_OPEN' }));
    expect(shop.agent('pve2').effects.filter((effect) => effect.startsWith('container.create'))).toHaveLength(1);
  });

  it('that is refused holds nothing any longer', async () => {
    const { work } = shop.open();
    const { plan } = await work.planner.planContainer(request());
    shop.fleet.setPresence('pve2', 'down');
    expect(() => work.executor.apply(plan.id)).toThrow(expect.objectContaining({ code: 'PXM_NODE_DOWN' }));
    expect(work.records.reservations.active()).toEqual([]);
    expect(work.records.plans.get(plan.id)?.plan.state).toBe('expired');
    expect(() => work.executor.apply(plan.id)).toThrow(expect.objectContaining({ code: 'PXM_PLAN_NOT_OPEN' }));
  });
});
