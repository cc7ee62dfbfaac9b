/** Starting and stopping beside what the recordings show (pve-container src/PVE/API2/LXC/Status.pm, src/lxc-pve-poststop-hook). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { turnSwitches } from '../call/switches.ts';
import { makeHost, type Ran, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';

let node: TestHost;
beforeEach(async () => {
  node = makeHost();
  await pct('create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.05', '--ostype', 'unmanaged');
});
afterEach(() => node.remove());

const pct = (...argv: string[]): Promise<Ran> => node.run('pct', ...argv);
const pve = (path: string): string => readFileSync(node.host.clusterPath(path), 'utf8');
const stored = (): string => pve('nodes/pve1/lxc/100.conf');
const lastTask = (): string => readFileSync(node.host.path('/var/log/pve/tasks/active'), 'utf8').split('\n')[0] ?? '';

function append(path: string, text: string): void {
  mkdirSync(node.host.clusterPath('ha'), { recursive: true });
  writeFileSync(node.host.clusterPath(path), text, { flag: 'a' });
}

describe('a stop', () => {
  it('applies what waits in the config, and writes it in any case', async () => {
    await pct('start', '100');
    await pct('set', '100', '--features', 'nesting=1');
    expect(stored()).toContain('[pve:pending]\nfeatures: nesting=1\n');
    expect(await pct('stop', '100')).toMatchObject({ status: 0, stderr: '' });
    expect(stored()).not.toContain('[pve:pending]');
    expect(stored()).toContain('features: nesting=1\n');
  });

  it('does its work without quorum too, and the config stays as it was', async () => {
    await pct('start', '100');
    await pct('set', '100', '--features', 'nesting=1');
    turnSwitches(node.host, { noQuorum: true, waitScale: 0 });
    expect(await pct('stop', '100')).toMatchObject({ status: 0, stderr: '' });
    expect(stored()).toContain('[pve:pending]');
  });
});

describe('a guest that HA manages', () => {
  beforeEach(() => append('ha/resources.cfg', 'ct: 100\n\tstate stopped\n\n'));

  it('is started by its manager: the tool only asks', async () => {
    expect(await pct('start', '100')).toEqual({ status: 0, stdout: 'Requesting HA start for CT 100\n', stderr: '' });
    expect(lastTask()).toContain(':hastart:100:');
    expect(pve('ha/resources.cfg')).toBe('ct: 100\n\tstate started\n\n');
    expect((await pct('status', '100')).stdout).toBe('status: stopped\n');
  });

  it('is stopped and shut down by its manager', async () => {
    writeFileSync(node.host.clusterPath('ha/resources.cfg'), '');
    await pct('start', '100');
    append('ha/resources.cfg', 'ct: 100\n\tstate started\n\n');
    expect((await pct('stop', '100')).stdout).toBe('Requesting HA stop for CT 100\n');
    await pct('shutdown', '100', '--timeout', '7');
    expect(pve('ha/crm_commands')).toBe('stop ct:100 0\nstop ct:100 7\n');
    expect((await pct('stop', '100', '--overrule-shutdown', '1')).stderr).toContain(
      'overrule-shutdown: Not applicable for HA resources.\n',
    );
  });

  it('is removed only with --purge, and then from HA as well', async () => {
    expect(await pct('destroy', '100')).toMatchObject({
      status: 255,
      stderr: 'unable to remove CT 100 - used in HA resources and purge parameter not set.\n',
    });
    expect((await pct('destroy', '100', '--purge', '1')).stdout).toBe(
      'purging CT 100 from related configurations..\nNOTE: removed CT 100 from HA resource configuration.\n',
    );
    expect(pve('ha/resources.cfg')).toBe('');
  });

  it('that is ignored starts like any other', async () => {
    writeFileSync(node.host.clusterPath('ha/resources.cfg'), 'ct: 100\n\tstate ignored\n\n');
    await pct('start', '100');
    expect((await pct('status', '100')).stdout).toBe('status: running\n');
  });
});

describe('an interface of a running guest', () => {
  it('goes at once, and its addresses are told of', async () => {
    await pct('set', '100', '--net1', 'name=eth1,bridge=vmbr0');
    await pct('start', '100');
    expect(await pct('set', '100', '--delete', 'net1')).toEqual({
      status: 0,
      stdout: 'delete ips from net1\n',
      stderr: '',
    });
    expect(stored()).not.toContain('net1');
  });
});

describe('what speaks against it', () => {
  it('a missing bridge is told by every change of a stopped guest, which is stored all the same', async () => {
    const set = await pct('set', '100', '--net0', 'name=eth0,bridge=vmbr77');
    expect(set).toEqual({ status: 2, stdout: '', stderr: "bridge 'vmbr77' does not exist\n" });
    expect(stored()).toContain('net0: name=eth0,bridge=vmbr77,hwaddr=');
    expect(await pct('set', '100', '--cores', '1')).toMatchObject({ status: 2 });
    expect(stored()).toContain('cores: 1\n');
    expect(await pct('start', '100')).toMatchObject({ status: 255, stderr: "bridge 'vmbr77' does not exist\n" });
  });

  it('an MTU above that of a bridge that is missing stores nothing', async () => {
    const set = await pct('set', '100', '--net0', 'name=eth0,bridge=vmbr77,mtu=1400');
    expect(set.stderr).toBe("bridge 'vmbr77' does not exist\n");
    expect(stored()).not.toContain('net0');
  });

  it('quotas in an unprivileged guest', async () => {
    await pct('set', '100', '--mp0', 'local:0.02,mp=/d,quota=1');
    expect(await pct('start', '100')).toMatchObject({
      status: 255,
      stderr: 'Quotas are not supported by unprivileged containers.\n',
    });
  });

  it('resume of a guest that runs', async () => {
    await pct('start', '100');
    expect(await pct('resume', '100')).toMatchObject({ status: 255, stderr: 'CT 100 already running\n' });
  });
});
