import { describe, expect, it } from 'vitest';
import { addressesOf, formatIpv6, listeningPortsOf } from './addresses.ts';
import { hostTree } from './host-tree.fixture.ts';

// Layout of Linux net/ipv4/fib_trie.c fib_trie_seq_show, values invented.
const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.11
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 127.0.0.0/8 2 0 2
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 10.9.8.7
        /32 host LOCAL
     |-- 192.0.2.11
        /32 host LOCAL
`;
const ROUTE = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
const IF_INET6 = `20010db8000000000000000000000011 02 40 00 80     eth0
fe80000000000000be2411fffe0a0b0c 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
`;
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:0016 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 2 1
`;

describe('addresses of a namespace', () => {
  it('gives global addresses with the prefix of their connected route', () => {
    const { paths } = namespace();
    expect(addressesOf(paths, '/proc/42/net')).toEqual([
      { cidr: '192.0.2.11/24', device: 'eth0' },
      { cidr: '10.9.8.7/32', device: '' },
      { cidr: '2001:db8::11/64', device: 'eth0' },
    ]);
  });

  it('lists listening ports only', () => {
    expect(listeningPortsOf(namespace().paths, '/proc/42/net')).toEqual([8088]);
  });

  it('is empty where there is nothing to read', () => {
    const { paths } = namespace();
    expect([addressesOf(paths, '/proc/1/net'), listeningPortsOf(paths, '/proc/1/net')]).toEqual([[], []]);
  });

  it.each([
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['20010db8000100000001000000000001', '2001:db8:1:0:1::1'],
    ['00000000000000000000000000000000', '::'],
    ['20010db8000100020003000400050006', '2001:db8:1:2:3:4:5:6'],
  ])('spells %s as %s', (hex, text) => {
    expect(formatIpv6(hex)).toBe(text);
  });
});

function namespace() {
  const files = { route: ROUTE, fib_trie: FIB_TRIE, if_inet6: IF_INET6, tcp: TCP };
  return hostTree(Object.fromEntries(Object.entries(files).map(([name, text]) => [`/proc/42/net/${name}`, text])));
}
