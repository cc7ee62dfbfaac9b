import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addGpu } from '../host/devices.ts';
import type { Host } from '../host/host.ts';
import { isRoot } from '../host/machine.ts';
import { scratchHost } from '../scratch-host.ts';
import { emptyConfig, type GuestConfig } from '../text/guest-config.ts';
import { type ConfigOutput, lxcConfigOf } from './guest-config.ts';

let host: Host;
let config: GuestConfig;

beforeEach(() => {
  host = scratchHost();
  config = emptyConfig();
});
afterEach(() => rmSync(host.root, { recursive: true, force: true }));

function made(unprivileged = true): ConfigOutput {
  return lxcConfigOf({ host, vmid: 101, config, unprivileged, network: ['lxc.net.0.type = empty'] });
}

describe('the LXC configuration of a guest', () => {
  it('maps ids for an unprivileged guest only, and leaves a map of its own alone', () => {
    expect(made().lines).toContain('lxc.idmap = u 0 100000 65536');
    expect(made(false).lines.filter((line) => line.startsWith('lxc.idmap'))).toEqual([]);
    config.raw.push(['lxc.idmap', 'u 0 200000 10']);
    expect(made(false).lines.filter((line) => line.startsWith('lxc.idmap'))).toEqual(['lxc.idmap = u 0 200000 10']);
  });

  it('gives every environment item as it is, and drops what only this host knows', () => {
    config.values.set('env', ['A=1', 'B=two words'].join('\0'));
    config.raw.push(
      ['lxc.environment.hooks', 'PXMGR_GUEST=x'],
      ['lxc.apparmor.profile', 'generated'],
      ['lxc.init.uid', '1000'],
    );
    const { lines } = made();
    expect(lines).toEqual(
      expect.arrayContaining(['lxc.environment = A=1', 'lxc.environment = B=two words', 'lxc.init.uid = 1000']),
    );
    expect(lines.join('\n')).not.toMatch(/hooks|apparmor/);
  });

  it('finds files named by in-host paths below the host', () => {
    config.raw.push(
      ['lxc.console.logfile', '/var/log/pxmgr/ct/101.log'],
      ['lxc.hook.autodev', '/usr/lib/pxmgr/autodev'],
    );
    const { lines, stages } = made();
    expect(lines).toContain(`lxc.console.logfile = ${host.root}/var/log/pxmgr/ct/101.log`);
    expect(stages).toEqual([{ kind: 'copy', source: `${host.root}/usr/lib/pxmgr/autodev`, target: 'staged/hook1' }]);
    expect(lines).toContain('lxc.hook.autodev = /var/lib/lxc/101/staged/hook1');
  });

  it('mounts the /run of Alpine without making its directory', () => {
    config.values.set('ostype', 'alpine');
    expect(made().lines.find((line) => line.includes(' run tmpfs'))).not.toContain('create=dir');
  });

  it.skipIf(!isRoot())('passes a device through by its stable name, owned by the mapped ids', async () => {
    await addGpu(host, { kind: 'amd', address: '0000:03:00.0' });
    config.values.set('dev0', '/dev/dri/by-path/pci-0000:03:00.0-render,gid=104,mode=0660');
    const { lines, stages } = made();
    expect(stages).toEqual([
      {
        kind: 'device',
        target: 'staged/dev0',
        type: 'c',
        major: 1,
        minor: 3,
        uid: 100_000,
        gid: 100_104,
        mode: '0660',
      },
    ]);
    expect(lines).toContain(
      'lxc.mount.entry = /var/lib/lxc/101/staged/dev0 dev/dri/by-path/pci-0000:03:00.0-render none bind,create=file 0 0',
    );
  });

  it('refuses a device that is missing or none', () => {
    config.values.set('dev0', '/dev/ttyUSB9');
    expect(() => made()).toThrow('Device /dev/ttyUSB9 does not exist');
    mkdirSync(host.path('/dev'), { recursive: true });
    writeFileSync(host.path('/dev/file'), '');
    symlinkSync('/dev/file', host.path('/dev/ttyUSB9'));
    expect(() => made()).toThrow('/dev/ttyUSB9 is not a device');
  });
});
