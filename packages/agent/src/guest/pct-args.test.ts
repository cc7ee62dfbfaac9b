import { describe, expect, it } from 'vitest';
import { gib, networkValue, setCommand, shutdownCommand } from './pct-args.ts';
import { propertyString } from './property.ts';

describe('property strings', () => {
  it('leave out what is not given and spell booleans as digits', () => {
    expect(
      propertyString([
        ['a', 'x'],
        ['b', undefined],
        ['c', true],
        ['d', false],
        ['e', 7],
      ]),
    ).toBe('a=x,c=1,d=0,e=7');
  });

  it.each([['a,b'], [''], ['a\nb'], ['a\u0000']])('refuse %j, which the grammar cannot hold', (value) => {
    expect(() => propertyString([['mp', value]])).toThrow(
      expect.objectContaining({ code: 'PXM_INPUT_INVALID' }) as Error,
    );
  });
});

it('gib writes a plain number, rounded up to a MiB', () => {
  expect([2 ** 30, 2 ** 29, 8 * 2 ** 30, 2 ** 30 + 1, 50 * 2 ** 20].map(gib)).toEqual([
    '1',
    '0.5',
    '8',
    '1.000977',
    '0.048828',
  ]);
});

it('a network carries only what was asked, and its MAC in capitals', () => {
  const plain = {
    name: 'eth0',
    bridge: 'vmbr0',
    ipv4: '192.0.2.5/24',
    gateway4: '192.0.2.1',
    ipv6: '',
    gateway6: '',
    mac: 'bc:24:11:00:00:01',
    vlan: 20,
    mtu: 1400,
    firewall: true,
  };
  expect(networkValue(plain)).toBe(
    'name=eth0,bridge=vmbr0,firewall=1,gw=192.0.2.1,hwaddr=BC:24:11:00:00:01,ip=192.0.2.5/24,mtu=1400,tag=20,type=veth',
  );
});

it('set is left out when there is nothing to add; booleans always have their value', () => {
  expect(setCommand(101, { binds: [], protection: false })).toBeUndefined();
  expect(
    setCommand(101, {
      binds: [{ index: 3, source: '/tank/media', target: '/media', readOnly: true }],
      protection: true,
    })?.args,
  ).toEqual(['set', '101', '--mp3', 'volume=/tank/media,mp=/media,ro=1', '--protection', '1']);
  expect(shutdownCommand(101, 10, true).args).toEqual(['shutdown', '101', '--timeout', '10', '--forceStop', '1']);
});
