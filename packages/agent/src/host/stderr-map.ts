/**
 * Foreign text to error code: the only table. Texts are matched in the C locale (the runner sets LC_ALL=C); they are
 * never combined with an exit status, which is the errno of the last failed system call of the tool and means
 * nothing. Unknown text is not guessed: PXM_COMMAND_FAILED with the tail of stderr.
 */
import type { ErrorCode } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { commandFailed, errorTail } from '@pxmgr/kit/exec/failure';

/** What the caller knows and a text may not say: vmid, node, storage, reference, registry, snapshot... */
export type ErrorContext = Readonly<Record<string, string>>;

export interface StderrRow {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  /** Repository and file that prints it. */
  readonly source: string;
  /** Fields that the text does not carry as named groups. */
  readonly fields?: Readonly<Record<string, string>>;
}

const GUEST_COMMON = 'proxmox/pve-guest-common src/PVE/AbstractConfig.pm';
const CONTAINER = 'proxmox/pve-container src/PVE/API2/LXC.pm';
const STATUS = 'proxmox/pve-container src/PVE/API2/LXC/Status.pm';
const STORAGE = 'proxmox/pve-storage src/PVE/Storage.pm';
const REGISTRY = 'containers/image docker/errors.go';

/** Order matters: the first row that fits decides. */
export const STDERR_TABLE: readonly StderrRow[] = [
  {
    pattern: /(?:CT|VM) (?<vmid>\d+) already exists on node '(?<owner>[^']+)'/,
    code: 'PXM_VMID_TAKEN',
    source: 'proxmox/pve-cluster src/PVE/Cluster.pm',
  },
  {
    pattern: /Configuration file 'nodes\/(?<node>[^/]+)\/(?:lxc|qemu-server)\/(?<guest>\d+)\.conf' does not exist/,
    code: 'PXM_GUEST_NOT_FOUND',
    source: GUEST_COMMON,
    fields: { where: ' on its node' },
  },
  { pattern: /(?:CT|VM) is locked \((?<lock>[a-z-]+)\)/, code: 'PXM_GUEST_LOCKED', source: GUEST_COMMON },
  {
    pattern: /can't lock file '(?<lock>[^']+)' - got timeout/,
    code: 'PXM_LOCK_TIMEOUT',
    source: 'proxmox/pve-common src/PVE/Tools.pm',
    fields: { seconds: '10' },
  },
  {
    pattern: /cfs-lock '(?<lock>[^']+)' error: got lock request timeout/,
    code: 'PXM_LOCK_TIMEOUT',
    source: 'proxmox/pve-cluster src/PVE/Cluster.pm',
    fields: { seconds: '10' },
  },
  {
    pattern: /cluster not ready - no quorum\?|cfs-lock '[^']+' error: no quorum!/,
    code: 'PXM_NO_QUORUM',
    source: 'proxmox/pve-cluster src/PVE/Cluster.pm',
  },
  {
    // pmxcfs denies every write without quorum, also to root.
    pattern: /'\/etc\/pve\/[^']+' - Permission denied|failed to remove config file: Permission denied/,
    code: 'PXM_NO_QUORUM',
    source: 'proxmox/pve-cluster src/pmxcfs/memdb.c, proxmox/pve-common src/PVE/Tools.pm file_set_contents',
  },
  { pattern: /CT (?<vmid>\d+) already running/, code: 'PXM_GUEST_RUNNING', source: STATUS },
  { pattern: /(?:CT|VM) (?<vmid>\d+) not running/, code: 'PXM_GUEST_NOT_RUNNING', source: STATUS },
  {
    pattern: /container '(?<vmid>\d+)' not running!/,
    code: 'PXM_GUEST_NOT_RUNNING',
    source: 'proxmox/pve-container src/PVE/CLI/pct.pm',
  },
  { pattern: /unable to destroy CT (?<vmid>\d+) - container is running/, code: 'PXM_GUEST_RUNNING', source: CONTAINER },
  { pattern: /you can't start a CT if it's a template/, code: 'PXM_GUEST_TEMPLATE', source: STATUS },
  { pattern: /- protection mode enabled/, code: 'PXM_GUEST_PROTECTED', source: GUEST_COMMON },
  { pattern: /storage '(?<storage>[^']+)' does not exist/, code: 'PXM_STORAGE_NOT_FOUND', source: STORAGE },
  { pattern: /storage '(?<storage>[^']+)' is disabled/, code: 'PXM_STORAGE_DISABLED', source: STORAGE },
  {
    pattern: /storage '(?<storage>[^']+)' is not available on node '(?<node>[^']+)'/,
    code: 'PXM_STORAGE_DISABLED',
    source: STORAGE,
  },
  {
    pattern: /out of space|[Nn]o space left on device|not enough free space \(/,
    code: 'PXM_DISK_FULL',
    source: 'openzfs/zfs lib/libzfs/libzfs_util.c, errno(3), proxmox/pve-storage src/PVE/Storage/LVMPlugin.pm',
    fields: { path: 'the storage' },
  },
  { pattern: /can't find file '(?<template>[^']+)'/, code: 'PXM_TEMPLATE_NOT_FOUND', source: STORAGE },
  {
    pattern: /(?:^|\s)Device (?<device>\/dev\/\S+) does not exist|(?<other>\/dev\/\S+) is not a device/,
    code: 'PXM_DEVICE_NOT_FOUND',
    source: 'proxmox/pve-container src/PVE/LXC/Tools.pm',
  },
  { pattern: /snapshot name '(?<snapshot>[^']+)' already used/, code: 'PXM_SNAPSHOT_EXISTS', source: GUEST_COMMON },
  {
    pattern: /(?<reasons>snapshot feature is not available)/,
    code: 'PXM_SNAPSHOT_UNSUPPORTED',
    source: GUEST_COMMON,
  },
  {
    // Upstream names the snapshot that was asked for, not the one in the way.
    pattern: /can't rollback, '(?<snapshot>[^']+)' is not most recent snapshot on '(?<volume>[^']+)'/,
    code: 'PXM_SNAPSHOT_NOT_NEWEST',
    source: 'proxmox/pve-storage src/PVE/Storage/ZFSPoolPlugin.pm',
    fields: { blocking: 'a newer one' },
  },
  {
    pattern: /unable to rollback to incomplete snapshot \((?<reason>[^)]+)\)/,
    code: 'PXM_SNAPSHOT_INCOMPLETE',
    source: GUEST_COMMON,
  },
  { pattern: /snapshot '(?<snapshot>[^']+)' does not exist/, code: 'PXM_SNAPSHOT_NOT_FOUND', source: GUEST_COMMON },
  {
    pattern: /startup for container '(?<vmid>\d+)' failed|unable to get PID for CT (?<other>\d+)/,
    code: 'PXM_START_FAILED',
    source: 'proxmox/pve-container src/PVE/LXC.pm',
  },
  {
    pattern: /hookscript error for (?<vmid>\d+) on pre-start/,
    code: 'PXM_START_FAILED',
    source: 'proxmox/pve-guest-common src/PVE/GuestHelpers.pm',
  },
  {
    pattern: /container did not stop/,
    code: 'PXM_SHUTDOWN_TIMEOUT',
    source: 'proxmox/pve-container src/PVE/LXC.pm',
  },
  {
    pattern: /detected modified configuration - file changed by other user/,
    code: 'PXM_CONFIG_DIGEST_CHANGED',
    source: 'proxmox/pve-common src/PVE/Tools.pm',
  },
  { pattern: /dataset is busy/, code: 'PXM_DATASET_BUSY', source: 'openzfs/zfs lib/libzfs/libzfs_util.c' },
  {
    pattern: /(?:'(?<dataset>[^'@]+)[^']*': )?dataset does not exist/,
    code: 'PXM_DATASET_NOT_FOUND',
    source: 'openzfs/zfs lib/libzfs/libzfs_util.c',
  },
  { pattern: /too ?many ?requests/i, code: 'PXM_REGISTRY_LIMIT', source: REGISTRY },
  {
    pattern: /is rejected by policy|Source image rejected|A signature was required/,
    code: 'PXM_IMAGE_POLICY',
    source: 'containers/image signature/policy_eval.go',
  },
  {
    pattern: /no image found in (?:manifest list|image index) for architecture/,
    code: 'PXM_IMAGE_PLATFORM_MISSING',
    source: 'containers/image internal/manifest/oci_index.go',
    fields: { available: 'others' },
  },
  {
    pattern:
      /unable to retrieve auth token: invalid username\/password|unauthorized|authentication required|requested access to the resource is denied/,
    code: 'PXM_IMAGE_PULL_DENIED',
    source: REGISTRY,
  },
  {
    // Its rules for names are stricter than what a reference may be to newer tools.
    pattern: /(?<reason>invalid reference format[^"\n]*)/,
    code: 'PXM_IMAGE_REF_INVALID',
    source: 'containers/image docker/reference/reference.go',
  },
  {
    pattern: /(?<problems>Digest did not match, expected sha256:[0-9a-f]{64}, got sha256:[0-9a-f]{64})/,
    code: 'PXM_IMAGE_REJECTED',
    source: 'containers/image copy/digesting_reader.go',
  },
  {
    // An image of Docker media types in an OCI manifest, or an artifact that is no image.
    pattern: /(?<problems>unsupported image-specific operation on artifact with type [^\s]+)/,
    code: 'PXM_IMAGE_REJECTED',
    source: 'containers/image manifest/oci.go',
  },
  { pattern: /manifest unknown|name unknown|repository name not known/, code: 'PXM_IMAGE_NOT_FOUND', source: REGISTRY },
  {
    pattern:
      /(?<reason>connection refused|no such host|i\/o timeout|TLS handshake[^"\n]*|x509: [^"\n]*|server gave HTTP response to HTTPS client|network is unreachable|no route to host|connection reset by peer)/,
    code: 'PXM_REGISTRY_UNREACHABLE',
    source: 'golang/go src/net, src/crypto/x509, src/net/http',
  },
];

/** Rows whose wording other tools print with another meaning: only for skopeo. */
const REGISTRY_CODES: ReadonlySet<ErrorCode> = new Set([
  'PXM_REGISTRY_LIMIT',
  'PXM_IMAGE_POLICY',
  'PXM_IMAGE_PLATFORM_MISSING',
  'PXM_IMAGE_PULL_DENIED',
  'PXM_IMAGE_NOT_FOUND',
  'PXM_IMAGE_REF_INVALID',
  'PXM_IMAGE_REJECTED',
  'PXM_REGISTRY_UNREACHABLE',
]);

/** The error a text stands for; undefined for text that is in no row. */
export function classifyText(text: string, context: ErrorContext, tool: string): PxmError | undefined {
  for (const row of STDERR_TABLE) {
    if (REGISTRY_CODES.has(row.code) !== (tool === 'skopeo') && row.code !== 'PXM_DISK_FULL') continue;
    const match = row.pattern.exec(text);
    if (match === null) continue;
    const { other, ...named } = definedGroups(match);
    const place = row.code === 'PXM_DISK_FULL' ? placeOf(context) : {};
    const fields = {
      ...context,
      ...row.fields,
      ...place,
      ...named,
      ...(other === undefined ? {} : otherField(row.code, other)),
    };
    return new PxmError(row.code, fields, { detail: detailOf(row.code, text) });
  }
  return undefined;
}

/** The tools seldom say which file system had no room; the caller knows where they write. */
function placeOf({ path, storage = '', node }: ErrorContext): Record<string, string> {
  if (path !== undefined) return { path };
  if (storage === '') return {};
  return { path: `storage ${storage}${node === undefined ? '' : ` on ${node}`}` };
}

/** A named group of an alternative that did not fit is undefined, whatever the types say. */
function definedGroups(match: RegExpExecArray): Record<string, string> {
  const groups: Record<string, string | undefined> = { ...match.groups };
  const defined: Record<string, string> = {};
  for (const [name, value] of Object.entries(groups)) if (value !== undefined) defined[name] = value;
  return defined;
}

/** The error of a result that the caller does not accept; also for time-out and cancellation. */
export function commandError(result: CommandResult, context: ErrorContext): PxmError {
  if (result.cancelled || result.timedOut) return commandFailed(result, context['node']);
  const tool = result.command.file;
  return classifyText(errorTail(result), context, tool) ?? commandFailed(result);
}

function otherField(code: ErrorCode, value: string): Record<string, string> {
  return code === 'PXM_DEVICE_NOT_FOUND' ? { device: value } : { vmid: value };
}

/** Codes whose own message says less than the tool did; task log and standard error often say the same. */
function detailOf(code: ErrorCode, text: string): string {
  const wordy: readonly ErrorCode[] = ['PXM_START_FAILED', 'PXM_DISK_FULL', 'PXM_IMAGE_POLICY'];
  const lines = [...new Set(text.split('\n').map((line) => line.trim()))].filter((line) => line !== '');
  return wordy.includes(code) ? lines.slice(-3).join('; ') : '';
}
