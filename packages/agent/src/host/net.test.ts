import { describe, expect, it } from 'vitest';
import { hostTree } from './host-tree.fixture.ts';
import { readNetworks } from './net.ts';

function node() {
  return hostTree({
    '/sys/class/net/lo/operstate': 'unknown\n',
    '/sys/class/net/vmbr0/operstate': 'up\n',
    '/sys/class/net/vmbr0/mtu': '1500\n',
    '/sys/class/net/vmbr0/bridge/vlan_filtering': '1\n',
    '/sys/class/net/eno1/operstate': 'down\n',
    '/sys/class/net/eno1/mtu': '9000\n',
    '/sys/class/net/bond0/operstate': 'up\n',
    '/sys/class/net/bond0/bonding/slaves': 'eno1 eno2\n',
    '/sys/class/net/vmbr0.20/operstate': 'up\n',
    '/sys/class/net/vmbr0.20/uevent': 'DEVTYPE=vlan\nINTERFACE=vmbr0.20\n',
    '/sys/class/net/veth101i0/operstate': 'up\n',
    '/sys/class/net/fwbr101i0/bridge/vlan_filtering': '0\n',
    '/etc/network/interfaces':
      'auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.2/24\n\tgateway 192.0.2.1\n\niface vmbr0 inet6 static\n\taddress 2001:db8::2/64\n',
  })
    .folder('/sys/class/net/vmbr0/brif/eno1')
    .folder('/sys/class/net/vmbr0/brif/veth101i0')
    .folder('/sys/class/net/eno1/device');
}

describe('readNetworks', () => {
  it('knows the four types, their ports and state, and leaves the devices of guests out', () => {
    const networks = readNetworks(node().paths);
    expect(networks.map((one) => [one.name, one.type, one.active])).toEqual([
      ['bond0', 'bond', true],
      ['eno1', 'physical', false],
      ['vmbr0', 'bridge', true],
      ['vmbr0.20', 'vlan', true],
    ]);
    expect(networks.find((one) => one.name === 'vmbr0')).toMatchObject({
      vlanAware: true,
      ports: ['eno1'],
      mtu: 1500,
      addresses: ['192.0.2.2/24', '2001:db8::2/64'],
    });
    expect(networks.find((one) => one.name === 'bond0')?.ports).toEqual(['eno1', 'eno2']);
  });

  it('prefers the addresses the kernel has', () => {
    const tree = node()
      .write('/proc/net/fib_trie', '  |-- 198.51.100.9\n     /32 host LOCAL\n')
      .write('/proc/net/route', 'head\nvmbr0\t006433C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n');
    expect(readNetworks(tree.paths).find((one) => one.name === 'vmbr0')?.addresses).toEqual(['198.51.100.9/24']);
  });
});
