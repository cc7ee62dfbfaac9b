import { CloneAction } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import { beforeEach, describe, expect, it } from 'vitest';
import { gib } from '../domain/fleet.fixture.ts';
import { finish, type Workshop, workshop } from '../execute/work.fixture.ts';
import type { Work } from '../execute/work.ts';

const GUEST_UID = 'c'.repeat(32);
let shop: Workshop;
let work: Work;
beforeEach(async () => {
  const volume = (id: string): string => `local-zfs:${id}-disk-0`;
  const mountPoints = (id: string) => [{ key: 'rootfs', volume: volume(id), target: '/', sizeBytes: gib(8) }];
  const guests = [
    {
      vmid: 101,
      name: 'web',
      status: 'stopped',
      guestUid: GUEST_UID,
      memoryBytes: gib(1),
      mountPoints: [
        ...mountPoints('subvol-101'),
        { key: 'mp0', volume: 'local:101/vm-101-disk-1.raw', target: '/data', sizeBytes: gib(2) },
        { key: 'mp1', volume: '/srv/media', target: '/media' },
      ],
    },
    { vmid: 104, name: 'base', status: 'stopped', template: true, mountPoints: mountPoints('basevol-104') },
  ];
  const storages = ['local', 'local-zfs'].map((id) => ({ id, type: 'dir', content: ['rootdir'] }));
  shop = await workshop([{ name: 'pve1', guests: guests as never, storages }, { name: 'pve2' }]);
  work = shop.open().work;
});

const wish = (part: Parameters<typeof CloneAction.fromPartial>[0]): CloneAction =>
  CloneAction.fromPartial({ guest: { key: 'web' }, name: 'web-2', ...part });

async function plan(value: CloneAction, dryRun = false) {
  const action = { $case: 'clone', value } as const;
  return await work.actions.plan({ action, dryRun, showCommands: false, actor: 'operator:alice' });
}

const refusal = async (value: CloneAction): Promise<string> =>
  await plan(value).then(
    () => 'planned',
    (error: unknown) => (error as PxmError).code,
  );

describe('a clone', () => {
  it('takes an id and room on the node of its source until the inventory shows it', async () => {
    const made = await plan(wish({}));
    expect(made).toMatchObject({ nodeName: 'pve1', vmid: 100, state: 'draft' });
    expect(made.title).toBe('clone container web (101) as container web-2 (100) on pve1, all data copied');
    expect(work.records.reservations.active()).toMatchObject([
      {
        vmid: 100,
        memoryBytes: Number(gib(1)),
        pools: expect.arrayContaining([
          { storage: 'local-zfs', bytes: Number(gib(8)) },
          { storage: 'local', bytes: Number(gib(2)) },
        ]) as unknown,
      },
    ]);
    const { record } = await finish(work, work.executor.apply(made.id).id);
    expect(record.operation.problem).toBeUndefined();
    expect(shop.agent('pve1').effects).toEqual(['container.clone 100']);
    expect(shop.agent('pve1').guests.get(100)).toMatchObject({ name: 'web-2', guestUid: made.guestUid });
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('of a template lies on top of it, unless a copy is asked for', async () => {
    const linked = await plan(wish({ guest: { key: 'base' } }));
    expect(linked.title).toContain('on top of its data');
    expect(linked.spec).toMatchObject({ storage: 'local-zfs', rootfsBytes: 0n });
    const copied = await plan(wish({ guest: { key: 'base' }, full: true, storage: 'local' }));
    expect(copied.spec).toMatchObject({ storage: 'local', rootfsBytes: gib(8) });
    expect(await refusal(wish({ guest: { key: 'base' }, storage: 'local' }))).toBe('PXM_INPUT_INVALID');
  });

  it('is refused for all that is wrong with it, and reserves nothing', async () => {
    expect(await refusal(wish({ name: 'no_name' }))).toBe('PXM_INPUT_INVALID');
    expect(await refusal(wish({ snapshot: 'current' }))).toBe('PXM_INPUT_INVALID');
    expect(await refusal(wish({ guest: { key: 'nosuch' } }))).toBe('PXM_GUEST_NOT_FOUND');
    expect(await refusal(wish({ vmid: 101 }))).toBe('PXM_VMID_TAKEN');
    expect(await refusal(wish({ storage: 'nosuch' }))).toBe('PXM_PLACEMENT_INFEASIBLE');
    const no = new PxmError('PXM_CLONE_UNSUPPORTED', { vmid: '101', node: 'pve1', reasons: 'mp1 is a bind mount' });
    shop.agent('pve1').answerDryRuns(no);
    expect(await refusal(wish({}))).toBe('PXM_CLONE_UNSUPPORTED');
    shop.fleet.setPresence('pve1', 'down');
    expect(await refusal(wish({}))).toBe('PXM_NODE_DOWN');
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('on a dry run leaves nothing', async () => {
    expect((await plan(wish({}), true)).id).toBe('');
    expect(work.records.reservations.active()).toEqual([]);
  });

  it('whose agent fails ends undone; one that nobody confirms is destroyed, and the source is not', async () => {
    const agent = shop.agent('pve1');
    const full = toProblem(new PxmError('PXM_DISK_FULL', { path: 'local-zfs', needed: '8 GiB' }));
    agent.plan('container.clone', { fails: full });
    const failed = await finish(work, work.executor.apply((await plan(wish({}))).id).id);
    expect(failed.record.operation.problem?.code).toBe('PXM_DISK_FULL');
    expect(work.records.reservations.active()).toEqual([]);
    agent.plan('container.clone', 'held');
    const { id } = work.executor.apply((await plan(wish({}))).id);
    await expect.poll(() => agent.running('container.clone')).toBe(1);
    work.executor.cancel(id, 'operator:alice');
    const cancelled = await finish(work, id);
    expect(cancelled.record.state).toBe('cancelled');
    expect([...agent.guests.keys()]).toEqual([101, 104]);
  });
});
