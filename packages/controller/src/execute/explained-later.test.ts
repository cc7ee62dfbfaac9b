import { ContainerDocument } from '@pxmgr/contract/common';
import { describe, expect, it } from 'vitest';
import { GIB, gib, inventoryObject } from '../domain/fleet.fixture.ts';
import { request, webSpec, workshop } from './work.fixture.ts';

const CARD = { address: '0000:01:00.0', vramBytes: gib(12) };

describe('an explanation', () => {
  it('is the same later, when reservations, guests and nodes have come and gone, and after a restart', async () => {
    const shared = { id: 'ceph', type: 'rbd', content: ['rootdir'], shared: true, totalBytes: gib(500) };
    const local = { id: 'local', type: 'dir', content: ['vztmpl'] };
    const document = { cluster: 'home' };
    const shop = await workshop([
      { name: 'pve1', document, storages: [local, { ...shared, availableBytes: gib(60) }], gpus: [CARD] },
      { name: 'pve2', document, storages: [local, { ...shared, availableBytes: gib(60) }], memoryGib: 16 },
      { name: 'pve3', memoryGib: 4, guests: [{ vmid: 200, name: 'db', memoryBytes: gib(2) }] },
      { name: 'pve4', presence: 'down' },
    ]);
    const { work } = shop.open();
    const told = [];
    for (const part of [{}, { gpu: { count: 1, vramBytes: gib(8) } }, { memoryBytes: gib(6) }, { cores: 2 }]) {
      const { plan, evaluation } = await work.planner.planContainer(request({ spec: webSpec(part) }));
      told.push({ plan, evaluation: { ...evaluation } });
      const value = ContainerDocument.fromPartial({ vmid: 300 + told.length, name: 'late', memoryBytes: gib(1) });
      shop.fleet.put(
        inventoryObject(
          'pve3',
          { kind: 'container', id: String(value.vmid) },
          { document: { $case: 'container', value } },
        ),
      );
    }
    const taken = await work.planner.evaluate(webSpec(), { node: '', excludeNodes: [], vmid: 200 });
    told.push({ plan: { id: taken.id }, evaluation: { ...taken } });
    expect(taken.candidates.find((one) => one.nodeName === 'pve3')?.reasons.map((reason) => reason.filter)).toContain(
      'vmid',
    );
    shop.fleet.setPresence('pve1', 'down');
    shop.fleet.setNode({ name: 'pve5' });
    await work.planner.planContainer(request());
    for (const { records } of [work, shop.open().work]) {
      for (const { plan, evaluation } of told) {
        expect(evaluation.candidates).toHaveLength(4);
        expect(records.evaluations.find(plan.id)).toEqual(evaluation);
      }
    }
  });

  it('loses the facts only when nothing needs them', async () => {
    const shop = await workshop([{ name: 'pve1' }, { name: 'pve2' }]);
    const { work, database } = shop.open();
    const rows = (): unknown => database.sql.prepare('SELECT count(*) FROM placement_facts').pluck().get();
    const first = await work.planner.evaluate(webSpec(), { node: '', excludeNodes: [], vmid: 0 });
    shop.fleet.setNode({ name: 'pve3' });
    const second = await work.planner.evaluate(webSpec(), { node: '', excludeNodes: [], vmid: 0 });
    expect([rows(), work.records.facts.prune(), rows()]).toEqual([2, 0, 2]);
    database.sql.prepare('DELETE FROM evaluation WHERE id = ?').run(first.id);
    expect([work.records.facts.prune(), rows()]).toEqual([1, 1]);
    expect(work.records.evaluations.find(second.id)).toEqual(second);
  });

  it('of a placement that failed on the way is taken back with it, and the next one is whole', async () => {
    const shop = await workshop([{ name: 'pve1', memoryGib: 9 }, { name: 'pve2' }]);
    const { work, database } = shop.open();
    const spec = webSpec({ memoryBytes: gib(2) });
    await work.planner.planContainer(request({ spec }));
    database.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON plan BEGIN SELECT RAISE(ABORT, 'disk on fire'); END");
    const failed = await Promise.allSettled([1, 2].map(() => work.planner.planContainer(request({ spec }))));
    expect(failed.map((one) => one.status)).toEqual(['rejected', 'rejected']);
    database.sql.exec('DROP TRIGGER broken');
    expect(work.records.reservations.active().map((one) => one.memoryBytes)).toEqual([2 * GIB]);
    const { plan, evaluation } = await work.planner.planContainer(request({ spec }));
    expect(work.records.evaluations.find(plan.id)).toEqual(evaluation);
    expect(work.records.reservations.active()).toHaveLength(2);
    expect(plan.vmid).toBe(101);
  });

  it('of one that shared its commit with a failing one is whole, without a new picture of the fleet', async () => {
    const shop = await workshop([{ name: 'pve1', memoryGib: 9 }, { name: 'pve2' }]);
    const { work, database } = shop.open();
    const plan = async (name: string): ReturnType<typeof work.planner.planContainer> =>
      await work.planner.planContainer(request({ spec: { ...webSpec({ memoryBytes: gib(2) }), name } }));
    const { plan: before } = await plan('before');
    database.sql.exec(`
      CREATE TRIGGER broken BEFORE INSERT ON reservation WHEN new.title = 'container failing'
      BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`);
    const ended = { state: 'released', reason: 'not needed', atMs: 0, settle: false } as const;
    work.records.reservations.end(before.reservationId, ended);
    shop.fleet.setPresence('pve2', 'down');
    const outcomes = await Promise.allSettled(['first', 'failing', 'last'].map(plan));
    expect(outcomes.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const good = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(good.map(({ plan: { vmid } }) => vmid)).toEqual([100, 101]);
    for (const one of good) expect(work.records.evaluations.find(one.plan.id)).toEqual({ ...one.evaluation });
    expect(database.sql.prepare('SELECT sum(base) FROM placement_facts').pluck().get()).toBe(1);
  });
});
