import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePropertyString, printPropertyString } from './property-string.ts';

describe('property strings', () => {
  // Canonical forms made by proxmox/pve-common src/PVE/JSONSchema.pm print_property_string.
  it.each([
    ['local-zfs:subvol-101-disk-1,mp=/var/www,backup=1,size=16G', 'volume', ['mp']],
    [
      'name=eth0,bridge=vmbr0,firewall=1,gw=192.0.2.1,hwaddr=BC:24:11:AA:BB:CC,ip=192.0.2.10/24,ip6=auto,tag=20,type=veth',
      undefined,
      ['name'],
    ],
    ['/dev/dri/renderD128,gid=104,mode=0660', 'path', []],
    ['volume=/tank/a=b,mp=/x', 'volume', ['mp']],
  ])('%s comes back as it was', (text, defaultKey, first) => {
    expect(printPropertyString(parsePropertyString(text, defaultKey), defaultKey, first)).toBe(text);
  });

  it('sorts what was given in another order', () => {
    expect(printPropertyString(parsePropertyString('ip=dhcp,bridge=vmbr0,name=eth0'), undefined, ['name'])).toBe(
      'name=eth0,bridge=vmbr0,ip=dhcp',
    );
  });

  it('takes the default key from anywhere, but once', () => {
    expect(Object.fromEntries(parsePropertyString('ro=1,/tank/media', 'volume'))).toEqual({
      ro: '1',
      volume: '/tank/media',
    });
    expect(Object.fromEntries(parsePropertyString('a,b', 'volume'))).toEqual({ volume: 'a', b: '' });
  });

  it('print and parse are inverse', () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9:/._-]{1,12}$/);
    const values = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,6}$/), word, { minKeys: 1 });
    fc.assert(
      fc.property(values, (record) => {
        const map = new Map(Object.entries(record));
        const defaultKey = [...map.keys()][0];
        expect(new Map(parsePropertyString(printPropertyString(map, defaultKey), defaultKey))).toEqual(map);
      }),
    );
  });
});
