import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyChange, CHANGE_KINDS } from '@pxmgr/contract';
import { type Operation, OperationState } from '@pxmgr/contract/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../../operation/recover.ts';
import { type FixtureHost, makeHost, UID } from '../host.fixture.ts';
import { bindChange, changeRecoveries } from './change.ts';

const GUEST = `hostname: web\nmemory: 512\nrootfs: local-zfs:subvol-101-disk-0,size=4G\nlxc.environment.hooks: PXMGR_GUEST=${UID}\n`;
const S1 = '\n[s1]\nmemory: 512\nrootfs: local-zfs:subvol-101-disk-0,size=4G\nsnaptime: 1795171170\n';
const WITH_S1 = `${GUEST.replace('rootfs', 'parent: s1\nrootfs')}${S1}`;
const ZFS_LIST =
  'zfs list -Hp -o name,userrefs,clones -t snapshot,bookmark -s createtxg -d 1 tank/guests/subvol-101-disk-0';
const DATASET = 'tank/guests/subvol-101-disk-0';

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
  host.write('etc/pve/storage.cfg', 'zfspool: local-zfs\n\tpool tank/guests\n\tcontent rootdir\n');
  host.putGuest(101, GUEST);
});
afterEach(() => {
  host.remove();
});

const create: AnyChange = { $case: 'createSnapshot', value: { name: 's1', description: '' } };
const rollback: AnyChange = { $case: 'rollbackSnapshot', value: { name: 's1' } };
const destroy: AnyChange = { $case: 'destroySnapshot', value: { name: 's1' } };

async function run(change: AnyChange): Promise<Operation> {
  const store = host.newStore();
  const bound = bindChange(host.parts, { vmid: 101, guestUid: UID, change: { change } });
  const { kind, title, params } = bound;
  const { id } = await store.start({ kind, title, vmid: 101, keys: ['vmid:101'], params }, (work) =>
    bound.carryOut(work),
  );
  return await store.settled(id);
}

const snapshotsAre = (...lines: string[]): void => {
  host.runner.allow(ZFS_LIST, { stdout: lines.map((line) => `${DATASET}${line}\n`).join('') });
};

describe('create', () => {
  it('believes the configuration, not the exit status', async () => {
    host.runner.expect('pct snapshot 101 s1', { exit: 0 });
    expect((await run(create)).problem).toMatchObject({ code: 'PXM_VERIFY_FAILED' });
  });

  it('takes back what a pct that died has left: frozen guest, lock, half snapshot', async () => {
    host.runner.expect('pct snapshot 101 s1', {
      exit: null,
      signal: 'SIGKILL',
      effect: () => {
        host.putGuest(101, `${GUEST}lock: snapshot\n${S1}snapstate: prepare\n`);
        host.write('sys/fs/cgroup/lxc/101/cgroup.freeze', '1\n');
      },
    });
    host.runner.expect('pct unlock 101');
    host.runner.expect('pct delsnapshot 101 s1 --force 1', { effect: () => host.putGuest(101, GUEST) });
    expect((await run(create)).state).toBe(OperationState.OPERATION_STATE_FAILED);
    expect(readFileSync(join(host.root, 'sys/fs/cgroup/lxc/101/cgroup.freeze'), 'utf8')).toBe('0');
    host.runner.assertDone();
  });

  it.each([
    ['a base guest', `${GUEST}template: 1\n`, 'PXM_SNAPSHOT_UNSUPPORTED'],
    ['a locked guest', `${GUEST}lock: mounted\n`, 'PXM_GUEST_LOCKED'],
    ['a taken name', WITH_S1, 'PXM_SNAPSHOT_EXISTS'],
    ['a device mount', `${GUEST}mp0: /dev/sdb1,mp=/x\n`, 'PXM_SNAPSHOT_UNSUPPORTED'],
    ['another guest', GUEST.replace(UID, 'f'.repeat(32)), 'PXM_GUEST_FOREIGN'],
  ])('is refused for %s before pct is asked', async (_why, config, code) => {
    host.putGuest(101, config);
    expect((await run(create)).problem?.code).toBe(code);
    expect(host.runner.calls).toEqual([]);
  });

  it('is refused without quorum', async () => {
    host.setQuorate(false);
    expect((await run(create)).problem?.code).toBe('PXM_NO_QUORUM');
  });
});

describe('rollback', () => {
  beforeEach(() => {
    host.putGuest(101, WITH_S1);
  });

  it.each([
    ['a newer snapshot', ['@s1\t0\t-', '@auto\t0\t-'], 'PXM_SNAPSHOT_NOT_NEWEST'],
    ['a bookmark', ['@s1\t0\t-', '#mark\t-\t-'], 'PXM_SNAPSHOT_NOT_NEWEST'],
    ['a part that is gone', ['@other\t0\t-'], 'PXM_SNAPSHOT_INCOMPLETE'],
  ])('is refused because of %s', async (_why, lines, code) => {
    snapshotsAre(...lines);
    expect((await run(rollback)).problem?.code).toBe(code);
  });

  it('says that the guest is of two states when pct fails in the middle', async () => {
    snapshotsAre('@s1\t0\t-');
    host.runner.expect('pct rollback 101 s1', {
      exit: 255,
      stderr: 'zfs error: dataset is busy\n',
      effect: () => host.putGuest(101, `lock: rollback\n${WITH_S1}`),
    });
    expect((await run(rollback)).problem?.code).toBe('PXM_UNDO_INCOMPLETE');
  });
});

describe('destroy', () => {
  beforeEach(() => {
    host.putGuest(101, WITH_S1);
  });

  it('goes on where a part is gone already', async () => {
    snapshotsAre();
    host.runner.expect('pct delsnapshot 101 s1 --force 1', { effect: () => host.putGuest(101, GUEST) });
    expect((await run(destroy)).state).toBe(OperationState.OPERATION_STATE_DONE);
  });

  it.each([
    ['a hold', '@s1\t1\t-'],
    ['a clone', '@s1\t0\ttank/copy'],
  ])('is refused because of %s', async (_why, line) => {
    snapshotsAre(line);
    expect((await run(destroy)).problem?.code).toBe('PXM_SNAPSHOT_IN_USE');
  });
});

describe('after a crash', () => {
  const STOPPED = { name: 'container.stop', data: { vmid: '101' } };
  const ROLLED = { name: 'container.snapshot.rollback', data: { vmid: '101', name: 's1' } };

  /** An operation whose agent died after these intents, with the guest as `config` says. */
  async function recovered(change: AnyChange, config: string, effects: (typeof STOPPED)[]): Promise<Operation> {
    const bound = bindChange(host.parts, { vmid: 101, guestUid: UID, change: { change } });
    const { kind, title, params } = bound;
    let reached: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const never = new Promise<void>(() => undefined);
    await host.newStore().start({ kind, title, vmid: 101, keys: [], params }, async (work) => {
      for (const effect of effects) await work.effect(effect, async () => await Promise.resolve());
      reached();
      await never;
    });
    await begun;
    host.putGuest(101, config);
    const store = host.newStore();
    await recoverAll(store, await store.load(), new Map(changeRecoveries(host.parts)));
    const [operation] = store.list({ activeOnly: false, limit: 1 });
    if (operation === undefined) throw new Error('the operation is gone');
    return operation;
  }

  it('has a rule for every kind', () => {
    expect(changeRecoveries(host.parts).map(([kind]) => kind)).toEqual(Object.values(CHANGE_KINDS));
  });

  it('leaves the lock of somebody else alone', async () => {
    const operation = await recovered(rollback, `lock: rollback\n${WITH_S1}`, [STOPPED]);
    expect(operation.problem).toMatchObject({ code: 'PXM_UNDO_INCOMPLETE', fields: { left: 'container.stop' } });
    expect(host.runner.calls).toEqual([]);
  });

  it('rolls a guest back that it had stopped for it, and leaves one that still runs', async () => {
    snapshotsAre('@s1\t0\t-');
    host.runner.expect('pct rollback 101 s1', { effect: () => host.putGuest(101, WITH_S1) });
    expect((await recovered(rollback, WITH_S1, [STOPPED])).recovery).toBe('resumed');
    host.runner.assertDone();
    host.setRunning(101);
    expect((await recovered(rollback, WITH_S1, [STOPPED])).recovery).toBe('undone');
  });

  it('ends a rollback that had begun', async () => {
    host.runner.expect('pct unlock 101');
    host.runner.expect('pct rollback 101 s1', { effect: () => host.putGuest(101, WITH_S1) });
    expect((await recovered(rollback, `lock: rollback\n${WITH_S1}`, [ROLLED])).recovery).toBe('resumed');
    host.runner.assertDone();
  });

  it('goes on with one that a recovery before had unlocked, though nothing but the journal tells of it', async () => {
    const unlocked = { name: 'container.snapshot.rollback.unlock', data: { vmid: '101' } };
    host.runner.expect('pct rollback 101 s1', { effect: () => host.putGuest(101, WITH_S1) });
    expect((await recovered(rollback, WITH_S1, [ROLLED, unlocked])).recovery).toBe('resumed');
    host.runner.assertDone();
  });

  it.each([
    ['TASK OK', 'resumed'],
    ["TASK ERROR: can't rollback", 'undone'],
  ])('believes the task of a rollback without a lock: %s is %s', async (end, recovery) => {
    const now = Math.floor(Date.now() / 1000) + 10;
    const upid = `UPID:pve1:00000001:0000AAAA:${now.toString(16).toUpperCase()}:vzrollback:101:root@pam:`;
    host.write(`var/log/pve/tasks/${now.toString(16).toUpperCase().at(-1) ?? ''}/${upid}`, `${end}\n`);
    host.write('var/log/pve/tasks/active', `${upid} 1 ${now.toString(16).toUpperCase()} x\n`);
    expect((await recovered(rollback, WITH_S1, [ROLLED])).recovery).toBe(recovery);
  });

  it('keeps a whole snapshot, ends a begun removal', async () => {
    const intent = { name: 'container.snapshot.create', data: { vmid: '101', name: 's1' } };
    expect((await recovered(create, WITH_S1, [intent])).recovery).toBe('resumed');
    host.runner.expect('pct unlock 101');
    host.runner.expect('pct delsnapshot 101 s1 --force 1', { effect: () => host.putGuest(101, GUEST) });
    const half = `lock: snapshot-delete\n${WITH_S1}snapstate: delete\n`;
    const removal = { name: 'container.snapshot.destroy', data: { vmid: '101', name: 's1' } };
    expect((await recovered(destroy, half, [removal])).recovery).toBe('resumed');
    expect((await recovered(destroy, WITH_S1, [removal])).recovery).toBe('undone');
    host.runner.assertDone();
  });

  it('unlocks a guest whose removal of a snapshot had come to the lock and no further', async () => {
    const removal = { name: 'container.snapshot.destroy', data: { vmid: '101', name: 's1' } };
    host.runner.expect('pct unlock 101', { effect: () => host.putGuest(101, WITH_S1) });
    expect((await recovered(destroy, `lock: snapshot-delete\n${WITH_S1}`, [removal])).recovery).toBe('undone');
    host.runner.assertDone();
  });
});
