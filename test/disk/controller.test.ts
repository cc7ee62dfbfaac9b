/** The database of the controller when the disk takes nothing: questions are answered, the reason is told, work goes on later. */
import { afterAll, afterEach, expect, it } from 'vitest';
import { begin, finish, request, until, workshop } from '../../packages/controller/src/execute/work.fixture.ts';
import { limitFileSize } from './file-limit.ts';
import { SmallDisk } from './small-disk.ts';

const disk = await SmallDisk.mount(4096);
afterAll(async () => {
  await disk?.unmount();
});
afterEach(async () => {
  disk?.free();
  await limitFileSize(process.pid, undefined);
});

interface Trouble {
  readonly code: string;
  readonly begin: () => Promise<void> | void;
  readonly end: () => Promise<void> | void;
}

const TROUBLES: readonly Trouble[] = [
  { code: 'PXM_DISK_FULL', begin: () => disk?.fill(), end: () => disk?.free() },
  {
    code: 'PXM_DISK_FAILED',
    begin: () => limitFileSize(process.pid, 0),
    end: () => limitFileSize(process.pid, undefined),
  },
];

it.skipIf(disk === undefined).each(TROUBLES)('$code under the controller stops nothing for good', async (trouble) => {
  const shop = await workshop([{ name: 'pve1' }], disk?.path);
  const { work, database } = shop.open();
  const agent = shop.agent('pve1');
  agent.plan('container.create', 'held');
  const { id } = await begin(work);
  await until(() => agent.running('container.create') === 1);

  await trouble.begin();
  const refused = { code: trouble.code, fields: { path: database.path } };
  await expect(work.planner.planContainer(request())).rejects.toMatchObject(refused);
  expect(database.failure()).toMatchObject(refused);
  agent.letGo('container.create');
  await until(() => agent.guests.has(100));
  work.sweep();
  expect(database.failure()).toMatchObject(refused);
  expect(work.records.operations.get(id)?.state).toBe('running');
  expect(work.records.reservations.active()).toHaveLength(1);
  expect(database.check()).toBe('ok');

  await trouble.end();
  const { record } = await finish(work, id);
  expect(record).toMatchObject({ state: 'done', operation: { problem: undefined } });
  expect(agent.effects).toEqual(['image.pull', 'container.create 100', 'container.start 100']);
  expect(work.records.reservations.active()).toEqual([]);
  await work.planner.planContainer(request());
  expect(database.failure()).toBeUndefined();
  expect(database.check()).toBe('ok');
});
