/** Containers changed with the shipped programs: devices given and taken, options set, and an agent that is killed meanwhile. */
import { readFileSync } from 'node:fs';
import { type FaultRule, setFaults } from '@pxmgr/sim/call/fault';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { guestLocks } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
let node: NodeProcess;
let image: string;
let vmid: number;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
  node = fleet.node('pve2');
  image = await fleet.image('web');
  for (const name of ['web', 'other'])
    await fleet.cli.text(['container', 'create', image, '--name', name, '--storage', 'local-zfs']);
  vmid = (await fleet.container('web')).vmid;
});
afterAll(async () => {
  await fleet.stop();
});
afterEach(() => {
  setFaults(node.host, []);
});

const config = (): string => readFileSync(node.host.path(`/etc/pve/lxc/${vmid}.conf`), 'utf8');
const lines = (pattern: RegExp): string[] =>
  config()
    .split('\n')
    .filter((line) => pattern.test(line));

describe('a device', () => {
  it('is given with the groups of the guest, and as a whole to one guest only', async () => {
    await fleet.cli.text(['device', 'attach', 'web', '--gpu', 'amd,exclusive']);
    expect(lines(/^dev\d/)).toEqual([
      expect.stringMatching(/^dev0: .*-render,gid=104,mode=0660$/),
      expect.stringMatching(/^dev1: .*-card,gid=44,mode=0660$/),
      expect.stringMatching(/^dev2: .*\/dev\/kfd,gid=104,mode=0660$/),
    ]);
    expect(lines(/^lxc\.hook\.autodev: \/usr\/lib\/pxmgr\/autodev$/)).toHaveLength(1);
    expect((await fleet.refused(['device', 'attach', 'other', '--gpu'])).code).toBe('PXM_DEVICE_UNAVAILABLE');
    expect((await fleet.refused(['run', image, '--name', 'third', '--gpu'])).code).toBe('PXM_PLACEMENT_INFEASIBLE');
    expect(await fleet.activeReservations()).toEqual([]);
  });

  it('stays with a running guest until its next start, and is then free', async () => {
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'none']);
    const result = await fleet.cli.run(['device', 'detach', 'web', '--gpu', '0000:03:00.0']);
    expect(result.stderr).toContain('the container keeps it until its next start');
    expect((await fleet.refused(['device', 'attach', 'other', '--gpu'])).code).toBe('PXM_DEVICE_UNAVAILABLE');
    await fleet.cli.text(['container', 'stop', 'web']);
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'none']);
    await waitFor('the inventory shows it without', WAIT_LIMIT_MS, async () =>
      (await fleet.cli.text(['container', 'get', 'web'])).includes('dri') ? undefined : true,
    );
    expect(lines(/^dev\d/)).toEqual([]);
    await fleet.cli.text(['device', 'attach', 'other', '--gpu', '--dry-run']);
    await fleet.cli.text(['container', 'stop', 'web']);
  });

  it.each<[string, FaultRule]>([
    ['before pct set stores it', { at: 'pct set', point: 'before-config', do: 'hang' }],
    ['after pct set has stored it', { at: 'pct set', point: 'end', do: 'delay', delayMs: 1500 }],
  ])('is given once when the agent is killed %s', async (_when, fault) => {
    expect(await fleet.killedAt(node, fault, ['device', 'attach', 'web', '--path', '/dev/kfd'])).toMatchObject({
      state: 'done',
    });
    expect(lines(/^dev\d/)).toEqual([expect.stringContaining('/dev/kfd')]);
    expect(guestLocks(node)).toEqual([]);
    await fleet.cli.text(['device', 'detach', 'web', '--path', '/dev/kfd']);
  });
});

describe('options', () => {
  it('are set once when the agent is killed before pct set stores them', async () => {
    const words = [
      'container',
      'set',
      'web',
      '--memory',
      '768MiB',
      '--cores',
      '3',
      '--tags',
      'Shop,front',
      '--onboot',
      'yes',
    ];
    const fault = { at: 'pct set', point: 'before-config', do: 'hang' } as const;
    expect(await fleet.killedAt(node, fault, words)).toMatchObject({ state: 'done' });
    expect(lines(/^(?:memory|cores|tags|onboot|lock):/)).toEqual([
      'cores: 3',
      'memory: 768',
      'onboot: 1',
      'tags: front;shop',
    ]);
    // The same once more is nothing to do.
    const before = config();
    await fleet.cli.text(words);
    expect(config()).toBe(before);
  });
});
