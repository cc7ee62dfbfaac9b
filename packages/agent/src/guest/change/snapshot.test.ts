import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyChange, CHANGE_KINDS } from '@pxmgr/contract';
import { type Operation, OperationState } from '@pxmgr/contract/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../../operation/recover.ts';
import type { RecoveryRule } from '../../operation/settle.ts';
import { type FixtureHost, makeHost, UID } from '../host.fixture.ts';
import { bindChange, changeRecoveries } from './change.ts';

const GUEST = `hostname: web\nmemory: 512\nrootfs: local-zfs:subvol-101-disk-0,size=4G\nlxc.environment.hooks: PXMGR_GUEST=${UID}\n`;
const S1 = '\n[s1]\nmemory: 512\nrootfs: local-zfs:subvol-101-disk-0,size=4G\nsnaptime: 1795171170\n';
/** What a `pct snapshot` leaves that was killed. */
const HALF = `lock: snapshot\n${GUEST}${S1}snapstate: prepare\n`;
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

/** It ends with its process: when that file is empty. */
function putLiveTask(type: string): void {
  host.write('proc/1/stat', `1 (task) ${'0 '.repeat(19)}${String(0xaaaa)}`);
  host.write('var/log/pve/tasks/active', `UPID:pve1:00000001:0000AAAA:6B002180:${type}:101:root@pam: 0\n`);
}

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

  it('keeps what a worker makes that outlives its pct, and does not disturb it', async () => {
    host.runner.expect('pct snapshot 101 s1', {
      exit: null,
      signal: 'SIGKILL',
      effect: () => {
        host.putGuest(101, HALF);
        putLiveTask('vzsnapshot');
        setTimeout(() => {
          host.putGuest(101, WITH_S1);
          host.write('proc/1/stat', '');
        }, 100);
      },
    });
    expect((await run(create)).state).toBe(OperationState.OPERATION_STATE_DONE);
    host.runner.assertDone();
  });

  it('leaves a guest frozen that somebody else froze: pct found it locked, and has done nothing', async () => {
    host.runner.expect('pct snapshot 101 s1', {
      exit: 255,
      stderr: 'CT is locked (backup)\n',
      effect: () => {
        host.putGuest(101, `lock: backup\n${GUEST}`);
        putLiveTask('vzdump');
        host.write('sys/fs/cgroup/lxc/101/cgroup.freeze', '1\n');
      },
    });
    expect((await run(create)).problem?.code).toBe('PXM_GUEST_LOCKED');
    expect(readFileSync(join(host.root, 'sys/fs/cgroup/lxc/101/cgroup.freeze'), 'utf8')).toBe('1\n');
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

  it('is not done because the guest was moved to another node meanwhile', async () => {
    snapshotsAre('@s1\t0\t-');
    host.runner.expect('pct delsnapshot 101 s1', {
      exit: 255,
      effect: () => {
        host.dropGuest(101);
        host.write('etc/pve/nodes/pve2/lxc/101.conf', WITH_S1);
        host.write('etc/pve/.vmlist', '{"version":2,"ids":{"101":{"node":"pve2","type":"lxc","version":2}}}');
      },
    });
    expect((await run(destroy)).problem?.code).toBe('PXM_GUEST_MOVED');
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

  const TAKEN = { name: 'container.snapshot.create', data: { vmid: '101', name: 's1' } };
  const REMOVED = { name: 'container.snapshot.destroy', data: { vmid: '101', name: 's1' } };
  const UNLOCKED = { name: 'container.snapshot.rollback.unlock', data: { vmid: '101' } };
  const rules = (): Map<string, RecoveryRule> => new Map(changeRecoveries(host.parts));

  /** The agent dies after these intents, with the guest as `config` says. */
  async function die(change: AnyChange, config: string, effects: (typeof STOPPED)[]): Promise<void> {
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
  }

  async function recovered(...death: Parameters<typeof die>): Promise<Operation> {
    await die(...death);
    const store = host.newStore();
    await recoverAll(store, await store.load(), rules());
    const [operation] = store.list({ activeOnly: false, limit: 1 });
    if (operation === undefined) throw new Error('the operation is gone');
    return operation;
  }

  it('has a rule for every kind', () => {
    expect(changeRecoveries(host.parts).map(([kind]) => kind)).toEqual(Object.values(CHANGE_KINDS));
  });

  it.each([
    { what: 'removes half a snapshot', change: create, config: HALF, effects: [TAKEN] },
    {
      what: 'unlocks what a removal had locked',
      change: destroy,
      config: `lock: snapshot-delete\n${WITH_S1}`,
      effects: [REMOVED],
    },
    { what: 'goes on with a removal', change: destroy, config: `${WITH_S1}snapstate: delete\n`, effects: [REMOVED] },
    { what: 'goes on with a rollback', change: rollback, config: `lock: rollback\n${WITH_S1}`, effects: [ROLLED] },
    { what: 'goes on with an unlocked one', change: rollback, config: WITH_S1, effects: [ROLLED, UNLOCKED] },
    { what: 'rolls a stopped guest back', change: rollback, config: WITH_S1, effects: [STOPPED] },
  ])('$what only with quorum', async ({ change, config, effects }) => {
    await die(change, config, effects);
    host.setQuorate(false);
    const store = host.newStore();
    const [replay] = await store.load();
    if (replay === undefined) throw new Error('the journal is gone');
    const refusal = new Promise((resolve) => {
      void store.adopt(replay, async ({ work }) => {
        resolve(
          await rules()
            .get(CHANGE_KINDS[change.$case])?.(replay, work)
            .catch((error: unknown) => error),
        );
      });
    });
    expect(await refusal).toMatchObject({ code: 'PXM_NO_QUORUM' });
    expect(host.runner.calls).toEqual([]);
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
    host.runner.expect('pct rollback 101 s1', { effect: () => host.putGuest(101, WITH_S1) });
    expect((await recovered(rollback, WITH_S1, [ROLLED, UNLOCKED])).recovery).toBe('resumed');
    host.runner.assertDone();
  });

  /** Tasks of the guest that began after the operation, and are over. */
  function putTasks(...tasks: { type: string; end: string; status: string }[]): void {
    const now = (Math.floor(Date.now() / 1000) + 10).toString(16).toUpperCase();
    const lines = tasks.map(({ type, end, status }, index) => {
      const upid = `UPID:pve1:0000000${index}:0000AAAA:${now}:${type}:101:root@pam:`;
      host.write(`var/log/pve/tasks/${now.at(-1) ?? ''}/${upid}`, end);
      return `${upid} ${status}\n`;
    });
    host.write('var/log/pve/tasks/active', lines.join(''));
  }

  it.each([
    ['TASK OK', 'resumed'],
    ["TASK ERROR: can't rollback", 'undone'],
  ])('believes the task of a rollback without a lock: %s is %s', async (end, recovery) => {
    putTasks({ type: 'vzrollback', end: `${end}\n`, status: '1 6B002190 x' });
    expect((await recovered(rollback, WITH_S1, [ROLLED])).recovery).toBe(recovery);
  });

  it.each(['0', '1 6B002190 unexpected status', '1 6B002190 got unexpected control message:  '])(
    'rolls back once more when the task of a rollback died without a word, and says that it is done: "%s"',
    async (status) => {
      putTasks({ type: 'vzrollback', end: '', status });
      snapshotsAre('@s1\t0\t-');
      host.runner.expect('pct rollback 101 s1', { effect: () => host.putGuest(101, WITH_S1) });
      expect((await recovered(rollback, WITH_S1, [ROLLED])).recovery).toBe('resumed');
      host.runner.assertDone();
    },
  );

  it('does not roll a guest back that somebody has started since', async () => {
    putTasks(
      { type: 'vzrollback', end: '', status: '1 6B002190 unexpected status' },
      { type: 'vzstart', end: 'TASK OK\n', status: '1 6B002190 OK' },
    );
    expect((await recovered(rollback, WITH_S1, [ROLLED])).recovery).toBe('undone');
    expect(host.runner.calls).toEqual([]);
  });

  it('keeps a whole snapshot, ends a begun removal', async () => {
    expect((await recovered(create, WITH_S1, [TAKEN])).recovery).toBe('resumed');
    host.runner.expect('pct unlock 101');
    host.runner.expect('pct delsnapshot 101 s1 --force 1', { effect: () => host.putGuest(101, GUEST) });
    const half = `lock: snapshot-delete\n${WITH_S1}snapstate: delete\n`;
    expect((await recovered(destroy, half, [REMOVED])).recovery).toBe('resumed');
    expect((await recovered(destroy, WITH_S1, [REMOVED])).recovery).toBe('undone');
    host.runner.assertDone();
  });

  it('unlocks a guest whose removal of a snapshot had come to the lock and no further', async () => {
    host.runner.expect('pct unlock 101', { effect: () => host.putGuest(101, WITH_S1) });
    expect((await recovered(destroy, `lock: snapshot-delete\n${WITH_S1}`, [REMOVED])).recovery).toBe('undone');
    host.runner.assertDone();
  });
});
