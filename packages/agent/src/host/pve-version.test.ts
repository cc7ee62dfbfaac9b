import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { describe, expect, it } from 'vitest';
import { capabilitiesOf } from './binaries.ts';
import { hostTree } from './host-tree.fixture.ts';
import { isAtLeast, parseDpkgStatus, readPackageVersions } from './pve-version.ts';

const DPKG = `Package: pve-manager
Status: install ok installed
Architecture: all
Version: 9.1.1

Package: pve-container
Status: deinstall ok config-files
Version: 6.0.18

Package: skopeo
Status: install ok installed
Description: registry tool
 Package: not-a-field
Version: 1.18.0+ds1-1
`;

describe('package versions', () => {
  it('come from dpkg, installed ones only', () => {
    expect(parseDpkgStatus(DPKG, ['pve-manager', 'pve-container', 'skopeo', 'not-a-field'])).toEqual(
      new Map([
        ['pve-manager', '9.1.1'],
        ['skopeo', '1.18.0+ds1-1'],
      ]),
    );
  });

  it('are asked of pveversion only when dpkg knows no pve-manager', async () => {
    const known = await readPackageVersions(hostTree({ '/var/lib/dpkg/status': DPKG }).paths, new ScriptedRunner());
    expect(known.get('pve-manager')).toBe('9.1.1');
    const runner = new ScriptedRunner().expect('pveversion -v', {
      stdout:
        'proxmox-ve: 9.1.0 (running kernel: 6.17.2-1-pve)\npve-manager: 9.1.1 (running version: 9.1.1/42db4a6cf33dac83)\npve-container: 6.1.9\nskopeo: not correctly installed\n',
    });
    const asked = await readPackageVersions(hostTree().paths, runner);
    expect(Object.fromEntries(asked)).toEqual({ 'pve-manager': '9.1.1', 'pve-container': '6.1.9' });
    runner.assertDone();
  });

  it('are unknown on a host without either', async () => {
    const runner = new ScriptedRunner().expect('pveversion -v', { fails: new Error('no such program') });
    expect((await readPackageVersions(hostTree().paths, runner)).size).toBe(0);
  });

  it.each([
    ['6.1.8', '6.1.8', true],
    ['6.1.10', '6.1.8', true],
    ['6.1.7-2', '6.1.8', false],
    ['6.2', '6.1.8', true],
    ['1:6.1.8+pve1', '6.1.8', true],
    ['', '6.1.8', false],
    [undefined, '1', false],
  ])('%s is at least %s: %s', (have, want, answer) => {
    expect(isAtLeast(have, want)).toBe(answer);
  });
});

describe('capabilitiesOf', () => {
  it('needs the tool and a version that is new enough', () => {
    const tools = { pct: '6.1.8', skopeo: '1.18.0', zfs: '2.3.4', zpool: '2.3.4' };
    expect(capabilitiesOf(tools, new Map([['pve-container', '6.1.8']]))).toEqual([
      'container.lxc',
      'container.oci',
      'image.pull',
      'zfs',
      'device.passthrough',
    ]);
    expect(capabilitiesOf(tools, new Map([['pve-container', '6.0.18']]))).not.toContain('container.oci');
    expect(capabilitiesOf({ skopeo: '' }, new Map([['pve-container', '6.1.8']]))).toEqual(['image.pull']);
  });
});
