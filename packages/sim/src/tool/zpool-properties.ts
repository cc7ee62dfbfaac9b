/** Properties of pools: which there are, and what `zpool create -o` and `zpool set` refuse (lib/libzfs/libzfs_pool.c). */
import { sizeBytes } from '../pool/properties.ts';
import { refuse } from '../pool/refuse.ts';

/** Settable ones with their defaults. */
export const SETTABLE: Readonly<Record<string, string>> = {
  altroot: '-',
  ashift: '0',
  autoexpand: 'off',
  autoreplace: 'off',
  autotrim: 'off',
  bootfs: '-',
  cachefile: '-',
  comment: '-',
  compatibility: 'off',
  dedup_table_quota: 'auto',
  delegation: 'on',
  failmode: 'wait',
  listsnapshots: 'off',
  multihost: 'off',
  readonly: 'off',
  version: '-',
};

/** In the order of `zpool get all` (include/sys/fs/zfs.h zpool_prop_t). */
export const POOL_PROPERTIES: readonly string[] = [
  ...['size', 'capacity', 'altroot', 'health', 'guid', 'version', 'bootfs', 'delegation', 'autoreplace', 'cachefile'],
  ...['failmode', 'listsnapshots', 'autoexpand', 'dedupratio', 'free', 'allocated', 'readonly', 'ashift', 'comment'],
  ...['expandsize', 'freeing', 'fragmentation', 'leaked', 'multihost', 'checkpoint', 'load_guid', 'autotrim'],
  ...['compatibility', 'bcloneused', 'bclonesaved', 'bcloneratio', 'dedup_table_size', 'dedup_table_quota'],
  'last_scrubbed_txg',
];

/** Of a pool with little in it: these are in use, the others only allowed. */
const ACTIVE = new Set([
  ...['lz4_compress', 'spacemap_histogram', 'enabled_txg', 'hole_birth', 'extensible_dataset', 'embedded_data'],
  ...['userobj_accounting', 'project_quota', 'spacemap_v2', 'log_spacemap', 'head_errlog', 'vdev_zaps_v2'],
]);
const FEATURE_NAMES: readonly string[] = [
  ...['async_destroy', 'empty_bpobj', 'lz4_compress', 'multi_vdev_crash_dump', 'spacemap_histogram', 'enabled_txg'],
  ...['hole_birth', 'extensible_dataset', 'embedded_data', 'bookmarks', 'filesystem_limits', 'large_blocks'],
  ...['large_dnode', 'sha512', 'skein', 'edonr', 'userobj_accounting', 'encryption', 'project_quota'],
  ...['device_removal', 'obsolete_counts', 'zpool_checkpoint', 'spacemap_v2', 'allocation_classes', 'resilver_defer'],
  ...['bookmark_v2', 'redaction_bookmarks', 'redacted_datasets', 'bookmark_written', 'log_spacemap', 'livelist'],
  ...['device_rebuild', 'zstd_compress', 'draid', 'zilsaxattr', 'head_errlog', 'blake3', 'block_cloning'],
  ...['vdev_zaps_v2', 'redaction_list_spill', 'raidz_expansion', 'fast_dedup', 'longname', 'large_microzap'],
];
export const FEATURES: Readonly<Record<string, string>> = Object.fromEntries(
  FEATURE_NAMES.map((name) => [`feature@${name}`, ACTIVE.has(name) ? 'active' : 'enabled']),
);

export function isPoolProperty(property: string): boolean {
  return property === 'name' || POOL_PROPERTIES.includes(property) || /^feature@|:/.test(property);
}

/** The values of `-o`, whose names are looked at before anything else. */
export function poolProperties(pairs: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of pairs) {
    const [property = ''] = pair.split('=', 1);
    if (!pair.includes('=')) refuse("missing '=' for -o option");
    if (!isPoolProperty(property) || property.includes(':'))
      refuse(`property '${property}' is not a valid pool or vdev property`);
    if (found[property] !== undefined) refuse(`property '${property}' specified multiple times`);
    found[property] = pair.slice(property.length + 1);
  }
  return found;
}

const SWITCHES = /^auto(expand|replace|trim)$|^(delegation|listsnapshots|multihost|readonly)$/;

export function poolValueProblem(property: string, value: string, at: 'create' | 'set'): string | undefined {
  if (property.startsWith('feature@')) return featureProblem(property, value, at);
  if (!isPoolProperty(property)) return `invalid property '${property}'`;
  if (property.includes(':')) return undefined;
  if (SETTABLE[property] === undefined) return `'${property}' is readonly`;
  return formProblem(property, value) ?? occasionProblem(property, value, at);
}

function featureProblem(property: string, value: string, at: 'create' | 'set'): string | undefined {
  if (FEATURES[property] === undefined) return `feature '${property.split('@')[1] ?? ''}' unsupported by kernel`;
  if (value !== 'enabled' && value !== 'disabled')
    return `property '${property}' can only be set to 'enabled' or 'disabled'`;
  return value === 'disabled' && at === 'set'
    ? `property '${property}' can only be set to 'disabled' at creation time`
    : undefined;
}

function formProblem(property: string, value: string): string | undefined {
  if (SWITCHES.test(property) && !/^(on|off)$/.test(value)) return `'${property}' must be one of 'on | off'`;
  if (property === 'failmode' && !/^(wait|continue|panic)$/.test(value))
    return "'failmode' must be one of 'wait | continue | panic'";
  if (property === 'cachefile' && !/^(|none|\/.*)$/.test(value))
    return `property '${property}' must be empty, an absolute path, or 'none'`;
  if (property === 'comment' && value.length > 32) return 'comment must not exceed 32 characters';
  return property === 'ashift' ? ashiftProblem(value) : undefined;
}

function ashiftProblem(value: string): string | undefined {
  const shift = sizeBytes(value);
  if (shift === undefined) return `bad numeric value '${value}'`;
  return shift !== 0 && (shift < 9 || shift > 16)
    ? `property 'ashift' number ${shift} is invalid, only values between 9 and 16 are allowed.`
    : undefined;
}

/** Some can only be given when a pool is made or brought back. */
function occasionProblem(property: string, value: string, at: 'create' | 'set'): string | undefined {
  if (property === 'readonly') return `property '${property}' can only be set at import time`;
  if (property === 'bootfs' && at === 'create') return "property 'bootfs' cannot be set at creation or import time";
  if (property !== 'altroot') return undefined;
  if (at === 'set') return "property 'altroot' can only be set during pool creation or import";
  return value.startsWith('/') ? undefined : `bad alternate root '${value}'`;
}
