/** The options that describe a container, and how they become a ContainerSpec. Shared by `run`, `container create` and `place explain`. */
import {
  formatImageReference,
  hasControlCharacters,
  limits,
  parseGuestName,
  parseImageReference,
  parseSize,
} from '@pxmgr/contract';
import { ContainerSpec, Device } from '@pxmgr/contract/common';
import { PlacementConstraints } from '@pxmgr/contract/controller';
import type { OptionDefinition, OptionValues } from '../command.ts';
import { parseEnvironment } from './environment-flag.ts';
import { parseGpu } from './gpu-flag.ts';
import { parseMount } from './mount-flag.ts';
import { parseNetwork } from './network-flag.ts';
import type { Problems } from './problems.ts';
import { parseReadiness } from './readiness-flag.ts';
import { checkNodes, checkWords } from './word-checks.ts';

export const VMID_OPTION = {
  kind: 'text',
  flag: 'vmid',
  value: 'N',
  help: 'this id (default: the lowest free one)',
} as const satisfies OptionDefinition;

export const CONTAINER_OPTIONS = {
  name: {
    kind: 'text',
    flag: 'name',
    value: 'NAME',
    help: 'host name of the container (default: from the image or template)',
  },
  cores: { kind: 'text', flag: 'cores', value: 'N', help: 'number of CPU cores (default: 1)' },
  memory: { kind: 'text', flag: 'memory', value: 'SIZE', help: 'memory, e.g. 512MiB (default: 512MiB)' },
  swap: { kind: 'text', flag: 'swap', value: 'SIZE', help: 'swap (default: none)' },
  rootfs: { kind: 'text', flag: 'rootfs', value: 'SIZE', help: 'size of the root file system (default: 4GiB)' },
  storage: {
    kind: 'text',
    flag: 'storage',
    value: 'ID',
    help: 'storage for root file system and volumes (default: chosen)',
  },
  net: { kind: 'list', flag: 'net', value: 'KEYS', help: 'network, e.g. bridge=vmbr0,ip=dhcp (repeat for more)' },
  mount: {
    kind: 'list',
    flag: 'mount',
    value: 'SOURCE:TARGET[:ro]',
    help: 'host path, dataset or size for a new volume, mounted at TARGET',
  },
  gpu: {
    kind: 'selector',
    flag: 'gpu',
    value: 'SELECTOR',
    help: 'a GPU: any, amd|intel|nvidia, PCI address, vram=SIZE, count=N, exclusive',
  },
  device: { kind: 'list', flag: 'device', value: 'PATH', help: 'device node of the node, e.g. /dev/serial/by-id/...' },
  env: {
    kind: 'list',
    flag: 'env',
    short: 'e',
    value: 'NAME=VALUE',
    help: 'environment variable; NAME- removes one of the image',
  },
  envFile: {
    kind: 'list',
    flag: 'env-from',
    value: 'FILE',
    help: 'variables from a file, one NAME=VALUE a line',
    complete: 'file',
  },
  entrypoint: {
    kind: 'list',
    flag: 'entrypoint',
    value: 'WORD',
    help: 'replace the command of the image (repeat: one word each)',
  },
  privileged: { kind: 'flag', flag: 'privileged', help: 'no user namespace (templates only; not for images)' },
  onBoot: { kind: 'flag', flag: 'onboot', help: 'start with the node' },
  protection: { kind: 'flag', flag: 'protection', help: 'refuse destroy until it is taken off' },
  tag: { kind: 'list', flag: 'tag', value: 'TAG', help: 'tag for people and filters' },
  description: { kind: 'text', flag: 'description', value: 'TEXT', help: 'note kept with the container' },
  feature: { kind: 'list', flag: 'feature', value: 'NAME', help: 'nesting, keyctl or fuse' },
  nameserver: { kind: 'list', flag: 'nameserver', value: 'ADDRESS', help: 'DNS server' },
  searchDomain: { kind: 'text', flag: 'search-domain', value: 'NAME', help: 'DNS search domain' },
  osType: { kind: 'text', flag: 'os-type', value: 'TYPE', help: 'debian, alpine, unmanaged, ... (default: detected)' },
  volumeSize: {
    kind: 'text',
    flag: 'volume-size',
    value: 'SIZE',
    help: 'size of each volume that the image declares (default: 4GiB)',
  },
  platform: {
    kind: 'text',
    flag: 'platform',
    value: 'OS/ARCH',
    help: 'platform of the image (default: that of the node)',
  },
  ready: {
    kind: 'text',
    flag: 'ready',
    value: 'PROBE',
    help: 'none, running, tcp:PORT or http:PORT/path (default: a port the image exposes)',
  },
  readyTimeout: { kind: 'text', flag: 'ready-timeout', value: 'TIME', help: 'how long to wait for it (default: 60s)' },
  node: { kind: 'text', flag: 'node', value: 'NODE', help: 'this node only', complete: 'node' },
  excludeNode: { kind: 'list', flag: 'exclude-node', value: 'NODE', help: 'any node but this one', complete: 'node' },
  vmid: VMID_OPTION,
} as const satisfies Record<string, OptionDefinition>;

export type ContainerOptions = OptionValues<typeof CONTAINER_OPTIONS>;

const DEFAULTS = { memoryBytes: 512n * 1024n * 1024n, rootfsBytes: 4n * 1024n ** 3n, volumeBytes: 4n * 1024n ** 3n };

/** Name of a flag and what was given for it. */
type Given = readonly [flag: string, value: string | undefined];

function size([flag, value]: Given, fallback: bigint, problems: Problems): bigint {
  if (value === undefined) return fallback;
  const bytes = problems.take(`--${flag} ${value}`, parseSize(value));
  return bytes === undefined ? fallback : BigInt(bytes);
}

function whole([flag, value]: Given, [low, high]: readonly [number, number], problems: Problems): number {
  if (value === undefined) return 0;
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= low && number <= high) return number;
  problems.add(`--${flag} ${value}`, `must be a whole number from ${low} to ${high}`);
  return 0;
}

/** 0 = the lowest free one. */
export function vmidOf(text: string | undefined, problems: Problems): number {
  return whole(['vmid', text], [limits.VMID_MIN, limits.VMID_MAX], problems);
}

const TEMPLATE = /^[A-Za-z][A-Za-z0-9_.-]*:vztmpl\/[^/\s]+$/;

function source(text: string, options: ContainerOptions, problems: Problems): ContainerSpec['source'] {
  if (text.includes(':vztmpl/')) {
    if (options.platform !== undefined) problems.add('--platform', 'only an image has platforms, this is a template');
    if (!TEMPLATE.test(text) || hasControlCharacters(text))
      problems.add(`template ${text}`, 'write STORAGE:vztmpl/FILE, as "pveam list" shows it');
    return { $case: 'template', value: { volumeId: text } };
  }
  const reference = problems.take(`image ${text}`, parseImageReference(text));
  if (options.privileged) problems.add('--privileged', 'Proxmox can create containers from images only unprivileged');
  if (reference === undefined) return undefined;
  return {
    $case: 'image',
    value: {
      reference: formatImageReference(reference),
      digest: '',
      platform: options.platform ?? '',
      indexDigest: '',
      sizeBytes: 0n,
    },
  };
}

/** nginx of docker.io/library/nginx:1.27, debian-12-standard of local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst. */
export function defaultName(text: string): string {
  const last = text.split('@')[0]?.split('/').at(-1) ?? '';
  const isTemplate = text.includes(':vztmpl/');
  const word = isTemplate ? last.replace(/\.tar(?:\.\w+)?$/, '').split('_')[0] : last.split(':')[0];
  return (
    (word ?? '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, limits.HOSTNAME_LABEL_MAX) || 'container'
  );
}

function devices(paths: readonly string[], problems: Problems): Device[] {
  return paths.map((path) => {
    if (!/^\/dev\/[A-Za-z0-9_.:/+@-]+$/.test(path) || path.split('/').includes('..'))
      problems.add(`--device ${path}`, 'must be a path below /dev without blanks and commas');
    return Device.fromPartial({ path });
  });
}

/** Every problem goes to `problems`; the caller refuses before it uses the spec. */
export function buildSpec(from: string, options: ContainerOptions, problems: Problems): ContainerSpec {
  checkWords(options, problems);
  const name = options.name ?? defaultName(from);
  problems.take(`--name ${name}`, parseGuestName(name));
  const readiness = parseReadiness(options.ready, options.readyTimeout, problems);
  const gpu = parseGpu(options.gpu, problems);
  return ContainerSpec.fromPartial({
    name,
    source: source(from, options, problems),
    cores: whole(['cores', options.cores], [1, limits.CONTAINER_CORES_MAX], problems) || 1,
    memoryBytes: size(['memory', options.memory], DEFAULTS.memoryBytes, problems),
    swapBytes: size(['swap', options.swap], 0n, problems),
    rootfsBytes: size(['rootfs', options.rootfs], DEFAULTS.rootfsBytes, problems),
    volumeBytes: size(['volume-size', options.volumeSize], DEFAULTS.volumeBytes, problems),
    storage: options.storage ?? '',
    networks: options.net.map((text, index) => parseNetwork(text, index, problems)),
    mounts: options.mount.map((text) => parseMount(text, problems)).filter((mount) => mount !== undefined),
    ...(gpu === undefined ? {} : { gpu }),
    devices: devices(options.device, problems),
    env: parseEnvironment(options.env, options.envFile, problems),
    entrypoint: [...options.entrypoint],
    privileged: options.privileged,
    onBoot: options.onBoot,
    protection: options.protection,
    tags: [...options.tag],
    description: options.description ?? '',
    features: [...options.feature],
    nameservers: [...options.nameserver],
    searchDomain: options.searchDomain ?? '',
    osType: options.osType ?? '',
    ...(readiness === undefined ? {} : { readiness }),
  });
}

export function buildConstraints(options: ContainerOptions, problems: Problems): PlacementConstraints {
  checkNodes(options, problems);
  const vmid = vmidOf(options.vmid, problems);
  return PlacementConstraints.fromPartial({ node: options.node ?? '', excludeNodes: [...options.excludeNode], vmid });
}
