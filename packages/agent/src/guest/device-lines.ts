/** Lines of a container's configuration that its devices need beside their `devN`. */
import { AUTODEV_HOOK } from '../device/autodev.ts';
import type { ConfigSection, GuestConfig } from './config-file.ts';
import { parsePropertyString } from './property-string.ts';

const AUTODEV_KEY = 'lxc.hook.autodev';
const GROUPS_KEY = 'lxc.init.groups';
const DEVICE_KEY = /^dev\d+$/;

/** Once, whatever other hooks there are. */
export function addAutodevHook(config: ConfigSection): void {
  if (config.raw.some(([key, value]) => key === AUTODEV_KEY && value === AUTODEV_HOOK)) return;
  config.raw.push([AUTODEV_KEY, AUTODEV_HOOK]);
}

/** No device of the node is given to the guest any more. */
export function dropDevices(config: ConfigSection): void {
  for (const key of config.entries.keys()) if (DEVICE_KEY.test(key)) config.entries.delete(key);
  config.raw = config.raw.filter(([key, value]) => !(key === AUTODEV_KEY && value === AUTODEV_HOOK));
}

/** Paths of the devices that the guest is given. */
export function devicePaths(config: ConfigSection): string[] {
  return [...config.entries]
    .filter(([key]) => DEVICE_KEY.test(key))
    .map(([, value]) => parsePropertyString(value, 'path').get('path') ?? '');
}

/** The main process gets its groups from here alone: nobody logs in. */
export function addDeviceGroups(config: GuestConfig): void {
  const gids = [...config.entries, ...config.pending.entries]
    .filter(([key]) => DEVICE_KEY.test(key))
    .map(([, value]) => parsePropertyString(value, 'path').get('gid') ?? '0')
    .filter((gid) => gid !== '0');
  const at = config.raw.findIndex(([key]) => key === GROUPS_KEY);
  const known = at === -1 ? [] : (config.raw[at]?.[1] ?? '').split(/[,\s]+/).filter((gid) => gid !== '');
  const all = [...new Set([...known, ...gids])].join(',');
  if (all === '') return;
  if (at === -1) config.raw.push([GROUPS_KEY, all]);
  else config.raw[at] = [GROUPS_KEY, all];
}
