/** Which keys a container's config may hold and how their text is checked (pve-container src/PVE/LXC/Config.pm check_type). */
import { isCgroupV2 } from '../host/cgroup.ts';
import type { Host } from '../host/host.ts';
import { type Property, parseBoolean } from '../schema/property.ts';
import { propertyOf, toolSchema } from '../schema/schema-data.ts';
import { checkAnyFormat } from '../schema/value.ts';
import type { ConfigSyntax } from '../text/guest-config.ts';
import { rawKeyVerdict } from './raw-keys.ts';

/** Parameters of create that are no config keys (pve-container src/PVE/API2/LXC.pm create_vm). */
const NOT_CONFIG = new Set([
  'node',
  'vmid',
  'ostemplate',
  'password',
  'storage',
  'force',
  'restore',
  'unique',
  'pool',
  'ignore-unpack-errors',
  'ssh-public-keys',
  'bwlimit',
  'start',
  'ha-managed',
]);
const SNAPSHOT_KEYS: Readonly<Record<string, Property>> = {
  parent: { type: 'string', format: 'pve-configid', optional: 1, maxLength: 40 },
  snaptime: { type: 'integer', optional: 1, minimum: 0 },
};

/** The property of a config key, or undefined when there is no such key. */
export function configProperty(key: string): Property | undefined {
  if (NOT_CONFIG.has(key)) return undefined;
  return SNAPSHOT_KEYS[key] ?? propertyOf(toolSchema('pct')['create']?.params ?? {}, key);
}

function checkValue(key: string, value: string): string {
  const property = configProperty(key);
  if (property === undefined) throw new Error(`unknown setting '${key}'\n`);
  if (/[\n\r]/.test(value)) throw new Error('property contains a line feed\n');
  const refuse = (): never => {
    throw new Error(`type check ('${property.type ?? ''}') failed - got '${value}'\n`);
  };
  if (property.type === 'boolean') return String(parseBoolean(value) ?? refuse());
  if (property.type === 'integer') return /^\d+$/.test(value) ? String(BigInt(value)) : refuse();
  if (property.type === 'number') return /^\d+(?:\.\d+)?$/.test(value) ? value : refuse();
  if (property.format !== undefined) checkAnyFormat(property.format, value, '');
  return value;
}

export const containerSyntax: ConfigSyntax = { checkValue, checkRawKey: rawKeyVerdict };

/** What the kernel takes depends on the version of cgroups (pve-common src/PVE/CGroup.pm clamp_cpu_shares). */
export function clampCpuUnits(host: Host, value: string): string {
  if (isCgroupV2(host)) return Number(value) >= 10_000 ? '10000' : value;
  return Number(value) < 2 ? '2' : value;
}
