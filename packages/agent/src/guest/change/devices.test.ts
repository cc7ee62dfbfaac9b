import type { AnyChange } from '@pxmgr/contract';
import { Device, type Operation, OperationState } from '@pxmgr/contract/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AUTODEV_HOOK, installAutodevHook } from '../../device/autodev.ts';
import { recoverAll } from '../../operation/recover.ts';
import { parseGuestConfig } from '../config-file.ts';
import { type FixtureHost, makeHost, UID } from '../host.fixture.ts';
import { bindChange, changeRecoveries } from './change.ts';
import { deviceSlots, freeSlots } from './device-slots.ts';

const RENDER = '/dev/dri/by-path/pci-0000:03:00.0-render';
const GUEST = [
  'dev0: /dev/ttyUSB0,gid=20,mode=0660',
  'hostname: web',
  'rootfs: local:101/subvol-101-disk-0.subvol,size=0T',
  `lxc.environment.hooks: PXMGR_GUEST=${UID}`,
  '',
].join('\n');

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
  host.putGuest(101, GUEST);
  host.write('var/lib/vz/images/101/subvol-101-disk-0.subvol/etc/group', 'root:x:0:\nrender:x:993:\nvideo:x:44:\n');
  for (const path of [RENDER, '/dev/kfd', '/dev/ttyUSB0']) host.write(path, '');
  await installAutodevHook(host.parts.paths);
});
afterEach(() => {
  host.remove();
});

const devices = (...paths: string[]): Device[] => paths.map((path) => Device.fromPartial({ path }));
const attach = (...paths: string[]): AnyChange => ({
  $case: 'attachDevices',
  value: { gpu: undefined, devices: devices(...paths) },
});
const detach = (...paths: string[]): AnyChange => ({ $case: 'detachDevices', value: { devices: devices(...paths) } });

async function run(change: AnyChange): Promise<Operation> {
  const store = host.newStore(new Map(changeRecoveries(host.parts)));
  const bound = bindChange(host.parts, { vmid: 101, guestUid: UID, change: { change } });
  const { kind, title, params } = bound;
  const { id } = await store.start({ kind, title, vmid: 101, keys: ['vmid:101'], params }, (work) =>
    bound.carryOut(work),
  );
  return await store.settled(id);
}

const stored = (): string => host.parts.files.text(101) ?? '';

describe('attach', () => {
  it('takes the next number and the group of the guest, and puts the hook of stable names there', async () => {
    host.runner.expect(`pct set 101 --dev1 path=${RENDER},gid=993,mode=0660`, {
      effect: () => host.putGuest(101, GUEST.replace('hostname', `dev1: ${RENDER},gid=993,mode=0660\nhostname`)),
    });
    expect(await run(attach(RENDER))).toMatchObject({
      state: OperationState.OPERATION_STATE_DONE,
      results: { vmid: '101' },
    });
    expect(stored()).toContain(`lxc.hook.autodev: ${AUTODEV_HOOK}`);
    host.runner.assertDone();
  });

  it('lets it wait for the next start where the running guest cannot take it', async () => {
    host.setRunning(101);
    host.runner.expect(
      { file: 'pct' },
      {
        exit: 2,
        stderr: '400 Parameter verification failed.\ndev1: unable to hotplug dev1: failed to change apparmor profile\n',
      },
    );
    const operation = await run(attach('/dev/kfd'));
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, results: { restart: 'needed' } });
    expect(operation.warnings.join()).toContain('/dev/kfd: the container gets it at its next start');
    expect(stored()).toContain('[pve:pending]\ndev1: path=/dev/kfd,gid=993,mode=0660');
  });

  it('fails when it is refused for another reason', async () => {
    host.runner.expect({ file: 'pct' }, { exit: 2, stderr: 'Device /dev/kfd does not exist\n' });
    expect((await run(attach('/dev/kfd'))).problem?.code).toBe('PXM_DEVICE_NOT_FOUND');
    expect(stored()).toBe(GUEST);
  });

  it('goes back when the lines that it needs cannot be written', async () => {
    const given = GUEST.replace('hostname', `dev1: ${RENDER},gid=993,mode=0660\nhostname`);
    host.runner.expect(`pct set 101 --dev1 path=${RENDER},gid=993,mode=0660`, {
      effect: () => host.putGuest(101, `lock: backup\n${given}`),
    });
    host.runner.expect('pct set 101 --delete dev1', { effect: () => host.putGuest(101, GUEST) });
    expect(await run(attach(RENDER))).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      problem: { code: 'PXM_GUEST_LOCKED' },
    });
    host.runner.assertDone();
    host.runner.expect(`pct set 101 --dev1 path=${RENDER},gid=993,mode=0660`, {
      effect: () => host.putGuest(101, `lock: backup\n${given}`),
    });
    host.runner.expect('pct set 101 --delete dev1', { exit: 255, stderr: 'CT is locked (backup)\n' });
    expect(await run(attach(RENDER))).toMatchObject({
      problem: { code: 'PXM_UNDO_INCOMPLETE', fields: { left: 'dev1' } },
    });
  });

  it('takes nothing back without quorum, and goes on when it is there again', async () => {
    host.runner.expect(`pct set 101 --dev1 path=${RENDER},gid=993,mode=0660`, {
      effect: () => {
        host.putGuest(101, GUEST.replace('hostname', `dev1: ${RENDER},gid=993,mode=0660\nhostname`));
        host.loseQuorum();
      },
    });
    expect(await run(attach(RENDER))).toMatchObject({
      state: OperationState.OPERATION_STATE_DONE,
      recovery: 'resumed',
    });
    expect(stored()).toContain(`lxc.hook.autodev: ${AUTODEV_HOOK}`);
    host.runner.assertDone();
  });

  it('keeps a device whose removal waits', async () => {
    host.putGuest(101, `${GUEST}\n[pve:pending]\ndelete: dev0\n`);
    host.runner.expect('pct set 101 --revert dev0', { effect: () => host.putGuest(101, GUEST) });
    expect((await run(attach('/dev/ttyUSB0'))).state).toBe(OperationState.OPERATION_STATE_DONE);
    host.runner.assertDone();
  });

  it('gives a main process that is not root the group, and refuses a group outside of its id map', async () => {
    host.putGuest(101, `${GUEST}lxc.init.uid: 1000\nlxc.init.gid: 1000\n`);
    host.runner.expect(
      { file: 'pct' },
      {
        effect: () => host.putGuest(101, `dev1: /dev/kfd,gid=993\n${GUEST}lxc.init.uid: 1000\nlxc.init.gid: 1000\n`),
      },
    );
    expect((await run(attach('/dev/kfd'))).state).toBe(OperationState.OPERATION_STATE_DONE);
    expect(stored()).toContain('lxc.init.groups: 993,20');
    host.putGuest(101, `${GUEST}lxc.idmap: g 0 100000 900\n`);
    expect((await run(attach('/dev/kfd'))).problem?.message).toContain('group 993 is not in the id map');
  });

  it('is refused for what is not there, what it has already, and a locked guest', async () => {
    expect((await run(attach('/dev/nosuch'))).problem?.code).toBe('PXM_DEVICE_NOT_FOUND');
    expect((await run(attach('/dev/ttyUSB0'))).problem?.code).toBe('PXM_DEVICE_ATTACHED');
    host.putGuest(101, `${GUEST}lock: backup\n`);
    expect((await run(attach('/dev/kfd'))).problem?.code).toBe('PXM_GUEST_LOCKED');
    expect(host.runner.calls).toEqual([]);
  });
});

describe('detach', () => {
  it('says that a running guest keeps it until its next start', async () => {
    host.setRunning(101);
    host.runner.expect('pct set 101 --delete dev0', {
      effect: () => host.putGuest(101, `${GUEST}\n[pve:pending]\ndelete: dev0\n`),
    });
    expect(await run(detach('/dev/ttyUSB0'))).toMatchObject({
      state: OperationState.OPERATION_STATE_DONE,
      results: { restart: 'needed' },
    });
  });

  it('drops what only waits: a delete would change nothing', async () => {
    host.putGuest(101, `${GUEST}\n[pve:pending]\ndev1: /dev/kfd,gid=0\n`);
    host.runner.expect('pct set 101 --revert dev1', { effect: () => host.putGuest(101, GUEST) });
    expect((await run(detach('/dev/kfd'))).state).toBe(OperationState.OPERATION_STATE_DONE);
    expect((await run(detach('/dev/kfd'))).problem?.code).toBe('PXM_DEVICE_NOT_ATTACHED');
    host.runner.assertDone();
  });

  it('believes the configuration, not the exit status', async () => {
    host.runner.expect('pct set 101 --delete dev0', { exit: 0 });
    expect((await run(detach('/dev/ttyUSB0'))).problem?.code).toBe('PXM_VERIFY_FAILED');
  });
});

describe('after a crash', () => {
  it.each([
    {
      change: attach('/dev/kfd'),
      command: 'pct set 101 --dev1 path=/dev/kfd,gid=993,mode=0660',
      pending: 'dev1: /dev/kfd,gid=993',
      words: 'gets it at',
    },
    {
      change: detach('/dev/ttyUSB0'),
      command: 'pct set 101 --delete dev0',
      pending: 'delete: dev0',
      words: 'keeps it until',
    },
  ])('"$command" says what waits for a restart, as without one', async ({ change, command, pending, words }) => {
    host.setRunning(101);
    const begun = new Promise<void>((reached) => {
      host.runner.expect(command, {
        effect: () => {
          host.putGuest(101, `${GUEST}\n[pve:pending]\n${pending}\n`);
          reached();
        },
        wait: new Promise(() => undefined),
      });
    });
    void run(change);
    await begun;
    const store = host.newStore();
    await recoverAll(store, await store.load(), new Map(changeRecoveries(host.parts)));
    expect(store.list({ activeOnly: false, limit: 0 })).toMatchObject([
      {
        state: OperationState.OPERATION_STATE_DONE,
        results: { vmid: '101', restart: 'needed' },
        warnings: [expect.stringContaining(words)],
      },
    ]);
  });
});

describe('moved to another node meanwhile', () => {
  const GIVEN = `dev1: /dev/kfd,gid=993,mode=0660\n${GUEST}`;
  const move = (config: string): void => {
    host.dropGuest(101);
    host.write('etc/pve/nodes/pve2/lxc/101.conf', config);
    host.write('etc/pve/.vmlist', '{"version":2,"ids":{"101":{"node":"pve2","type":"lxc","version":2}}}');
  };
  const TAKEN =
    'container 101 has taken /dev/kfd along to pve2, and may not start there with it: take it away with "pxmgr device detach 101 --path /dev/kfd"';

  it.each([
    ['with what it was given', GIVEN, [TAKEN]],
    ['before it was given anything', GUEST, []],
  ])('%s, which is told', async (_when, config, warnings) => {
    host.runner.expect({ file: 'pct' }, { exit: 255, effect: () => move(config) });
    expect(await run(attach('/dev/kfd'))).toMatchObject({ problem: { code: 'PXM_GUEST_MOVED' }, warnings });
  });

  it('with a device that was to be taken from it: not done, though it is given nothing here', async () => {
    host.runner.expect('pct set 101 --delete dev0', { exit: 255, effect: () => move(GUEST) });
    expect(await run(detach('/dev/ttyUSB0'))).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      problem: { code: 'PXM_GUEST_MOVED' },
      warnings: [],
    });
  });

  it('and the agent died over it: told all the same', async () => {
    const begun = new Promise<void>((reached) => {
      host.runner.expect({ file: 'pct' }, { effect: () => reached(), wait: new Promise(() => undefined) });
    });
    void run(attach('/dev/kfd'));
    await begun;
    move(GIVEN);
    const store = host.newStore();
    await recoverAll(store, await store.load(), new Map(changeRecoveries(host.parts)));
    expect(store.list({ activeOnly: false, limit: 0 })).toMatchObject([{ recovery: 'undone', warnings: [TAKEN] }]);
  });
});

it('a number that waits is taken, a removal that waits keeps its number', () => {
  const config = parseGuestConfig('dev0: /dev/a\ndev2: /dev/c\n\n[pve:pending]\ndelete: dev0\ndev1: /dev/b\n');
  expect(deviceSlots(config).map(({ key, state }) => `${key} ${state}`)).toEqual([
    'dev0 detach',
    'dev1 attach',
    'dev2 now',
  ]);
  expect(freeSlots(config, 2)).toEqual(['dev3', 'dev4']);
});
