/** Versions of distributions: what upstream's set-ups take, warn about and refuse (pve-container src/PVE/LXC/Setup/*.pm). */
import { describe, expect, it } from 'vitest';
import { errorText } from '../call/tool.ts';
import { checkVersion, parseRelease } from './os-version.ts';

/** `os-release` and one file beside it; what is said, or nothing. */
function said(ostype: string, release: string, files: Readonly<Record<string, string>> = {}): string {
  const warnings: string[] = [];
  const read = (path: string): string | undefined => files[path];
  const at = {
    read,
    mountedAt: '/r',
    release: parseRelease(release),
    warn: (text: string) => void warnings.push(text),
  };
  try {
    checkVersion(ostype, at);
    return warnings.join('');
  } catch (err) {
    return errorText(err);
  }
}

describe('the version of a distribution', () => {
  const debian = (line: string): string => said('debian', 'ID=debian\n', { '/etc/debian_version': line });
  const ubuntu = (text: string): string => said('ubuntu', 'ID=ubuntu\n', { '/etc/lsb-release': text });
  const centos = (line: string): string => said('centos', 'ID=rocky\n', { '/etc/redhat-release': line });
  it.each([
    [debian('12.5\n'), ''],
    [debian('forky/sid\n'), ''],
    [debian('bogus\n'), "unable to parse version info 'bogus'"],
    [debian('\n'), "unable to parse version info ''"],
    [debian(''), 'unable to read version info'],
    [debian('3.1\n'), "Container Debian version '3' is too old"],
    [debian('duke/sid\n'), expect.stringMatching(/^The container's Debian version '15' is newer .* version '14'\./)],
    [ubuntu('DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\n'), ''],
    [ubuntu('DISTRIB_ID=Mint\n'), 'got unknown DISTRIB_ID'],
    [ubuntu('DISTRIB_ID=Ubuntu\n'), 'unable to read version info'],
    [ubuntu('DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\n'), "unsupported ancient Ubuntu version '10.04'"],
    [ubuntu('DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=30.04\n'), expect.stringContaining("'30.04' is not in the known")],
    [said('ubuntu', ''), "can't open '/r/etc/lsb-release' - No such file or directory"],
    [centos('Rocky Linux release 9.4 (Blue Onyx)\n'), ''],
    [centos('Some Linux\n'), "unable to parse centos version 'Some Linux'"],
    [centos('CentOS release 4.9\n'), "unsupported centos version '4.9'"],
    [said('fedora', 'VERSION_ID=41\n'), ''],
    [said('fedora', 'VERSION_ID=21\n'), "unsupported Fedora release '21'"],
    [said('opensuse', 'VERSION_ID="15.6"\n'), ''],
    [said('opensuse', 'VERSION_ID="20250101"\n'), ''],
    [said('opensuse', 'VERSION_ID="14.1"\n'), "unsupported suse release '14.1'"],
    [said('opensuse', 'VERSION_ID=15.6\n'), expect.stringContaining('unrecognized suse release')],
    [said('devuan', '', { '/etc/devuan_version': 'Daedalus\n' }), ''],
    [said('devuan', '', { '/etc/devuan_version': 'woody\n' }), "unsupported Devuan version 'woody'"],
    [said('openeuler', 'VERSION_ID="22.03"\n'), "unsupported openEuler release '22.03'"],
    [said('alpine', ''), ''],
  ])('%j', (made, wanted) => {
    expect(made).toEqual(wanted);
  });

  it('without quotes ends at the first sign that is no letter or digit', () => {
    expect([...parseRelease('A=x-y\nB="a \\"b\\""\nC=\'d e\'\n#D=1\n')]).toEqual([
      ['A', 'x'],
      ['B', 'a "b"'],
      ['C', 'd e'],
    ]);
  });
});
