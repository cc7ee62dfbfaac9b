/** `--net KEY=VALUE,...`: bridge, ip (CIDR, dhcp, manual), gw, ip6, gw6, mac, vlan, mtu, name, firewall. */
import { isIPv4, isIPv6 } from 'node:net';
import { NetworkInterface } from '@pxmgr/contract/common';
import type { Problems } from './problems.ts';

const BRIDGE = /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/;

/** `Number` alone also reads blanks, signs and hexadecimal. */
function digitsOf(text = ''): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function checkCidr(value: string, version: 4 | 6): string | undefined {
  const words = version === 4 ? ['dhcp', 'manual'] : ['auto', 'dhcp', 'manual'];
  if (words.includes(value)) return undefined;
  const [address = '', prefix, ...rest] = value.split('/');
  const isAddress = version === 4 ? isIPv4(address) : isIPv6(address);
  if (!isAddress || rest.length > 0)
    return `"${value}" is not an address with a prefix length, nor ${words.join(' or ')}`;
  const bits = digitsOf(prefix);
  const [low, high] = version === 4 ? [8, 32] : [8, 128];
  if (!Number.isInteger(bits) || bits < low || bits > high)
    return `the prefix length is missing or not ${low} to ${high}: write ${address}/24`;
  return undefined;
}

function wholeNumber(value: string, low: number, high: number): string | undefined {
  const number = digitsOf(value);
  return Number.isInteger(number) && number >= low && number <= high
    ? undefined
    : `"${value}" is not a whole number from ${low} to ${high}`;
}

interface Field {
  readonly check: (value: string) => string | undefined;
  readonly set: (net: NetworkInterface, value: string) => void;
}

const FIELDS: Readonly<Record<string, Field>> = {
  name: {
    check: (v) => (BRIDGE.test(v) ? undefined : `"${v}" is not an interface name`),
    set: (n, v) => void (n.name = v),
  },
  bridge: {
    check: (v) => (BRIDGE.test(v) ? undefined : `"${v}" is not a bridge name`),
    set: (n, v) => void (n.bridge = v),
  },
  ip: { check: (v) => checkCidr(v, 4), set: (n, v) => void (n.ipv4 = v) },
  gw: { check: (v) => (isIPv4(v) ? undefined : `"${v}" is not an IPv4 address`), set: (n, v) => void (n.gateway4 = v) },
  ip6: { check: (v) => checkCidr(v, 6), set: (n, v) => void (n.ipv6 = v) },
  gw6: {
    check: (v) => (isIPv6(v) ? undefined : `"${v}" is not an IPv6 address`),
    set: (n, v) => void (n.gateway6 = v),
  },
  mac: {
    check: (v) =>
      /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/i.test(v) ? undefined : `"${v}" is not a unicast MAC address`,
    set: (n, v) => void (n.mac = v),
  },
  vlan: { check: (v) => wholeNumber(v, 1, 4094), set: (n, v) => void (n.vlan = Number(v)) },
  mtu: { check: (v) => wholeNumber(v, 64, 65535), set: (n, v) => void (n.mtu = Number(v)) },
  firewall: {
    check: (v) => (v === '0' || v === '1' ? undefined : `"${v}" is neither 0 nor 1`),
    set: (n, v) => void (n.firewall = v === '1'),
  },
};

export function parseNetwork(text: string, index: number, problems: Problems): NetworkInterface {
  const net = NetworkInterface.fromPartial({ name: `eth${index}` });
  for (const part of text.split(',')) {
    const [key = '', ...rest] = part.split('=');
    const value = rest.join('=');
    const field = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (field === undefined) {
      problems.add(`--net ${text}`, `"${key}" is not one of ${Object.keys(FIELDS).join(', ')}`);
      continue;
    }
    const reason = field.check(value);
    if (reason === undefined) field.set(net, value);
    else problems.add(`--net ${text}`, reason);
  }
  if (net.bridge === '') problems.add(`--net ${text}`, 'bridge= is missing');
  return net;
}
