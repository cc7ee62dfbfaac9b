import { type Operation, OperationState } from '@pxmgr/contract/common';
import type { Command } from '@pxmgr/kit/exec/command';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AUTODEV_HOOK } from '../../device/autodev.ts';
import { recoverAll } from '../../operation/recover.ts';
import { type FixtureHost, makeHost, UID } from '../host.fixture.ts';
import { cloneContainer, cloneRecovery, previewClone } from './clone.ts';
import type { CloneRequest } from './clone-plan.ts';
import { argvOf } from './create.fixture.ts';

const CLONE_UID = 'c'.repeat(32);
const SOURCE = [
  '#made by hand',
  'dev0: /dev/dri/by-path/pci-0000:03:00.0-render,gid=44,mode=0660',
  'hostname: web',
  'net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=198.51.100.10/24,type=veth',
  'rootfs: local:101/vm-101-disk-0.raw,size=4G',
  'tags: pxmgr;shop',
  `lxc.environment.hooks: PXMGR_GUEST=${UID}`,
  `lxc.hook.autodev: ${AUTODEV_HOOK}`,
  '',
].join('\n');
const SNAPSHOT = '\n[before]\nhostname: old\nrootfs: local:101/vm-101-disk-0.raw,size=4G\nsnaptime: 1\n';

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
  host.putGuest(101, SOURCE);
  host.write('etc/pve/storage.cfg', STORAGES);
});
afterEach(() => {
  host.remove();
});

const STORAGES = [
  'dir: local\n\tpath /var/lib/vz\n\tcontent rootdir,images,vztmpl\n',
  'lvmthin: thin\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n',
].join('\n');

const isClone = (command: Command): boolean => command.file === 'pct' && command.args[0] === 'clone';

function request(part: Partial<CloneRequest> = {}): CloneRequest {
  const source = { vmid: 101, guestUid: UID, snapshot: '' };
  return { vmid: 102, guestUid: CLONE_UID, name: 'web-2', source, storage: '', full: true, ...part };
}

/** As Proxmox writes it: the mark in the description, a MAC and a volume of its own. */
function clonedConfig({ args }: Command, source = SOURCE): string {
  const option = (name: string): string => args[args.indexOf(`--${name}`) + 1] ?? '';
  return source
    .replace('#made by hand', `#${option('description')}`)
    .replace(/hostname: .*/, `hostname: ${option('hostname')}`)
    .replace('00:00:01', '00:00:02')
    .replaceAll('local:101/vm-101', 'local:102/vm-102');
}

function goodClone(command: Command): void {
  host.putGuest(102, clonedConfig(command));
  host.putTask('vzclone', 101, 'TASK OK');
}

const REQUEST = { kind: 'container.clone', title: 'clone', vmid: 102, keys: ['vmid:102', 'vmid:101'], params: {} };

async function clone(wish = request()): Promise<Operation> {
  const store = host.newStore();
  const { id } = await store.start(REQUEST, (work) => cloneContainer(host.parts, wish, work));
  return await store.settled(id);
}

const stored = (vmid: number): string | undefined => host.parts.files.text(vmid);

describe('cloneContainer', () => {
  it('gives the clone an identity of its own and none of the devices, and says what it shares', async () => {
    await host.parts.records.put(UID, { imageReference: 'r/app:1', imageDigest: 'sha256:1' });
    host.runner.expect(isClone, { effect: goodClone });
    const operation = await clone();
    expect(operation).toMatchObject({
      state: OperationState.OPERATION_STATE_DONE,
      results: { vmid: '102', guest_uid: CLONE_UID },
    });
    expect(argvOf(host, 'clone')).toEqual([`clone 101 102 --hostname web-2 --full 1 --description ${operation.id}`]);
    expect(operation.upids).toHaveLength(1);
    expect(stored(102)).toBe(
      [
        '#made by hand',
        'hostname: web-2',
        'net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02,ip=198.51.100.10/24,type=veth',
        'rootfs: local:102/vm-102-disk-0.raw,size=4G',
        'tags: pxmgr;shop',
        `lxc.environment.hooks: PXMGR_GUEST=${CLONE_UID}`,
        '',
      ].join('\n'),
    );
    expect(stored(101)).toBe(SOURCE);
    expect(operation.warnings.join('\n')).toContain('none of the devices of container 101: /dev/dri/by-path/');
    expect(operation.warnings.join('\n')).toContain('the address of container 101: 198.51.100.10/24');
    expect(host.parts.records.originOf(CLONE_UID)?.imageReference).toBe('r/app:1');
    host.runner.assertDone();
  });

  it('names the snapshot and the storage that are asked for', async () => {
    host.putGuest(101, SOURCE + SNAPSHOT);
    host.setRunning(101);
    host.runner.allow({ file: 'pvesm' });
    const source = { vmid: 101, guestUid: UID, snapshot: 'before' };
    const [command] = await previewClone(host.parts, request({ source, storage: 'thin' }));
    const words = '--hostname web-2 --full 1 --snapname before --storage thin --description op-preview';
    expect(command?.argv.join(' ')).toBe(`pct clone 101 102 ${words}`);
  });

  it.each<[string, { source?: string; wish?: Partial<CloneRequest> }, string]>([
    ['a bind mount', { source: SOURCE.replace('net0', 'mp0: /srv/media,mp=/media\nnet0') }, 'PXM_CLONE_UNSUPPORTED'],
    ['linked, and no template', { wish: { full: false } }, 'PXM_CLONE_UNSUPPORTED'],
    ['linked on a directory', { source: `template: 1\n${SOURCE}`, wish: { full: false } }, 'PXM_CLONE_UNSUPPORTED'],
    ['another guest under its id', { source: SOURCE.replace(UID, 'd'.repeat(32)) }, 'PXM_GUEST_FOREIGN'],
    ['a lock', { source: `lock: backup\n${SOURCE}` }, 'PXM_GUEST_LOCKED'],
    ['an id that is taken', { wish: { vmid: 103 } }, 'PXM_VMID_TAKEN'],
    [
      'no such snapshot',
      { wish: { source: { vmid: 101, guestUid: UID, snapshot: 'none' } } },
      'PXM_SNAPSHOT_NOT_FOUND',
    ],
    ['words that are none', { wish: { name: 'no_name', guestUid: 'x' } }, 'PXM_INPUT_INVALID'],
  ])('is refused for %s, before anything is made', async (_what, { source = SOURCE, wish }, code) => {
    host.putGuest(101, source);
    host.putGuest(103, 'hostname: other\n');
    expect((await clone(request(wish))).problem?.code).toBe(code);
    expect(argvOf(host, 'clone')).toEqual([]);
  });

  it('is refused while the source runs, with the way out', async () => {
    host.setRunning(101);
    const { problem } = await clone();
    expect(problem?.code).toBe('PXM_GUEST_RUNNING');
    expect(problem?.hint).toContain('snapshot');
  });

  it('that shares a volume with its source is a failure, and is taken back', async () => {
    host.runner.expect(isClone, {
      effect: (command) => {
        host.putGuest(102, clonedConfig(command).replace('local:102/vm-102', 'local:101/vm-101'));
      },
    });
    host.runner.expect('pct destroy 102 --destroy-unreferenced-disks 0 --purge 0', {
      effect: () => {
        host.dropGuest(102);
      },
    });
    const { problem, steps } = await clone();
    expect(problem?.message).toContain('rootfs is the volume of container 101');
    // An agent that dies now must not find it marked as a whole one.
    expect(steps.map(({ name }) => name)).toEqual(['preflight', 'clone']);
    expect(stored(102)).toBeUndefined();
  });

  it('that fails leaves neither a guest nor the lock of its source', async () => {
    host.runner.expect(isClone, {
      exit: 255,
      stderr: 'no luck\n',
      effect: () => {
        host.putGuest(102, 'lock: create\n');
        host.putGuest(101, `lock: disk\n${SOURCE}`);
      },
    });
    host.runner.expect('pct unlock 101', { effect: () => host.putGuest(101, SOURCE) });
    host.runner.expect('pct unlock 102');
    host.runner.expect('pct destroy 102 --destroy-unreferenced-disks 0 --purge 0', {
      effect: () => {
        host.dropGuest(102);
      },
    });
    expect((await clone()).problem?.message).toContain('no luck');
    expect([stored(101), stored(102)]).toEqual([SOURCE, undefined]);
    host.runner.assertDone();
  });
});

describe('recovery of a clone that the agent did not live to end', () => {
  async function dieIn(effect: (command: Command) => void): Promise<Operation> {
    let reached: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const hang = new Promise<never>(() => undefined);
    host.runner.expect(isClone, {
      effect: (command) => {
        effect(command);
        reached();
      },
      wait: hang,
    });
    await host.newStore().start(REQUEST, (work) => cloneContainer(host.parts, request(), work));
    await isThere;
    const store = host.newStore();
    const unfinished = await store.load();
    await recoverAll(store, unfinished, new Map([['container.clone', cloneRecovery(host.parts)]]));
    return store.get(unfinished[0]!.operation.id);
  }

  it('cloned but not marked: known by its description, destroyed, and the source is free', async () => {
    host.runner.expect('pct unlock 101', { effect: () => host.putGuest(101, SOURCE) });
    host.runner.expect('pct destroy 102 --destroy-unreferenced-disks 0 --purge 0', {
      effect: () => {
        host.dropGuest(102);
      },
    });
    const operation = await dieIn((command) => {
      goodClone(command);
      host.putGuest(101, `lock: disk\n${SOURCE}`);
    });
    expect(operation).toMatchObject({ recovery: 'undone', problem: { code: 'PXM_INTERRUPTED' } });
    expect([stored(101), stored(102)]).toEqual([SOURCE, undefined]);
    host.runner.assertDone();
  });

  it('leaves a lock alone that is not of a clone', async () => {
    const operation = await dieIn(() => {
      host.putGuest(101, `lock: backup\n${SOURCE}`);
    });
    expect(operation.recovery).toBe('undone');
    expect(stored(101)).toContain('lock: backup');
  });
});
