/** Snapshots with the shipped programs: taken, gone back to, removed, refused for a named reason, killed in the middle. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type FaultRule, setFaults } from '@pxmgr/sim/call/fault';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { type OperationView, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { commandsOf, guestLocks, runningTasks } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
let node: NodeProcess;
let image: string;
let vmid: number;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
  node = fleet.node('pve2');
  image = await fleet.image('web');
  await fleet.cli.text(['container', 'create', image, '--name', 'web', '--storage', 'local-zfs']);
  vmid = (await fleet.container('web')).vmid;
});
afterAll(async () => {
  await fleet.stop();
});
afterEach(() => {
  setFaults(node.host, []);
});

interface SnapshotView {
  readonly name: string;
  readonly parent: string;
  readonly state: string;
  readonly description: string;
  readonly isCurrent: boolean;
}

const snapshot = async (verb: string, ...rest: readonly string[]): Promise<string> =>
  await fleet.cli.text(['container', 'snapshot', verb, 'web', ...rest]);
const snapshots = async (): Promise<SnapshotView[]> =>
  await fleet.cli.json<SnapshotView[]>(['container', 'snapshot', 'list', 'web']);
const names = async (): Promise<string[]> => (await snapshots()).map(({ name }) => name);
const config = (): string => readFileSync(node.host.path(`/etc/pve/lxc/${vmid}.conf`), 'utf8');
/** Snapshots of the guest's datasets, as ZFS has them. */
const onDisk = async (): Promise<string[]> =>
  (await node.tool('zfs', 'list', '-H', '-o', 'name', '-t', 'snapshot', '-r', 'tank/guests'))
    .split('\n')
    .filter((line) => line !== '');
/** A file of the guest. Proxmox leaves a volume unmounted that went back, until it is used (proxmox/pve-storage src/PVE/Storage/ZFSPoolPlugin.pm). */
const dataFile = async (): Promise<string> => {
  await node.tool('zfs', 'mount', '-a');
  return node.host.path(`/tank/guests/subvol-${vmid}-disk-0/note.txt`);
};

describe('a snapshot', () => {
  it('is taken of every volume, and is what the guest goes back to', async () => {
    writeFileSync(await dataFile(), 'before');
    await snapshot('create', 'first', '--description', 'nginx 1.26: 100 %');
    writeFileSync(await dataFile(), 'after');
    expect(await snapshots()).toEqual([
      expect.objectContaining({ name: 'first', state: '', description: 'nginx 1.26: 100 %', isCurrent: true }),
    ]);
    expect(await onDisk()).toEqual([
      `tank/guests/subvol-${vmid}-disk-0@first`,
      `tank/guests/subvol-${vmid}-disk-1@first`,
    ]);
    await snapshot('rollback', 'first', '--yes');
    expect(readFileSync(await dataFile(), 'utf8')).toBe('before');
  });

  it('stops a guest that runs before it goes back, and says so', async () => {
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'none']);
    const result = await fleet.cli.run(['container', 'snapshot', 'rollback', 'web', 'first', '--yes']);
    expect(result.stderr).toContain(`container ${vmid} was running: it is stopped for this`);
    expect((await fleet.container('web')).status).toBe('stopped');
  });

  it('starts it when it is back, where that is wanted', async () => {
    expect(await snapshot('rollback', 'first', '--start', '--yes')).toContain('is back at snapshot first and runs');
    expect((await fleet.container('web')).status).toBe('running');
    await fleet.cli.text(['container', 'stop', 'web']);
  });

  it('shows the exact commands on a dry run, and does nothing', async () => {
    const shown = await snapshot('create', 'second', '--dry-run', '--show-commands');
    expect(shown).toContain(`$ pct snapshot ${vmid} second`);
    expect(await names()).toEqual(['first']);
  });

  it('is destroyed with its part of every volume', async () => {
    await snapshot('create', 'second');
    await snapshot('destroy', 'second', '--yes');
    expect(await names()).toEqual(['first']);
    expect((await onDisk()).filter((name) => name.endsWith('@second'))).toEqual([]);
  });
});

describe('refused before pct is asked', () => {
  /** The refusal; nothing that changes anything was run for it. */
  async function refused(...words: readonly string[]): Promise<{ code: string; text: string }> {
    const count = (): number => commandsOf(node).filter(({ argv }) => argv[0] === 'pct').length;
    const before = count();
    const answer = await fleet.refused(['container', 'snapshot', ...words]);
    expect(count()).toBe(before);
    return answer;
  }

  it('names the mount that stands in the way', async () => {
    mkdirSync(node.host.path('/srv/media'), { recursive: true });
    await fleet.cli.text([
      'container',
      'create',
      image,
      '--name',
      'flat',
      '--storage',
      'local',
      '--mount',
      '/srv/media:/m',
    ]);
    const { code, text } = await refused('create', 'flat', 'one');
    expect(code).toBe('PXM_SNAPSHOT_UNSUPPORTED');
    expect(text).toMatch(/mp\d+ \(\/srv\/media\) is a bind mount/);
    expect(text).toMatch(/rootfs \(local:\d+\/vm-\d+-disk-0\.raw\) is on local, and type dir has no snapshots/);
  });

  it('names what is newer, also what Proxmox does not know', async () => {
    await snapshot('create', 'second');
    const own = await refused('rollback', 'web', 'first', '--yes');
    expect(own.code).toBe('PXM_SNAPSHOT_NOT_NEWEST');
    expect(own.text).toContain('newer is second');
    await node.tool('zfs', 'snapshot', `tank/guests/subvol-${vmid}-disk-0@autosnap`);
    const foreign = await refused('rollback', 'web', 'second', '--yes');
    expect(foreign.text).toContain(`autosnap of tank/guests/subvol-${vmid}-disk-0, which Proxmox does not know`);
    await node.tool('zfs', 'destroy', `tank/guests/subvol-${vmid}-disk-0@autosnap`);
  });

  it('does not begin what a hold would break in the middle', async () => {
    await node.tool('zfs', 'hold', 'keep', `tank/guests/subvol-${vmid}-disk-0@second`);
    const held = await refused('destroy', 'web', 'second', '--yes');
    expect(held.code).toBe('PXM_SNAPSHOT_IN_USE');
    expect(config()).not.toMatch(/^lock:/m);
    await node.tool('zfs', 'release', 'keep', `tank/guests/subvol-${vmid}-disk-0@second`);
    await snapshot('destroy', 'second', '--yes');
  });

  it.each([
    [['create', 'web', 'first'], 'PXM_SNAPSHOT_EXISTS'],
    [['create', 'web', 'current'], 'PXM_INPUT_INVALID'],
    [['rollback', 'web', 'nosuch', '--yes'], 'PXM_SNAPSHOT_NOT_FOUND'],
    [['destroy', 'web', 'nosuch', '--yes'], 'PXM_SNAPSHOT_NOT_FOUND'],
    [['create', 'nosuch', 'one'], 'PXM_GUEST_NOT_FOUND'],
  ])('%j with %s', async (words, code) => {
    expect((await refused(...words)).code).toBe(code);
  });
});

describe('an agent killed', () => {
  const killedAt = async (fault: FaultRule, ...words: readonly string[]): Promise<OperationView> => {
    const [verb = '', ...rest] = words;
    return await fleet.killedAt(node, fault, ['container', 'snapshot', verb, 'web', ...rest]);
  };

  /** Nothing but whole snapshots: no lock, no half one, no task. */
  async function nothingHalf(): Promise<void> {
    expect(guestLocks(node)).toEqual([]);
    expect(runningTasks(node)).toEqual([]);
    expect(config()).not.toContain('snapstate');
    const known = await waitFor('the inventory has it', WAIT_LIMIT_MS, async () => {
      const found = await snapshots();
      return found.every(({ state }) => state === '') ? found.map(({ name }) => name) : undefined;
    });
    expect([...new Set((await onDisk()).map((name) => name.replace(/.*@/, '')))].sort()).toEqual([...known].sort());
  }

  it.each<[string, FaultRule]>([
    ['has marked the guest', { at: 'pct snapshot', point: 'after-prepare', do: 'hang' }],
    ['has made the snapshots', { at: 'pct snapshot', point: 'before-config', do: 'hang' }],
  ])('with its pct, where that %s: taken once more, or gone', async (_when, fault) => {
    const operation = await killedAt(fault, 'create', 'again');
    await nothingHalf();
    expect(operation.state).toBe('done');
    expect(await names()).toEqual(['first', 'again']);
    await snapshot('destroy', 'again', '--yes');
  });

  it('while pct snapshot goes on: the snapshot is whole', async () => {
    const slow = { at: 'pct snapshot', point: 'before-config', do: 'delay', delayMs: 1500 } as const;
    expect(await killedAt(slow, 'create', 'slow')).toMatchObject({ state: 'done' });
    await nothingHalf();
    await snapshot('destroy', 'slow', '--yes');
  });

  it('in the middle of a rollback ends it', async () => {
    writeFileSync(await dataFile(), 'later');
    const operation = await killedAt(
      { at: 'pct rollback', point: 'after-lock', do: 'hang' },
      'rollback',
      'first',
      '--yes',
    );
    expect(operation).toMatchObject({ state: 'done' });
    expect(readFileSync(await dataFile(), 'utf8')).toBe('before');
    await nothingHalf();
  });

  it('in the middle of a removal ends it', async () => {
    await snapshot('create', 'gone');
    const fault = { at: 'pct delsnapshot', point: 'after-lock', do: 'hang' } as const;
    expect(await killedAt(fault, 'destroy', 'gone', '--yes')).toMatchObject({ state: 'done' });
    expect(await names()).toEqual(['first']);
    await nothingHalf();
  });
});

describe('a pct that fails in the middle', () => {
  it('leaves no lock that is ours', async () => {
    setFaults(node.host, [{ at: 'pct delsnapshot', point: 'after-lock', do: 'fail', message: 'no luck\n' }]);
    expect((await fleet.refused(['container', 'snapshot', 'destroy', 'web', 'first', '--yes'])).code).toBe(
      'PXM_COMMAND_FAILED',
    );
    expect(config()).not.toMatch(/^lock:/m);
    // What is half removed can still be removed.
    await snapshot('destroy', 'first', '--yes');
    expect(await names()).toEqual([]);
    expect(await onDisk()).toEqual([]);
  });
});
