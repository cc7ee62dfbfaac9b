/** Everything that is wrong with a container spec by itself, at once. What depends on a node is the scheduler's business. */
import {
  formatImageReference,
  hasControlCharacters,
  limits,
  type Parsed,
  parseGuestName,
  parseImageReference,
  parsePciAddress,
  parseStorageId,
  parseTag,
  parseVmid,
} from '@pxmgr/contract';
import type { ContainerSpec, GpuRequest, Readiness } from '@pxmgr/contract/common';
import type { PlacementConstraints } from '@pxmgr/contract/controller';
import type { Complain } from './complaint.ts';
import { checkDevices, checkMounts, normaliseMounts } from './spec-mounts.ts';
import { checkNetworks, nameNetworks } from './spec-networks.ts';

export interface Checked {
  /** The spec in its normal form; meaningful only without problems. */
  readonly spec: ContainerSpec;
  /** "mounts[1].target: must be an absolute path" */
  readonly problems: readonly string[];
}

export function checkSpec(spec: ContainerSpec, constraints: PlacementConstraints): Checked {
  const problems: string[] = [];
  const complain: Complain = (field, text) => problems.push(`${field}: ${text}`);
  const parsed = (field: string, result: Parsed<unknown>): void => {
    if (!result.ok) complain(field, result.reason);
  };
  parsed('name', parseGuestName(spec.name));
  checkSource(spec, complain);
  checkSizes(spec, complain);
  if (spec.storage !== '') parsed('storage', parseStorageId(spec.storage));
  checkNetworks(spec, complain);
  checkMounts(spec.mounts, complain);
  checkDevices(spec.devices, complain);
  if (spec.gpu !== undefined) checkGpu(spec.gpu, complain);
  checkEnvironment(spec, complain);
  checkLabels(spec, complain);
  if (spec.readiness !== undefined) checkReadiness(spec.readiness, complain);
  checkConstraints(constraints, complain);
  return { spec: problems.length === 0 ? normalise(spec) : spec, problems };
}

/** One spelling for what can be written in several; interfaces get the names that were left open. */
function normalise(spec: ContainerSpec): ContainerSpec {
  return {
    ...spec,
    source: normaliseSource(spec.source),
    networks: nameNetworks(spec.networks),
    mounts: normaliseMounts(spec.mounts),
    gpu: normaliseGpu(spec.gpu),
  };
}

function normaliseSource(source: ContainerSpec['source']): ContainerSpec['source'] {
  if (source?.$case !== 'image') return source;
  const reference = parseImageReference(source.value.reference);
  if (!reference.ok) return source;
  return { $case: 'image', value: { ...source.value, reference: formatImageReference(reference.value) } };
}

function normaliseGpu(gpu: GpuRequest | undefined): GpuRequest | undefined {
  if (gpu === undefined || gpu.address === '') return gpu;
  const address = parsePciAddress(gpu.address);
  return address.ok ? { ...gpu, address: address.value } : gpu;
}

const PLATFORM = /^linux\/[a-z0-9]+(?:\/[a-z0-9]+)?$/;

function checkSource({ source, privileged }: ContainerSpec, complain: Complain): void {
  if (source === undefined) {
    complain('source', 'name an image or a template');
    return;
  }
  if (source.$case === 'image') {
    // The agents refuse it too: what a stranger's image holds never runs as the host's root.
    if (privileged) complain('privileged', 'a container of an image must be unprivileged');
    const { reference, digest, platform } = source.value;
    const parsed = parseImageReference(reference);
    if (!parsed.ok) complain('image', parsed.reason);
    if (digest !== '' && !/^sha256:[0-9a-f]{64}$/.test(digest))
      complain('image.digest', 'must be sha256: and 64 digits');
    if (platform !== '' && !PLATFORM.test(platform)) complain('image.platform', 'must look like linux/amd64');
    return;
  }
  checkTemplate(source.value.volumeId, complain);
}

function checkTemplate(volumeId: string, complain: Complain): void {
  const [storage = '', path = ''] = volumeId.split(/:(.*)/s);
  const isTemplate = parseStorageId(storage).ok && /^vztmpl\/[^/]+$/.test(path);
  if (!isTemplate || hasControlCharacters(volumeId) || volumeId.includes(',')) {
    complain('template', 'must look like local:vztmpl/NAME.tar.zst');
  }
  if (volumeId.length > limits.VOLUME_ID_MAX) complain('template', `has more than ${limits.VOLUME_ID_MAX} characters`);
}

/** 8 PiB: sums of sizes stay exact as numbers. */
const SIZE_MAX = 2n ** 53n;

function checkSizes(spec: ContainerSpec, complain: Complain): void {
  if (spec.cores > limits.CONTAINER_CORES_MAX) complain('cores', `must be at most ${limits.CONTAINER_CORES_MAX}`);
  if (spec.memoryBytes > 0n && spec.memoryBytes < BigInt(limits.CONTAINER_MEMORY_MIN_BYTES)) {
    complain('memory', 'must be at least 16 MiB');
  }
  const { memoryBytes: memory, swapBytes: swap, rootfsBytes: rootfs, volumeBytes: volume } = spec;
  for (const [field, bytes] of Object.entries({ memory, swap, rootfs, volume })) {
    if (bytes >= SIZE_MAX) complain(field, 'is larger than 8 PiB');
  }
}

const GPU_VENDORS = ['amd', 'intel', 'nvidia'];
const GPU_COUNT_MAX = 16;

function checkGpu(gpu: GpuRequest, complain: Complain): void {
  if (gpu.count > GPU_COUNT_MAX) complain('gpu.count', `must be at most ${GPU_COUNT_MAX}`);
  if (gpu.vendor !== '' && !GPU_VENDORS.includes(gpu.vendor)) {
    complain('gpu.vendor', `"${gpu.vendor}" is not one of ${GPU_VENDORS.join(', ')}`);
  }
  if (gpu.vramBytes >= SIZE_MAX) complain('gpu.vram', 'is larger than 8 PiB');
  if (gpu.address === '') return;
  const address = parsePciAddress(gpu.address);
  if (!address.ok) complain('gpu.address', address.reason);
  if (gpu.count > 1) complain('gpu.count', 'must be 1 when the address of the card is given');
}

function checkEnvironment(spec: ContainerSpec, complain: Complain): void {
  const seen = new Set<string>();
  spec.env.forEach(({ name, value, remove }, index) => {
    const field = `env[${index}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) complain(field, `"${name}" is not a name of a variable`);
    if (seen.has(name)) complain(field, `${name} is given twice`);
    if (hasControlCharacters(value)) complain(field, `the value of ${name} holds a line break or control character`);
    if (remove && value !== '') complain(field, `${name} cannot be removed and set at once`);
    seen.add(name);
  });
  if (spec.entrypoint.some(hasControlCharacters)) complain('entrypoint', 'holds a line break or control character');
  if (spec.entrypoint[0] === '') complain('entrypoint', 'the program is empty');
}

const FEATURES = ['nesting', 'fuse', 'keyctl'];
/** `ostype` of a container: proxmox/pve-container src/PVE/LXC/Config.pm. */
const OS_TYPES = 'debian devuan ubuntu centos fedora opensuse archlinux alpine gentoo nixos unmanaged'.split(' ');
const DESCRIPTION_MAX = 8192;

function checkLabels(spec: ContainerSpec, complain: Complain): void {
  spec.tags.forEach((tag, index) => {
    const parsed = parseTag(tag);
    if (!parsed.ok) complain(`tags[${index}]`, parsed.reason);
    if (spec.tags.indexOf(tag) !== index) complain(`tags[${index}]`, `${tag} is given twice`);
  });
  spec.features.forEach((feature, index) => {
    if (!FEATURES.includes(feature))
      complain(`features[${index}]`, `"${feature}" is not one of ${FEATURES.join(', ')}`);
  });
  if (spec.features.includes('keyctl') && spec.privileged)
    complain('features', 'keyctl is for unprivileged containers');
  if (spec.osType !== '' && !OS_TYPES.includes(spec.osType)) {
    complain('os_type', `"${spec.osType}" is not one of ${OS_TYPES.join(', ')}`);
  }
  if (spec.description.length > DESCRIPTION_MAX) complain('description', `has more than ${DESCRIPTION_MAX} characters`);
  if (hasControlCharacters(spec.description.replaceAll('\n', ' '))) complain('description', 'holds control characters');
}

const READINESS = ['', 'none', 'running', 'tcp', 'http'];
const READINESS_SECONDS_MAX = 3600;

/** Shared with the start of an existing guest. */
export function checkReadiness({ kind, port, path, timeoutSeconds }: Readiness, complain: Complain): void {
  if (!READINESS.includes(kind)) complain('readiness.kind', `"${kind}" is not one of ${READINESS.slice(1).join(', ')}`);
  const hasPort = kind === 'tcp' || kind === 'http';
  if (hasPort && (port < 1 || port > 65_535)) complain('readiness.port', 'must be from 1 to 65535');
  if (kind === 'http' && path !== '' && (!path.startsWith('/') || hasControlCharacters(path) || path.includes(' '))) {
    complain('readiness.path', 'must begin with "/" and hold no spaces');
  }
  if (timeoutSeconds > READINESS_SECONDS_MAX)
    complain('readiness.timeout', `must be at most ${READINESS_SECONDS_MAX} s`);
}

function checkConstraints({ node, excludeNodes, vmid }: PlacementConstraints, complain: Complain): void {
  if (vmid !== 0) {
    const parsed = parseVmid(vmid);
    if (!parsed.ok) complain('vmid', parsed.reason);
  }
  if (node !== '' && excludeNodes.includes(node)) complain('node', `${node} is named and excluded at once`);
}
