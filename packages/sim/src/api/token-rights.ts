/** What a token may not do: one without rights nothing, and one of root less than root itself. */

import { ToolError } from '../call/tool.ts';
import { isVolumeKey, parseMountPoint } from '../guest/mount-point.ts';
import type { OptionChange, RightsCheck } from '../pct/context.ts';
import { FieldError, type Parameters } from '../schema/property.ts';
import { parsePropertyString } from '../schema/value.ts';

const CONFIG_RIGHTS = ['Disk', 'CPU', 'Memory', 'Network', 'Options'].map((name) => `VM.Config.${name}`).join('|');
/** By the sub-command behind the method (permissions in pve-container src/PVE/API2/LXC.pm and below it). */
const RIGHT_OF: Readonly<Record<string, string>> = {
  set: CONFIG_RIGHTS,
  destroy: 'VM.Allocate',
  clone: 'VM.Clone',
  template: 'VM.Allocate',
  resize: 'VM.Config.Disk',
  'move-volume': 'VM.Config.Disk',
  snapshot: 'VM.Snapshot',
  delsnapshot: 'VM.Snapshot',
  rollback: 'VM.Snapshot|VM.Snapshot.Rollback',
};
const POWER = new Set(['start', 'stop', 'shutdown', 'reboot', 'suspend', 'resume']);

/** Asked before the parameters are looked at (pve-http-server, pve-manager PVE/HTTPServer.pm rest_handler). */
export function refuseWithoutRights(path: string, command: string | undefined): void {
  const vmid = /\/(?:lxc|qemu)\/(\d+)/.exec(path)?.[1];
  if (vmid === undefined) return;
  const right = command === undefined ? 'VM.Audit' : POWER.has(command) ? 'VM.PowerMgmt' : RIGHT_OF[command];
  if (right !== undefined) refuse(`/vms/${vmid}, ${right}`);
}

/** Parameters that only root itself may give (pve-container src/PVE/API2/LXC/Status.pm vm_start, vm_stop). */
export function refuseRootParameters(params: Parameters): void {
  if (['1', 'on', 'yes', 'true'].includes(String(params['skiplock'] ?? '').toLowerCase()))
    throw new FieldError('Parameter verification failed.', { skiplock: 'Only root may use this option.' });
}

/** pve-container src/PVE/LXC.pm check_ct_modify_config_perm. */
export const checkTokenRights: RightsCheck = (change) => {
  for (const [key, value] of change.values) refuseOption(change, key, value);
  for (const key of change.remove) refuseOption(change, key, undefined);
};

function refuseOption(change: OptionChange, key: string, value: string | undefined): void {
  if (/^dev\d+$/.test(key)) rootOnly('configuring device passthrough');
  if (key === 'hookscript') rootOnly('changing the hookscript');
  if (key === 'features') refuseFeatures(change, value);
  if (!isVolumeKey(key) || value === undefined) return;
  const { kind } = parseMountPoint(key, value);
  if (kind !== 'volume') rootOnly(`mount point type ${kind}`);
}

function refuseFeatures({ config, isUnprivileged }: OptionChange, value: string | undefined): void {
  if (!isUnprivileged) rootOnly('changing feature flags for privileged container');
  const read = (text: string | undefined): Readonly<Record<string, string | undefined>> =>
    text === undefined ? {} : parsePropertyString('lxc.features', text);
  const old = read(config?.values.get('features'));
  const next = read(value);
  const others = [...Object.keys(old), ...Object.keys(next)].filter((name) => name !== 'nesting');
  if (others.some((name) => old[name] !== next[name])) rootOnly('changing feature flags (except nesting)');
}

function rootOnly(what: string): never {
  return refuse(`${what} is only allowed for root@pam`);
}

function refuse(what: string): never {
  throw new ToolError(`403 Permission check failed (${what})\n`);
}
