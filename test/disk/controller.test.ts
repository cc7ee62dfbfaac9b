/** The database of the controller when there is no room: questions are answered, the reason is told, work goes on with room. */
import { afterAll, afterEach, expect, it } from 'vitest';
import { finish, request, until, Workshop } from '../../packages/controller/src/execute/work.fixture.ts';
import { SmallDisk } from './small-disk.ts';

const disk = await SmallDisk.mount(4096);
afterAll(async () => {
  await disk?.unmount();
});
let shop: Workshop;
afterEach(async () => {
  disk?.free();
  await shop.close();
});

it.skipIf(disk === undefined)('a full disk under the controller stops nothing for good', async () => {
  shop = new Workshop([{ name: 'pve1' }], disk?.path);
  await shop.listen();
  const { work, database } = shop.open();
  const agent = shop.agent('pve1');
  agent.plan('container.create', 'held');
  const { plan } = await work.planner.planContainer(request());
  const { id } = work.executor.apply(plan.id);
  await until(() => agent.running('container.create') === 1);

  disk?.fill();
  const refused = { code: 'PXM_DISK_FULL', fields: { path: database.path } };
  await expect(work.planner.planContainer(request())).rejects.toMatchObject(refused);
  expect(database.failure()).toMatchObject(refused);
  agent.letGo('container.create');
  await until(() => agent.guests.has(100));
  work.sweep();
  expect(database.failure()).toMatchObject(refused);
  expect(work.records.operations.get(id)?.state).toBe('running');
  expect(work.records.reservations.active()).toHaveLength(1);
  expect(database.check()).toBe('ok');

  disk?.free();
  const { record } = await finish(work, id);
  expect(record).toMatchObject({ state: 'done', operation: { problem: undefined } });
  expect(agent.effects).toEqual(['image.pull', 'container.create 100', 'container.start 100']);
  expect(work.records.reservations.active()).toEqual([]);
  await work.planner.planContainer(request());
  expect(database.failure()).toBeUndefined();
  expect(database.check()).toBe('ok');
});
