import { isIP } from 'node:net';
import {
  hasControlCharacters,
  limits,
  type Parsed,
  parseAbsolutePath,
  parseDatasetName,
  parseGuestName,
  parseGuestUid,
  parseStorageId,
  parseTag,
  parseVmid,
} from '@pxmgr/contract';
import type { ContainerSpec, Mount, NetworkInterface } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { ENV_NAME } from '../env-merge.ts';

/** What create was asked for. */
export interface CreateRequest {
  readonly vmid: number;
  /** 32 hex digits, written into the configuration. */
  readonly guestUid: string;
  readonly spec: ContainerSpec;
}

const FEATURES = new Set(['nesting', 'fuse', 'keyctl']);
const READINESS = new Set(['', 'none', 'running', 'tcp', 'http']);
const ADDRESS4 = /^(?:dhcp|manual|\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2})$/;
const ADDRESS6 = /^(?:auto|dhcp|manual|[0-9a-fA-F:.]+\/\d{1,3})$/;
/** Unicast only: the lowest bit of the first byte is the group bit (IEEE 802). */
const MAC = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/i;

/** Everything that can be told wrong from the words alone, all at once. PXM_INPUT_INVALID. */
export function checkCreateRequest(request: CreateRequest): void {
  const problems = problemsOf(request);
  if (problems.length === 0) return;
  throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

function problemsOf({ vmid, guestUid, spec }: CreateRequest): string[] {
  return [
    ...said('vmid', parseVmid(vmid)),
    ...said('guest_uid', parseGuestUid(guestUid)),
    ...said('name', parseGuestName(spec.name)),
    ...said('storage', parseStorageId(spec.storage)),
    ...(spec.source === undefined ? ['source: an image or a template is needed'] : []),
    ...(spec.source?.$case === 'image' && spec.privileged
      ? ['privileged: a container from an OCI image must be unprivileged']
      : []),
    ...sizes(spec),
    ...spec.networks.flatMap((network, index) => checkNetwork(network, index)),
    ...spec.mounts.flatMap(checkMount),
    ...duplicates(withPlainPaths(spec).mounts.map((mount) => mount.target)).map(
      (target) => `mounts: ${target} is named twice`,
    ),
    ...checkEnv(spec),
    ...spec.tags.flatMap((tag) => said(`tag "${tag}"`, parseTag(tag))),
    ...spec.features
      .filter((name) => !FEATURES.has(name))
      .map((name) => `feature "${name}" is not one of ${[...FEATURES].join(', ')}`),
    ...(hasControlCharacters(spec.description.replaceAll('\n', ''))
      ? ['description: it holds control characters']
      : []),
    ...checkWords(spec),
    ...(READINESS.has(spec.readiness?.kind ?? '')
      ? []
      : [`readiness "${spec.readiness?.kind ?? ''}" is not none, running, tcp or http`]),
  ];
}

/** The same spec with the paths of its mounts in one spelling; `checkCreateRequest` has found them sound. */
export function withPlainPaths(spec: ContainerSpec): ContainerSpec {
  const plain = (path: string): string => {
    const parsed = parseAbsolutePath(path);
    return parsed.ok ? parsed.value : path;
  };
  const mounts = spec.mounts.map((mount): Mount => {
    const { source } = mount;
    const bind = source?.$case === 'bind' ? { $case: source.$case, value: plain(source.value) } : source;
    return { ...mount, target: plain(mount.target), source: bind };
  });
  return { ...spec, mounts };
}

function sizes(spec: ContainerSpec): string[] {
  const problems: string[] = [];
  const memory = Number(spec.memoryBytes);
  if (memory !== 0 && memory < limits.CONTAINER_MEMORY_MIN_BYTES) problems.push('memory: at least 16 MiB are needed');
  if (spec.cores > limits.CONTAINER_CORES_MAX) problems.push(`cores: at most ${limits.CONTAINER_CORES_MAX}`);
  if (spec.devices.length > limits.DEVICE_INDEX_MAX) problems.push('devices: too many');
  if (spec.networks.length > limits.NET_INDEX_MAX + 1) problems.push('networks: too many');
  return problems;
}

function checkNetwork(network: NetworkInterface, index: number): string[] {
  const at = `network ${index}`;
  const tests: readonly (readonly [boolean, string])[] = [
    [/^[-_.\w]{1,15}$/.test(network.name), `name "${network.name}" is not an interface name`],
    [/^[-_.\w]{1,40}$/.test(network.bridge), `bridge "${network.bridge}" is not a bridge name`],
    [
      network.ipv4 === '' || ADDRESS4.test(network.ipv4),
      `address "${network.ipv4}" is not dhcp, manual or ADDRESS/PREFIX`,
    ],
    [
      network.ipv6 === '' || ADDRESS6.test(network.ipv6),
      `address "${network.ipv6}" is not auto, dhcp, manual or ADDRESS/PREFIX`,
    ],
    [network.gateway4 === '' || isIP(network.gateway4) === 4, `gateway "${network.gateway4}" is not an IPv4 address`],
    [network.gateway6 === '' || isIP(network.gateway6) === 6, `gateway "${network.gateway6}" is not an IPv6 address`],
    [network.mac === '' || MAC.test(network.mac), `MAC "${network.mac}" is not a unicast address`],
    [network.vlan <= 4094, `VLAN ${network.vlan} is above 4094`],
    [network.mtu === 0 || (network.mtu >= 64 && network.mtu <= 65_535), `MTU ${network.mtu} is not from 64 to 65535`],
  ];
  return tests.filter(([isRight]) => !isRight).map(([, text]) => `${at}: ${text}`);
}

function checkMount(mount: Mount): string[] {
  const at = `mount ${mount.target}`;
  const target = mount.target === '/' ? ['/ is the root file system'] : said(at, parseAbsolutePath(mount.target));
  switch (mount.source?.$case) {
    case 'bind':
      return [...target, ...said(at, parseAbsolutePath(mount.source.value))];
    case 'dataset':
      return [...target, ...said(at, parseDatasetName(mount.source.value))];
    case 'volume':
      return [
        ...target,
        ...(mount.source.value.storage === '' ? [] : said(at, parseStorageId(mount.source.value.storage))),
      ];
    case undefined:
      return [...target, `${at}: it has no source`];
  }
}

function checkEnv(spec: ContainerSpec): string[] {
  return spec.env.flatMap(({ name, value }) => {
    if (!ENV_NAME.test(name))
      return [`env "${name}": a name is letters, digits and "_", and does not begin with a digit`];
    return hasControlCharacters(value) ? [`env ${name}: its value holds control characters`] : [];
  });
}

/** Words that go into an argv as they are. */
function checkWords({ source, nameservers, searchDomain, osType, devices }: ContainerSpec): string[] {
  const template = source?.$case === 'template' ? source.value.volumeId : '';
  const tests: readonly (readonly [boolean, string])[] = [
    [!hasControlCharacters(template) && !template.startsWith('-'), 'source: it is not the name of a template'],
    [nameservers.every((address) => isIP(address) !== 0), 'nameservers: one is not an IP address'],
    [/^(?:[A-Za-z0-9][A-Za-z0-9.-]*)?$/.test(searchDomain), 'search_domain: it is not a domain name'],
    [/^[a-z]*$/.test(osType), 'os_type: it is not a type of Proxmox'],
    [devices.every(({ path }) => parseAbsolutePath(path).ok), 'devices: one is not an absolute path'],
  ];
  return tests.filter(([isRight]) => !isRight).map(([, text]) => text);
}

export function said<T>(what: string, parsed: Parsed<T>): string[] {
  return parsed.ok ? [] : [`${what}: ${parsed.reason}`];
}

function duplicates(items: readonly string[]): string[] {
  return [...new Set(items.filter((item, index) => items.indexOf(item) !== index))];
}
