import { OperationState } from '@pxmgr/contract/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installAutodevHook } from '../../device/autodev.ts';
import { createdConfig, DIGEST, type FixtureHost, makeHost, specOf, UID } from '../host.fixture.ts';
import {
  argvOf,
  create,
  dropVolume,
  goodCreate,
  goodDestroy,
  isCreate,
  isDestroy,
  isSet,
  putVolume,
} from './create.fixture.ts';
import { previewCreate } from './create.ts';

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
});
afterEach(() => {
  host.remove();
});

describe('createContainer', () => {
  it('creates, marks, merges the environment, and adds mounts afterwards', async () => {
    host.write('srv/media/x', '');
    host.runner.expect(isCreate, { effect: goodCreate(host) });
    host.runner.expect(isSet, {
      effect: () => {
        host.putGuest(
          101,
          (host.parts.files.text(101) ?? '').replace('memory:', 'mp1: /srv/media,mp=/media,ro=1\nmemory:'),
        );
      },
    });
    const operation = await create(
      host,
      specOf({
        env: [
          { name: 'B', value: 'two words', remove: false },
          { name: 'A', value: '', remove: true },
        ],
        entrypoint: ['/serve', "it's"],
        tags: ['Team'],
        mounts: [{ target: '/media', source: { $case: 'bind', value: '/srv/media' }, readOnly: true, backup: false }],
      }),
    );
    expect(operation).toMatchObject({
      state: OperationState.OPERATION_STATE_DONE,
      problem: undefined,
      results: { vmid: '101', guest_uid: UID },
    });
    expect(operation.upids).toHaveLength(1);
    expect(argvOf(host, 'create')).toEqual([
      `create 101 local:vztmpl/app.tar --hostname web --storage local --rootfs local:4 --mp0 volume=local:4,mp=/data,backup=1 --memory 256 --swap 0 --net0 name=eth0,bridge=vmbr0,ip=dhcp,type=veth --unprivileged 1 --onboot 0 --ostype unmanaged --arch amd64 --tags pxmgr;team;${operation.id}`,
    ]);
    expect(argvOf(host, 'set')).toEqual(['set 101 --mp1 volume=/srv/media,mp=/media,ro=1']);
    const text = host.parts.files.text(101) ?? '';
    expect(text).toContain(`entrypoint: /serve it's\n`);
    expect(text).toContain('tags: pxmgr;team\n');
    expect(text).toContain('lxc.environment.runtime: HOME=/srv\nlxc.environment.runtime: B=two words\n');
    expect(text).not.toContain('runtime: A=1');
    expect(text).toContain(`lxc.environment.hooks: PXMGR_GUEST=${UID}\n`);
    host.runner.assertDone();
  });

  it('does not take a guest for whole that pct says it failed to make, whatever its configuration looks like', async () => {
    const stderr = "unable to create CT 101 - unable to open file '101.conf.tmp.1' - Permission denied\n";
    host.runner.expect(isCreate, { exit: 255, stderr, effect: goodCreate(host) });
    host.runner.expect(isDestroy, { effect: goodDestroy(host) });
    expect((await create(host, specOf())).problem?.message).toContain('Permission denied');
    expect(host.parts.files.text(101)).toBeUndefined();
  });

  it('gives a device the gid of the guest and puts the program into that group', async () => {
    host.write('dev/dri/renderD128', '');
    host.runner.expect(isCreate, { effect: goodCreate(host) });
    const operation = await create(
      host,
      specOf({ devices: [{ path: '/dev/dri/renderD128', deviceId: '', groups: [], mode: '' }] }),
    );
    expect(operation.problem).toBeUndefined();
    expect(argvOf(host, 'create')[0]).toContain('--dev0 path=/dev/dri/renderD128,gid=103,mode=0660');
    expect(host.parts.files.text(101)).toContain('lxc.init.groups: 103\n');
    expect(host.parts.files.text(101)).not.toContain('lxc.hook.autodev');
  });

  it('gives a GPU named by its place the hook that makes its usual name, or refuses when the hook is not there', async () => {
    const stable = '/dev/dri/by-path/pci-0000:01:00.0-render';
    host.write(stable, '');
    const spec = specOf({ devices: [{ path: stable, deviceId: '', groups: [], mode: '' }] });
    expect((await create(host, spec)).problem?.code).toBe('PXM_HOOK_MISSING');
    expect(argvOf(host, 'create')).toEqual([]);
    await installAutodevHook(host.parts.paths);
    host.runner.expect(isCreate, { effect: goodCreate(host) });
    expect((await create(host, spec)).problem).toBeUndefined();
    expect(host.parts.files.text(101)).toContain('lxc.hook.autodev: /usr/lib/pxmgr/autodev\n');
  });

  it.each([
    [
      'pct says so',
      { exit: 255, stderr: "unable to create CT 101 - storage 'x' is disabled\n" },
      'PXM_STORAGE_DISABLED',
    ],
    [
      'the task failed although pct ended with 0',
      {
        exit: 0,
        effect: () => {
          host.putTask('vzcreate', 101, 'TASK ERROR: unable to create CT 101 - No space left on device');
        },
      },
      'PXM_DISK_FULL',
    ],
    [
      'nothing was made although all says OK',
      {
        exit: 0,
        effect: () => {
          host.putTask('vzcreate', 101, 'TASK OK');
        },
      },
      'PXM_VERIFY_FAILED',
    ],
    ['unknown text', { exit: 255, stderr: 'something new\n' }, 'PXM_COMMAND_FAILED'],
  ])('fails cleanly when %s', async (_name, answer, code) => {
    host.runner.expect(isCreate, answer);
    const operation = await create(host);
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED, problem: { code } });
    host.runner.assertDone();
  });

  it('undoes the guest when it is not as ordered', async () => {
    host.runner.expect(isCreate, {
      effect: (command) => {
        goodCreate(host)(command);
        host.putGuest(101, createdConfig(command).replace('ostype: unmanaged', 'ostype: debian'));
      },
    });
    host.runner.expect(isDestroy, { effect: goodDestroy(host) });
    const operation = await create(host);
    expect(operation.problem).toMatchObject({
      code: 'PXM_VERIFY_FAILED',
      message: expect.stringContaining('ostype is debian') as unknown,
    });
    // An agent that dies now must not find it marked as a whole one.
    expect(operation.steps.map(({ name }) => name)).toEqual(['preflight', 'create']);
    expect(host.parts.files.text(101)).toBeUndefined();
    expect(argvOf(host, 'destroy')).toEqual(['destroy 101 --destroy-unreferenced-disks 0 --purge 0']);
  });

  it('undoes a guest whose root file system is cut off although the task ended OK', async () => {
    const record = await host.parts.images.find(DIGEST);
    const sample = [
      { path: 'bin/app', bytes: 5 },
      { path: 'data/x', bytes: 1 },
    ];
    await host.parts.images.put({ ...record!, findings: { ...record!.findings, sample } });
    const stat = 'debugfs: stat "/bin/app"\n';
    for (const [stdout, code] of [
      [stat, 'PXM_VERIFY_FAILED'],
      [
        `${stat}Inode: 12   Type: regular    Mode:  0755   Flags: 0x80000\nUser:     0   Group:     0   Size: 5\n`,
        undefined,
      ],
    ] as const) {
      host.runner.expect(isCreate, { effect: goodCreate(host) });
      host.runner.expect((command) => command.file === 'debugfs' && command.stdin === 'stat "/bin/app"\n', { stdout });
      if (code !== undefined) host.runner.expect(isDestroy, { effect: goodDestroy(host) });
      expect((await create(host)).problem?.code).toBe(code);
    }
    host.runner.assertDone();
  });

  it('takes a template with static addresses, and undoes one that was not unpacked to its end', async () => {
    host.write('var/lib/vz/template/cache/bb.tar.zst', 'packed');
    const net = { ...specOf().networks[0]!, ipv4: '198.51.100.2/24', gateway4: '198.51.100.1' };
    const source = { $case: 'template' as const, value: { volumeId: 'local:vztmpl/bb.tar.zst' } };
    const spec = specOf({ source, networks: [net], rootfsBytes: 2n ** 30n });
    const begun = ["extracting archive '/var/lib/vz/template/cache/bb.tar.zst'"];
    host.runner.expect(isCreate, { lines: begun, effect: goodCreate(host) });
    host.runner.expect(isDestroy, { effect: goodDestroy(host) });
    expect((await create(host, spec)).problem).toMatchObject({
      code: 'PXM_VERIFY_FAILED',
      message: expect.stringContaining('not unpacked to its end') as unknown,
    });
    const whole = [...begun, 'Total bytes read: 1982405 (1.9MiB, 18MiB/s)'];
    host.runner.expect(isCreate, { lines: whole, effect: goodCreate(host) });
    expect((await create(host, spec)).problem).toBeUndefined();
    expect(argvOf(host, 'create')[1]).toMatch(
      /^create 101 local:vztmpl\/bb.tar.zst .*--rootfs local:1 .*--net0 name=eth0,bridge=vmbr0,gw=198.51.100.1,ip=198.51.100.2\/24,type=veth --unprivileged 1 --onboot 0 --tags/,
    );
    host.runner.assertDone();
  });

  it('frees volumes that a failed create forgot', async () => {
    host.runner.expect(isCreate, {
      exit: 255,
      stderr: 'killed\n',
      effect: () => {
        putVolume(host, 'vm-101-disk-0.raw');
      },
    });
    host.runner.expect('pvesm free local:101/vm-101-disk-0.raw', {
      effect: () => {
        dropVolume(host, 'vm-101-disk-0.raw');
      },
    });
    expect((await create(host)).problem?.code).toBe('PXM_COMMAND_FAILED');
    host.runner.assertDone();
  });

  it('says what is left when the undo fails', async () => {
    host.runner.expect(isCreate, {
      effect: (command) => {
        host.putGuest(101, createdConfig(command).replace('ostype: unmanaged', 'ostype: x'));
      },
    });
    host.runner.expect(isDestroy, { exit: 255, stderr: 'no\n' });
    expect((await create(host)).problem).toMatchObject({ code: 'PXM_UNDO_INCOMPLETE' });
  });

  it('never touches a guest that somebody else made meanwhile', async () => {
    host.runner.expect(isCreate, {
      exit: 255,
      stderr: "unable to create CT 101 - CT 101 already exists on node 'pve1'\n",
      effect: () => {
        host.putGuest(101, 'hostname: theirs\nrootfs: local:101/vm-101-disk-0.raw\n');
      },
    });
    expect((await create(host)).problem?.code).toBe('PXM_VMID_TAKEN');
    expect(host.parts.files.text(101)).toContain('theirs');
  });
});

it('previewCreate shows the same commands and runs none', async () => {
  const commands = await previewCreate(host.parts, { vmid: 101, guestUid: UID, spec: specOf({ protection: true }) });
  expect(commands.map((command) => [command.argv.slice(0, 3).join(' '), command.internal])).toEqual([
    ['pct create 101', false],
    ['', true],
    ['pct set 101', false],
  ]);
  expect(host.runner.calls).toEqual([]);
});
