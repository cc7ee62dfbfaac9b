/** The named string formats; each row is a rule of pve-common src/PVE/JSONSchema.pm unless another file is named. */
import { isIPv4, isIPv6 } from 'node:net';
import { parseSize } from '../text/size.ts';
import { isKnownZone } from './time-zone.ts';

type Check = (text: string) => string | undefined;

const matches =
  (pattern: RegExp, reason: string | ((text: string) => string)): Check =>
  (text) =>
    pattern.test(text) ? undefined : typeof reason === 'string' ? reason : reason(text);

const isCidr = (text: string, isAddress: (part: string) => boolean, longest: number): boolean => {
  const parts = /^(.+)\/(\d+)$/.exec(text);
  return parts?.[1] !== undefined && isAddress(parts[1]) && Number(parts[2]) > 7 && Number(parts[2]) <= longest;
};
const isCidr4 = (text: string): boolean => isCidr(text, isIPv4, 32);
const isCidr6 = (text: string): boolean => isCidr(text, isIPv6, 128);
const isIp = (text: string): boolean => isIPv4(text) || isPlainIpv6(text);
const isPlainIpv6 = (text: string): boolean => isIPv6(text) && !text.includes('%');
const unless =
  (isRight: (text: string) => boolean, reason: string | ((text: string) => string)): Check =>
  (text) =>
    isRight(text) ? undefined : typeof reason === 'string' ? reason : reason(text);

const IFACE = /^[a-z][a-z0-9_]{1,20}(?:[:.]\d+)?$/i;
const CONTENT_WORDS = ['images', 'rootdir', 'vztmpl', 'iso', 'backup', 'snippets', 'import', 'none'];

function checkId(kind: string): Check {
  return (text) => {
    if (text.length < 2) return `${kind} ID '${text}' cannot be shorter than 2 characters`;
    return /^[a-z][a-z0-9\-_.]*[a-z0-9]$/i.test(text) ? undefined : `${kind} ID '${text}' contains illegal characters`;
  };
}

function isStartupOrder(text: string): boolean {
  return (
    text !== '' &&
    text.split(',').every((part) => /^\s*$/.test(part) || /^(?:(?:order=)?\d+|up=\d+|down=\d+)$/.test(part))
  );
}

const FORMATS: Readonly<Record<string, Check>> = {
  string: () => undefined,
  urlencoded: matches(/^[-%a-zA-Z0-9_.!~*'()]*$/, (t) => `invalid urlencoded string: ${t}`),
  'pve-configid': matches(/^[a-z][a-z0-9_-]+$/i, (t) => `invalid configuration ID '${t}'`),
  'pve-storage-id': checkId('storage'),
  'pve-bridge-id': matches(/^[-_.\w]+$/, (t) => `invalid bridge ID '${t}'`),
  'pve-vmid': matches(/^[1-9][0-9]{2,8}$/, 'value does not look like a valid VM ID'),
  'pve-node': matches(/^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/, 'value does not look like a valid node name'),
  'mac-addr': matches(
    /^[a-f0-9][02468ace](?::[a-f0-9]{2}){5}$/i,
    'value does not look like a valid unicast MAC address',
  ),
  ipv4: unless(isIPv4, 'value does not look like a valid IPv4 address'),
  ipv6: unless(isPlainIpv6, 'value does not look like a valid IPv6 address'),
  ip: unless(isIp, 'value does not look like a valid IP address'),
  CIDR: unless((t) => isCidr4(t) || isCidr6(t), 'value does not look like a valid CIDR network'),
  'pve-ipv4-config': unless(
    (t) => /^(?:dhcp|manual)$/.test(t) || isCidr4(t),
    'value does not look like a valid ipv4 network configuration',
  ),
  'pve-ipv6-config': unless(
    (t) => /^(?:auto|dhcp|manual)$/.test(t) || isCidr6(t),
    'value does not look like a valid ipv6 network configuration',
  ),
  'dns-name': matches(
    /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/,
    'value does not look like a valid DNS name',
  ),
  'pve-iface': matches(IFACE, (t) => `invalid network interface name '${t}'`),
  'disk-size': unless(
    (t) => parseSize(t) !== undefined,
    (t) => `value does not look like a valid disk size: ${t}`,
  ),
  'pve-startup-order': unless(isStartupOrder, 'unable to parse startup options'),
  'pve-task-status-type': matches(/^(?:ok|error|warning|unknown)$/i, (t) => `invalid status '${t}'`),
  'pve-tag': matches(/^[a-z0-9_][a-z0-9_\-+.]*$/i, 'invalid characters in tag'),
  // pve-storage src/PVE/Storage.pm
  'pve-volume-id': matches(/^[a-z][a-z0-9\-_.]*[a-z0-9]:.+$/i, (t) => `unable to parse volume ID '${t}'`),
  'pve-storage-content': unless(
    (t) => CONTENT_WORDS.includes(t),
    (t) => `invalid content type '${t}'`,
  ),
  'pve-storage-path': matches(/^\/[^;()]+/, 'value does not look like a valid absolute path'),
  // pve-access-control src/PVE/AccessControl.pm
  'pve-poolid': matches(
    /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+){0,2}$/,
    (t) => `pool name '${t}' contains invalid characters`,
  ),
  // pve-container src/PVE/LXC/Config.pm
  'lxc-ip-with-ll-iface': unless((t) => isIp(t) || isLinkLocal(t), 'value does not look like a valid IP address'),
  'pve-lxc-mp-string': unless(
    (t) => !/\/\.\.?(?:\/|$)|^\.\.\//.test(t),
    (t) => `${t} contains illegal character sequences`,
  ),
  'pve-lxc-dev-string': unless(
    (t) => t.startsWith('/dev/') && !/\/\.\.?(?:\/|$)/.test(t),
    (t) => `${t} is not a valid device path`,
  ),
  'pve-ct-timezone': unless(
    (t) => t === 'host' || isKnownZone(t),
    (t) => `invalid time zone '${t}'`,
  ),
};

function isLinkLocal(text: string): boolean {
  const parts = /^(fe80:[^%]+)%(.*)$/.exec(text);
  return parts?.[1] !== undefined && isIp(parts[1]) && IFACE.test(parts[2] ?? '');
}

/** Items of a `-list` value: separated by NUL when there is one, else by comma, semicolon or white space. */
export function splitList(text: string): string[] {
  const items = text.includes('\0') ? text.split('\0') : text.trim().split(/[,;\s]/);
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

/** Throws with the reason (line feed at the end, as upstream's). A format without a rule here accepts everything. */
export function checkFormat(format: string, text: string): void {
  const [, name = format, kind] = /^(.*?)(?:-(list|opt))?$/.exec(format) ?? [];
  const check = FORMATS[name];
  if (check === undefined || (kind === 'opt' && text === '')) return;
  for (const item of kind === 'list' ? splitList(text) : [text]) {
    const reason = check(item);
    if (reason !== undefined) throw new Error(`${reason}\n`);
  }
}
