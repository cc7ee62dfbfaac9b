import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Operation } from '@pxmgr/contract/common';
import { OperationState } from '@pxmgr/contract/common';
import type { Command } from '@pxmgr/kit/exec/command';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../operation/recover.ts';
import { createContainer, previewCreate } from './create.ts';
import { createdConfig, type FixtureHost, makeHost, specOf, UID } from './host-fixture.ts';
import { createRecovery } from './undo-create.ts';

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
});
afterEach(() => {
  host.remove();
});

const isCreate = (command: Command): boolean => command.file === 'pct' && command.args[0] === 'create';
const isSet = (command: Command): boolean => command.file === 'pct' && command.args[0] === 'set';
const isDestroy = (command: Command): boolean => command.file === 'pct' && command.args[0] === 'destroy';

/** What pct does when all goes well. */
function goodCreate(command: Command): void {
  mkdirSync(join(host.root, 'var/lib/vz/images/101'), { recursive: true });
  writeFileSync(join(host.root, 'var/lib/vz/images/101/vm-101-disk-0.raw'), '');
  host.putGuest(101, createdConfig(command));
  host.putTask('vzcreate', 101, 'TASK OK');
}

function goodDestroy(): void {
  host.dropGuest(101);
  for (const name of readdirSync(join(host.root, 'var/lib/vz/images/101'))) removeVolume(name);
  host.putTask('vzdestroy', 101, 'TASK OK');
}

function removeVolume(name: string): void {
  mkdirSync(join(host.root, 'trash'), { recursive: true });
  writeFileSync(join(host.root, 'trash', name), '');
  rmVolume(name);
}

function rmVolume(name: string): void {
  rmSync(join(host.root, 'var/lib/vz/images/101', name), { force: true });
}

async function create(spec = specOf()): Promise<Operation> {
  const store = host.newStore();
  const request = { vmid: 101, guestUid: UID, spec };
  const started = await store.start(
    { kind: 'container.create', title: 'create', vmid: 101, keys: ['vmid:101'], params: { vmid: 101, guestUid: UID, finish: false } },
    (work) => createContainer(host.parts, request, work),
  );
  return await store.settled(started.id);
}

function argvOf(name: string): string[] {
  return host.runner.calls.filter((call) => call.args[0] === name).map((call) => call.args.join(' '));
}

describe('createContainer', () => {
  it('creates, marks, merges the environment, and adds mounts afterwards', async () => {
    host.write('srv/media/x', '');
    host.runner.expect(isCreate, { effect: goodCreate });
    host.runner.expect(isSet, { effect: () => { host.putGuest(101, `${host.parts.files.text(101) ?? ''}`.replace('memory:', 'mp1: /srv/media,mp=/media,ro=1\nmemory:')); } });
    const operation = await create(specOf({
      env: [{ name: 'B', value: 'two words', remove: false }, { name: 'A', value: '', remove: true }],
      entrypoint: ['/serve', "it's"],
      tags: ['Team'],
      mounts: [{ target: '/media', source: { $case: 'bind', value: '/srv/media' }, readOnly: true, backup: false }],
    }));
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, problem: undefined, results: { vmid: '101', guest_uid: UID } });
    expect(operation.upids).toHaveLength(1);
    expect(argvOf('create')).toEqual([
      `create 101 local:vztmpl/app.tar --hostname web --storage local --rootfs local:4 --mp0 volume=local:4,mp=/data,backup=1 --memory 256 --net0 name=eth0,bridge=vmbr0,ip=dhcp,type=veth --unprivileged 1 --onboot 0 --ostype unmanaged --arch amd64 --tags pxmgr;team;${operation.id}`,
    ]);
    expect(argvOf('set')).toEqual(['set 101 --mp1 volume=/srv/media,mp=/media,ro=1']);
    const text = host.parts.files.text(101) ?? '';
    expect(text).toContain(`entrypoint: /serve it's\n`);
    expect(text).toContain('tags: pxmgr;team\n');
    expect(text).toContain('lxc.environment.runtime: HOME=/srv\nlxc.environment.runtime: B=two words\n');
    expect(text).not.toContain('runtime: A=1');
    expect(text).toContain(`lxc.environment.hooks: PXMGR_GUEST=${UID}\n`);
    host.runner.assertDone();
  });

  it('gives a device the gid of the guest and puts the program into that group', async () => {
    host.write('dev/dri/renderD128', '');
    host.runner.expect(isCreate, { effect: goodCreate });
    const operation = await create(specOf({ devices: [{ path: '/dev/dri/renderD128', deviceId: '', groups: [], mode: '' }] }));
    expect(operation.problem).toBeUndefined();
    expect(argvOf('create')[0]).toContain('--dev0 path=/dev/dri/renderD128,gid=103,mode=0660');
    expect(host.parts.files.text(101)).toContain('lxc.init.groups: 103\n');
  });

  it.each([
    ['pct says so', { exit: 255, stderr: "unable to create CT 101 - storage 'x' is disabled\n" }, 'PXM_STORAGE_DISABLED'],
    ['the task failed although pct ended with 0', { exit: 0, effect: () => { host.putTask('vzcreate', 101, 'TASK ERROR: unable to create CT 101 - No space left on device'); } }, 'PXM_DISK_FULL'],
    ['nothing was made although all says OK', { exit: 0, effect: () => { host.putTask('vzcreate', 101, 'TASK OK'); } }, 'PXM_VERIFY_FAILED'],
    ['unknown text', { exit: 255, stderr: 'something new\n' }, 'PXM_COMMAND_FAILED'],
  ])('fails cleanly when %s', async (_name, answer, code) => {
    host.runner.expect(isCreate, answer);
    const operation = await create();
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED, problem: { code } });
    host.runner.assertDone();
  });

  it('undoes the guest when it is not as ordered', async () => {
    host.runner.expect(isCreate, { effect: (command) => { goodCreate(command); host.putGuest(101, createdConfig(command).replace('ostype: unmanaged', 'ostype: debian')); } });
    host.runner.expect(isDestroy, { effect: goodDestroy });
    const operation = await create();
    expect(operation.problem).toMatchObject({ code: 'PXM_VERIFY_FAILED', message: expect.stringContaining('ostype is debian') as unknown });
    expect(host.parts.files.text(101)).toBeUndefined();
    expect(argvOf('destroy')).toEqual(['destroy 101 --destroy-unreferenced-disks 1 --purge 1']);
  });

  it('frees volumes that a failed create forgot', async () => {
    host.runner.expect(isCreate, { exit: 255, stderr: 'killed\n', effect: () => {
      mkdirSync(join(host.root, 'var/lib/vz/images/101'), { recursive: true });
      writeFileSync(join(host.root, 'var/lib/vz/images/101/vm-101-disk-0.raw'), '');
    } });
    host.runner.expect('pvesm free local:101/vm-101-disk-0.raw', { effect: () => { rmVolume('vm-101-disk-0.raw'); } });
    expect((await create()).problem?.code).toBe('PXM_COMMAND_FAILED');
    host.runner.assertDone();
  });

  it('says what is left when the undo fails', async () => {
    host.runner.expect(isCreate, { effect: (command) => { host.putGuest(101, createdConfig(command).replace('ostype: unmanaged', 'ostype: x')); } });
    host.runner.expect(isDestroy, { exit: 255, stderr: 'no\n' });
    expect((await create()).problem).toMatchObject({ code: 'PXM_UNDO_INCOMPLETE' });
  });

  it('never touches a guest that somebody else made meanwhile', async () => {
    host.runner.expect(isCreate, { exit: 255, stderr: "unable to create CT 101 - CT 101 already exists on node 'pve1'\n", effect: () => { host.putGuest(101, 'hostname: theirs\nrootfs: local:101/vm-101-disk-0.raw\n'); } });
    expect((await create()).problem?.code).toBe('PXM_VMID_TAKEN');
    expect(host.parts.files.text(101)).toContain('theirs');
  });
});

describe('preflight refuses', () => {
  it.each([
    ['all wrong words at once', specOf({ name: 'a b', env: [{ name: '1-x', value: '', remove: false }], features: ['magic'] }), 'PXM_INPUT_INVALID'],
    ['a privileged container from an image', specOf({ privileged: true }), 'PXM_INPUT_INVALID'],
    ['an unknown bridge and bind source', specOf({ networks: [{ ...specOf().networks[0]!, bridge: 'vmbr9' }], mounts: [{ target: '/m', source: { $case: 'bind', value: '/nope' }, readOnly: false, backup: false }] }), 'PXM_INPUT_INVALID'],
    ['an unknown storage', specOf({ storage: 'nosuch' }), 'PXM_STORAGE_NOT_FOUND'],
    ['a missing device', specOf({ devices: [{ path: '/dev/dri/renderD128', deviceId: '', groups: [], mode: '' }] }), 'PXM_DEVICE_NOT_FOUND'],
    ['an image that is not here', specOf({ source: { $case: 'image', value: { reference: 'r', digest: `sha256:${'0'.repeat(64)}`, platform: '', indexDigest: '', sizeBytes: 0n } } }), 'PXM_IMAGE_NOT_PULLED'],
    ['a root file system that cannot hold the image', specOf({ rootfsBytes: 10n }), 'PXM_INPUT_INVALID'],
  ])('%s', async (_name, spec, code) => {
    expect((await create(spec)).problem?.code).toBe(code);
    expect(host.runner.calls).toEqual([]);
  });

  it('a taken id, an id with old volumes, and a node without quorum', async () => {
    host.write('etc/pve/.vmlist', '{"ids":{"101":{"node":"pve2","type":"qemu","version":1}}}');
    expect((await create()).problem).toMatchObject({ code: 'PXM_VMID_TAKEN', message: 'vmid 101 is taken by a vm on pve2' });
    host.write('etc/pve/.vmlist', '{}');
    host.write('var/lib/vz/images/101/vm-101-disk-7.raw', 'precious');
    expect((await create()).problem).toMatchObject({ code: 'PXM_VMID_TAKEN', message: expect.stringContaining('vm-101-disk-7.raw') as unknown });
    host.write('etc/pve/.members', '{"nodename":"pve1","cluster":{"name":"c","quorate":0}}');
    expect((await create()).problem?.code).toBe('PXM_NO_QUORUM');
  });

  it('a cut archive', async () => {
    host.write('var/lib/vz/template/cache/app.tar', 'cut');
    expect((await create()).problem?.code).toBe('PXM_IMAGE_NOT_PULLED');
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

describe('recovery of a create that the agent did not live to end', () => {
  /** Runs until pct hangs, then pretends that the process died there: a new store reads the journal. */
  async function dieIn(effect: (command: Command) => void): Promise<Operation> {
    const hang = new Promise<never>(() => undefined);
    let reached: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => { reached = resolve; });
    host.runner.expect(isCreate, { effect: (command) => { effect(command); reached(); }, wait: hang });
    const dead = host.newStore();
    await dead.start(
      { kind: 'container.create', title: 'create', vmid: 101, keys: ['vmid:101'], params: { vmid: 101, guestUid: UID, finish: false } },
      (work) => createContainer(host.parts, { vmid: 101, guestUid: UID, spec: specOf() }, work),
    );
    await isThere;
    const store = host.newStore();
    const unfinished = await store.load();
    expect(unfinished).toHaveLength(1);
    await recoverAll(store, unfinished, new Map([['container.create', createRecovery(host.parts)]]));
    return store.get(unfinished[0]!.operation.id);
  }

  it('nothing was made: undone', async () => {
    expect(await dieIn(() => undefined)).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED, recovery: 'undone', problem: { code: 'PXM_INTERRUPTED' } });
  });

  it('half made: unlocked, destroyed, volumes freed', async () => {
    host.runner.expect('pct unlock 101');
    host.runner.expect(isDestroy, { effect: () => { host.dropGuest(101); } });
    host.runner.expect('pvesm free local:101/vm-101-disk-0.raw', { effect: () => { rmVolume('vm-101-disk-0.raw'); } });
    const operation = await dieIn(() => {
      host.putGuest(101, 'lock: create\n');
      mkdirSync(join(host.root, 'var/lib/vz/images/101'), { recursive: true });
      writeFileSync(join(host.root, 'var/lib/vz/images/101/vm-101-disk-0.raw'), '');
    });
    expect(operation.recovery).toBe('undone');
    expect(host.parts.files.text(101)).toBeUndefined();
    host.runner.assertDone();
  });

  it('created but not marked: known by its tag, destroyed', async () => {
    host.runner.expect(isDestroy, { effect: goodDestroy });
    expect((await dieIn(goodCreate)).recovery).toBe('undone');
    expect(host.parts.files.text(101)).toBeUndefined();
  });

  it('somebody else has the id by now: left alone', async () => {
    const operation = await dieIn(() => { host.putGuest(101, 'hostname: theirs\nrootfs: local:101/x.raw\n'); });
    expect(operation.recovery).toBe('undone');
    expect(host.parts.files.text(101)).toContain('theirs');
  });
});
