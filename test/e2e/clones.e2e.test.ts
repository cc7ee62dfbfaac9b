/** Clones with the shipped programs: copied, linked, of a snapshot, refused for a named reason, killed in the middle. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { type OperationView, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { guestLocks, killTools, runningTasks } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
let node: NodeProcess;
let vmid: number;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
  node = fleet.node('pve2');
  const words = ['--name', 'web', '--storage', 'local-zfs', '--env', 'SECRET=s3cret'];
  await fleet.cli.text(['container', 'create', await fleet.image('web'), ...words]);
  vmid = (await fleet.container('web')).vmid;
});
afterAll(async () => {
  await fleet.stop();
});
afterEach(() => {
  setFaults(node.host, []);
});

const clone = async (...words: readonly string[]): Promise<string> =>
  await fleet.cli.text(['container', 'clone', ...words]);
const config = (id: number): string => readFileSync(node.host.path(`/etc/pve/lxc/${id}.conf`), 'utf8');
const datasets = async (): Promise<string[]> =>
  (await node.tool('zfs', 'list', '-H', '-o', 'name', '-r', 'tank/guests')).trim().split('\n');
const note = (id: number): string => node.host.path(`/tank/guests/subvol-${id}-disk-0/note.txt`);
const uidIn = (text: string): string => /PXMGR_GUEST=([0-9a-f]{32})/.exec(text)?.[1] ?? '';

async function destroy(name: string): Promise<void> {
  await fleet.cli.text(['container', 'destroy', name, '--yes']);
}

describe('a clone', () => {
  it('is a guest of its own with the data of its source', async () => {
    writeFileSync(note(vmid), 'shared');
    await clone('web', 'copy');
    const copy = await fleet.container('copy');
    expect(copy).toMatchObject({ status: 'stopped', node: 'pve2' });
    expect(readFileSync(note(copy.vmid), 'utf8')).toBe('shared');
    const [own, source] = [config(copy.vmid), config(vmid)];
    expect(uidIn(own)).toMatch(/^[0-9a-f]{32}$/);
    expect(uidIn(own)).not.toBe(uidIn(source));
    expect(own).toContain('SECRET=s3cret');
    expect(own).not.toMatch(/^#/m);
    expect(source).not.toMatch(/^lock:/m);
    expect(copy.imageReference).toBe((await fleet.container('web')).imageReference);
    await fleet.cli.text(['container', 'start', 'copy', '--ready', 'none']);
    await fleet.cli.text(['container', 'stop', 'copy']);
    await destroy('copy');
    expect(readFileSync(note(vmid), 'utf8')).toBe('shared');
    expect(await fleet.cli.json(['reservation', 'list'])).toEqual([]);
  });

  it('of a snapshot has the data of that moment, and its source may run', async () => {
    await fleet.cli.text(['container', 'snapshot', 'create', 'web', 'before']);
    writeFileSync(note(vmid), 'later');
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'none']);
    expect((await fleet.refused(['container', 'clone', 'web', 'now'])).code).toBe('PXM_GUEST_RUNNING');
    await clone('web', 'then', '--snapshot', 'before');
    expect(readFileSync(note((await fleet.container('then')).vmid), 'utf8')).toBe('shared');
    await destroy('then');
    await fleet.cli.text(['container', 'stop', 'web']);
    await fleet.cli.text(['container', 'snapshot', 'destroy', 'web', 'before', '--yes']);
  });

  it('of a template shares its data where the storage can, and says where it cannot', async () => {
    await clone('web', 'base');
    const base = (await fleet.container('base')).vmid;
    await node.tool('pct', 'template', String(base));
    await waitFor('the inventory knows the template', WAIT_LIMIT_MS, async () =>
      (await fleet.container('base')).config['template'] === '1' ? true : undefined,
    );
    await clone('base', 'linked');
    const linked = (await fleet.container('linked')).vmid;
    expect(config(linked)).toContain(`rootfs: local-zfs:basevol-${base}-disk-0/subvol-${linked}-disk-0`);
    await destroy('linked');
    await clone('base', 'flat', '--full', '--storage', 'local');
    const flat = (await fleet.container('flat')).vmid;
    expect(config(flat)).toContain(`rootfs: local:${flat}/`);
    await node.tool('pct', 'template', String(flat));
    await waitFor('the inventory knows the other template', WAIT_LIMIT_MS, async () =>
      (await fleet.container('flat')).config['template'] === '1' ? true : undefined,
    );
    const refused = await fleet.refused(['container', 'clone', 'flat', 'none']);
    expect(refused.code).toBe('PXM_CLONE_UNSUPPORTED');
    expect(refused.text).toContain('is on local, and type dir only copies');
    await destroy('flat');
    await destroy('base');
  });

  it('shows the exact commands on a dry run, and does nothing', async () => {
    const before = await datasets();
    const shown = await clone('web', 'copy', '--vmid', '150', '--dry-run', '--show-commands');
    expect(shown).toContain(`$ pct clone ${vmid} 150 --hostname copy --full 1 `);
    expect(await datasets()).toEqual(before);
  });

  it('is refused for a directory of the node, by name', async () => {
    mkdirSync(node.host.path('/srv/media'), { recursive: true });
    const image = await fleet.image('web');
    await fleet.cli.text(['container', 'create', image, '--name', 'bound', '--mount', '/srv/media:/m']);
    const refused = await fleet.refused(['container', 'clone', 'bound', 'copy']);
    expect(refused.code).toBe('PXM_CLONE_UNSUPPORTED');
    expect(refused.text).toMatch(/mp\d+ \(\/srv\/media\) is a bind mount/);
    await destroy('bound');
  });
});

describe('an agent killed in a clone', () => {
  async function killedAt(fault: FaultRule): Promise<OperationView> {
    setFaults(node.host, [fault]);
    const id = (await clone('web', 'victim', '--detach', '-o', 'name')).trim();
    await waitFor('the tool reaches the point', WAIT_LIMIT_MS, () =>
      faultsOf(node.host).some(({ done }) => (done ?? 0) > 0) ? true : undefined,
    );
    await node.kill();
    killTools(node);
    await node.start();
    return await fleet.ended(id);
  }

  // Every other point: test/crash.
  it('with its pct, before the last write: a source without a lock, and a clone at the second try', async () => {
    const before = await datasets();
    const operation = await killedAt({ at: 'pct clone', point: 'before-config', do: 'hang' });
    expect(guestLocks(node)).toEqual([]);
    expect(runningTasks(node)).toEqual([]);
    expect(config(vmid)).not.toMatch(/^lock:/m);
    // The order is given once more when the agent has taken its first try back.
    expect(operation.state).toBe('done');
    await destroy('victim');
    expect(await datasets()).toEqual(before);
    expect(await fleet.cli.json(['reservation', 'list'])).toEqual([]);
  });
});
