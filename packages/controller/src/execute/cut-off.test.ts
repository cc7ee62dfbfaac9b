import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { beforeEach, expect, it } from 'vitest';
import type { Fate } from './agent.fixture.ts';
import { begin, failure, finish, request, until, type Workshop, workshop } from './work.fixture.ts';
import type { Work } from './work.ts';

let shop: Workshop;
beforeEach(async () => {
  shop = await workshop([{ name: 'pve1' }]);
});

const REFUSED: Fate = { refuses: new PxmError('PXM_NO_QUORUM', { node: 'pve1' }) };

function warnings(work: Work, id: string): string[] {
  return work.records.operations
    .events(id, 0n, 999)
    .flatMap(({ event }) => (event?.$case === 'log' && event.value.stream === 'warning' ? [event.value.text] : []));
}

it('a node that is cut off before anything is made refuses it at once, and nothing stays reserved', async () => {
  const { work } = shop.open();
  const agent = shop.agent('pve1');
  agent.plan('container.create', REFUSED);
  const { plan } = await work.planner.planContainer(request());
  const { record } = await finish(work, work.executor.apply(plan.id).id);
  expect(record.operation.problem?.code).toBe('PXM_NO_QUORUM');
  expect(agent.effects).toEqual(['image.pull']);
  expect(work.records.reservations.active()).toEqual([]);
});

it('a guest that was made before the node was cut off is started when it has quorum again; it is told once', async () => {
  const { work } = shop.open();
  const agent = shop.agent('pve1');
  agent.plan('container.start', REFUSED, REFUSED, REFUSED);
  const { id } = await begin(work);
  const { record } = await finish(work, id);
  expect(record.state).toBe('done');
  expect(agent.effects).toEqual(['image.pull', 'container.create 100', 'container.start 100']);
  expect(warnings(work, id)).toEqual([
    'node pve1 is cut off from its cluster (no quorum); nothing may be changed on it; pve1 is asked again until it has quorum',
  ]);
});

it('what has to be taken back from a node without quorum is taken back when it has it', async () => {
  const { work } = shop.open();
  const agent = shop.agent('pve1');
  agent.plan('container.start', { fails: failure('PXM_START_FAILED') });
  agent.plan('container.destroy', REFUSED, REFUSED);
  const { plan } = await work.planner.planContainer(request());
  const { record } = await finish(work, work.executor.apply(plan.id).id);
  expect(record.operation.problem?.code).toBe('PXM_START_FAILED');
  expect(agent.guests.size).toBe(0);
  expect(work.records.reservations.active()).toEqual([]);
});

it('what it takes stays promised to a guest whose node is cut off, longer than any promise lasts', async () => {
  const { work } = shop.open();
  const { reservations } = work.records;
  shop.agent('pve1').plan('container.start', ...Array.from({ length: 1000 }, () => REFUSED));
  const { id } = await begin(work);
  await until(() => warnings(work, id).length > 0);
  const promised = reservations.active().map((one) => one.id);
  expect(promised).toHaveLength(1);
  for (const one of promised) reservations.redate(one, 1);
  expect(work.sweep()).toMatchObject({ plans: 0, reservations: 0 });
  expect(reservations.active().map((one) => one.id)).toEqual(promised);
  work.executor.cancel(id, 'operator:bob');
  await finish(work, id);
  expect(reservations.active()).toEqual([]);
});

it('a cancel ends the waiting for quorum, and what was made is taken back', async () => {
  const { work } = shop.open();
  const agent = shop.agent('pve1');
  agent.plan('container.start', ...Array.from({ length: 1000 }, () => REFUSED));
  const { id } = await begin(work);
  await until(() => warnings(work, id).length > 0);
  work.executor.cancel(id, 'operator:bob');
  const { record } = await finish(work, id);
  expect(record.state).toBe('cancelled');
  expect(agent.guests.size).toBe(0);
});
