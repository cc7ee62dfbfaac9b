import { ContainerDocument, GpuDocument, type InventoryDocument } from '@pxmgr/contract/common';
import { describe, expect, it } from 'vitest';
import { GIB, gib, inventoryObject } from '../domain/fleet.fixture.ts';
import { DIGEST } from '../execute/agent.fixture.ts';
import { DEFAULT_LIMITS } from '../execute/run-context.ts';
import { finish, request, webSpec, workshop } from '../execute/work.fixture.ts';

const CARD = { address: '0000:01:00.0', vramBytes: gib(12) };
const gpuSpec = (gpu: object): ReturnType<typeof webSpec> => webSpec({ gpu });

describe('planContainer', () => {
  it('names everything: node, vmid, storage, digest, device, volumes of the image', async () => {
    const shop = await workshop([{ name: 'pve1', gpus: [CARD] }]);
    shop.agent('pve1').volumes = ['/config', '/cache'];
    const { work } = shop.open();
    const spec = gpuSpec({ count: 1 });
    const { plan } = await work.planner.planContainer(request({ spec: { ...spec, mounts: [] } }));
    expect(plan.spec?.storage).toBe('local-zfs');
    expect(plan.spec?.source).toMatchObject({ value: { digest: DIGEST, platform: 'linux/amd64' } });
    expect(plan.spec?.devices).toEqual([
      {
        path: '/dev/dri/by-path/pci-0000:01:00.0-render',
        deviceId: '0000:01:00.0',
        groups: ['render', 'video'],
        mode: '',
      },
    ]);
    expect(plan.spec?.mounts.map((mount) => [mount.target, mount.source])).toEqual(
      ['/config', '/cache'].map((target) => [
        target,
        { $case: 'volume', value: { storage: 'local-zfs', sizeBytes: gib(4) } },
      ]),
    );
    const [reservation] = work.records.reservations.active();
    expect(reservation?.pools).toEqual([{ storage: 'local-zfs', bytes: 16 * GIB }]);
    expect(reservation?.devices).toEqual([{ device: '0000:01:00.0', vramBytes: 0, exclusive: false }]);
    expect(plan.steps.map((step) => step.kind)).toEqual([
      'image.pull',
      'container.create',
      'container.start',
      'inventory.confirm',
      'reservation.release',
    ]);
  });

  it('stores nothing on a dry run, and shows the commands of the agent', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work, database } = shop.open();
    const { plan, evaluation } = await work.planner.planContainer(request({ dryRun: true, showCommands: true }));
    expect(plan).toMatchObject({ id: '', vmid: 100, reservationId: '' });
    expect(plan.steps[1]?.commands).toEqual([
      { argv: ['tool', 'container.create', '100'], purpose: 'container.create', internal: false },
    ]);
    expect(shop.agent('pve1').orders).toEqual([]);
    for (const table of ['plan', 'reservation', 'evaluation', 'operation']) {
      expect(database.sql.prepare(`SELECT count(*) FROM ${table}`).pluck().get()).toBe(0);
    }
    expect(work.records.evaluations.find(evaluation.id)).toBeUndefined();
  });

  it('refuses with the stored explanation when no node fits', async () => {
    const shop = await workshop([{ name: 'pve1', memoryGib: 4 }]);
    const { work } = shop.open();
    const spec = webSpec({ memoryBytes: gib(16) });
    const failure = await work.planner.planContainer(request({ spec })).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'PXM_PLACEMENT_INFEASIBLE', fields: { name: 'web' } });
    const id = (failure as { fields: Record<string, string> }).fields['evaluation'] ?? '';
    expect(work.records.evaluations.find(id)?.candidates[0]?.reasons[0]).toMatchObject({
      filter: 'memory',
      wanted: '16 GiB',
      found: '3 GiB',
    });
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('lists every problem of a spec at once', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work } = shop.open();
    const spec = webSpec({ name: '-web', memoryBytes: 5n, networks: [{ bridge: '' }], mounts: [{ target: 'data' }] });
    const constraints = { node: '', excludeNodes: [], vmid: 7 };
    await expect(work.planner.planContainer(request({ spec, constraints }))).rejects.toMatchObject({
      code: 'PXM_INPUT_INVALID',
      fields: { count: '6' },
    });
  });

  it('is found by evaluation, plan and operation', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work } = shop.open();
    const { plan, evaluation } = await work.planner.planContainer(request());
    const { id } = work.executor.apply(plan.id);
    for (const key of [evaluation.id, plan.id, id]) expect(work.records.evaluations.find(key)?.id).toBe(evaluation.id);
    await finish(work, id);
  });
});

describe('sixteen planners at once', () => {
  it('get each vmid and each whole card once', async () => {
    const cards = (count: number): (typeof CARD)[] =>
      Array.from({ length: count }, (_, i) => ({ ...CARD, address: `0000:0${i + 1}:00.0` }));
    const shop = await workshop([
      { name: 'pve1', gpus: cards(2) },
      { name: 'pve2', gpus: cards(3) },
    ]);
    const { work } = shop.open();
    const wish = request({ spec: gpuSpec({ count: 1, exclusive: true }) });
    const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => work.planner.planContainer(wish)));
    const planned = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.plan] : []));
    expect(planned).toHaveLength(5);
    expect(new Set(planned.map((plan) => plan.vmid)).size).toBe(5);
    expect(new Set(planned.map((plan) => `${plan.nodeName} ${plan.spec?.devices[0]?.path ?? ''}`)).size).toBe(5);
    const tokens = planned.filter((plan) => plan.nodeName === 'pve2').map((plan) => plan.fencingToken);
    expect(tokens.sort()).toEqual([1n, 2n, 3n]);
  });

  it('share a card up to its memory, also after the first guest is in the inventory', async () => {
    const shop = await workshop([{ name: 'pve1', gpus: [CARD] }]);
    const { work } = shop.open();
    const wish = request({ spec: gpuSpec({ count: 1, vramBytes: gib(8) }) });
    const { plan } = await work.planner.planContainer(wish);
    await expect(work.planner.planContainer(wish)).rejects.toMatchObject({ code: 'PXM_PLACEMENT_INFEASIBLE' });
    await finish(work, work.executor.apply(plan.id).id);
    expect(work.records.reservations.active()).toEqual([]);
    await expect(work.planner.planContainer(wish)).rejects.toMatchObject({ code: 'PXM_PLACEMENT_INFEASIBLE' });

    const destroy = await work.actions.plan({
      action: { $case: 'destroy', value: { guest: { key: '100', node: '' }, force: true } },
      dryRun: false,
      showCommands: false,
      actor: 'operator:alice',
    });
    expect((await finish(work, work.executor.apply(destroy.id).id)).record.state).toBe('done');
    expect((await work.planner.planContainer(wish)).plan.state).toBe('draft');
  });

  it('see what the others are promised: memory is never sold twice', async () => {
    const shop = await workshop([{ name: 'pve1', memoryGib: 9 }]);
    const { work } = shop.open();
    const wish = request({ spec: webSpec({ memoryBytes: gib(2) }) });
    const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => work.planner.planContainer(wish)));
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(4);
  });
});

describe('a card', () => {
  const byPath = webSpec({ devices: [{ path: `/dev/dri/by-path/pci-${CARD.address}-render` }] });
  const whole = gpuSpec({ count: 1, exclusive: true });

  it.each([
    ['named by its path is not taken as a whole', byPath, whole],
    ['taken as a whole is not shared by its path', whole, byPath],
  ])('%s', async (_what, first, second) => {
    const shop = await workshop([{ name: 'pve1', gpus: [CARD] }]);
    const { work } = shop.open();
    await work.planner.planContainer(request({ spec: first }));
    await expect(work.planner.planContainer(request({ spec: second }))).rejects.toMatchObject({
      code: 'PXM_PLACEMENT_INFEASIBLE',
    });
    await work.planner.planContainer(request());
  });
});

describe('a plan that waits', () => {
  it('ends with its reservation when its time is over', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work, database } = shop.open();
    const { plan } = await work.planner.planContainer(request());
    database.sql.prepare('UPDATE plan SET expires_ms = 1').run();
    expect(work.sweep()).toMatchObject({ plans: 1 });
    expect(work.records.reservations.get(plan.reservationId)).toMatchObject({
      state: 'expired',
      endReason: 'plan expired',
    });
    expect(() => work.executor.apply(plan.id)).toThrow(expect.objectContaining({ code: 'PXM_PLAN_NOT_OPEN' }));
  });

  it('is refused when its vmid was taken meanwhile', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work } = shop.open();
    const { plan } = await work.planner.planContainer(request());
    const value = ContainerDocument.fromPartial({ vmid: 100, name: 'by-hand' });
    shop.fleet.put(
      inventoryObject('pve1', { kind: 'container', id: '100' }, { document: { $case: 'container', value } }),
    );
    expect(() => work.executor.apply(plan.id)).toThrow(/vmid 100 is now container by-hand on pve1/);
  });

  it.each([
    ['gpu', { gpu: { count: 1, exclusive: true } }, '0000:01:00.0'],
    ['usb', { devices: [{ path: '/dev/serial/by-id/stick' }] }, 'usb:1-1'],
  ])('is refused when a person gave its %s to another guest meanwhile', async (_kind, wish, device) => {
    const usb = [{ id: '1-1', devicePaths: ['/dev/serial/by-id/stick'] }];
    const shop = await workshop([{ name: 'pve1', gpus: [CARD], usb }]);
    const { work } = shop.open();
    const { plan } = await work.planner.planContainer(request({ spec: webSpec(wish) }));
    const devices = [{ path: '/dev/serial/by-id/stick' }];
    const guest = ContainerDocument.fromPartial({ vmid: 200, name: 'by-hand', devices });
    const card = GpuDocument.fromPartial({ ...CARD, usedBy: [200] });
    const put = (kind: 'container' | 'gpu', id: string, document: InventoryDocument): void => {
      shop.fleet.put(inventoryObject('pve1', { kind, id }, document));
    };
    put('container', '200', { document: { $case: 'container', value: guest } });
    put('gpu', CARD.address, { document: { $case: 'gpu', value: card } });
    expect(() => work.executor.apply(plan.id)).toThrow(
      expect.objectContaining({
        code: 'PXM_PLAN_STALE',
        message: expect.stringContaining(`device ${device} is now used by guest 200 on pve1`) as string,
      }),
    );
    expect(work.records.reservations.active()).toEqual([]);
  });
});

describe('a plan that was not applied', () => {
  it('ends with the process that made it: nobody else will ever apply it', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work } = shop.open();
    const { plan } = await work.planner.planContainer(request());
    const { plan: applied } = await work.planner.planContainer(request());
    work.executor.apply(applied.id);
    const again = shop.open().work;
    again.endDrafts();
    expect(again.records.reservations.get(plan.reservationId)).toMatchObject({
      state: 'expired',
      endReason: 'the controller was restarted',
    });
    expect(again.records.reservations.active().map(({ id }) => id)).toEqual([applied.reservationId]);
    expect(() => again.executor.apply(plan.id)).toThrow(expect.objectContaining({ code: 'PXM_PLAN_NOT_OPEN' }));
  });
});

describe('a clock that was set back', () => {
  const YEAR_MS = 365 * 24 * 3600 * 1000;

  it('ends plans of the time before, and holds no reservation until then', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work, database } = shop.open();
    const { plan: draft } = await work.planner.planContainer(request());
    const { plan: failed } = await work.planner.planContainer(request());
    const later = `created_ms = created_ms + ${YEAR_MS}, expires_ms = expires_ms + ${YEAR_MS}`;
    database.sql.exec(`UPDATE plan SET ${later}; UPDATE reservation SET ${later}`);
    database.sql.prepare("UPDATE plan SET state = 'failed' WHERE id = ?").run(failed.id);
    const again = shop.open().work;
    expect(again.sweep()).toMatchObject({ plans: 1, reservations: 0 });
    expect(again.records.reservations.get(draft.reservationId)?.state).toBe('expired');
    const [kept] = again.records.reservations.active();
    expect(kept?.id).toBe(failed.reservationId);
    expect(kept?.expiresMs).toBeLessThan(Date.now() + 2 * DEFAULT_LIMITS.holdMs);
  });

  it('lets no vmid rest for that long', async () => {
    const shop = await workshop([{ name: 'pve1' }]);
    const { work } = shop.open();
    work.records.vmids.markFailed(100, Date.now() + YEAR_MS);
    work.records.vmids.markFailed(101, Date.now());
    const vmids = [await work.planner.planContainer(request()), await work.planner.planContainer(request())].map(
      ({ plan }) => plan.vmid,
    );
    expect(vmids).toEqual([100, 102]);
  });
});
