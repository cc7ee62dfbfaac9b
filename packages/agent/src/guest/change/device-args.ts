import type { Command } from '@pxmgr/kit/exec/command';
import type { DeviceEntry } from '../../device/passthrough.ts';
import { deviceValue } from '../pct-args.ts';

const SET_TIMEOUT_MS = 60_000;

/** `pct set` for devices; all of it or nothing is stored. */
export function setDevicesCommand(
  vmid: number,
  wanted: {
    readonly add?: ReadonlyMap<string, DeviceEntry>;
    readonly remove?: readonly string[];
    /** Waiting changes that are dropped: `--delete` does nothing to a value that only waits. */
    readonly revert?: readonly string[];
  },
): Command {
  const { add = new Map<string, DeviceEntry>(), remove = [], revert = [] } = wanted;
  const args = [
    ...[...add].flatMap(([key, device]) => [`--${key}`, deviceValue(device)]),
    ...(remove.length > 0 ? ['--delete', remove.join(',')] : []),
    ...(revert.length > 0 ? ['--revert', revert.join(',')] : []),
  ];
  const purpose = `${add.size > 0 ? 'give devices to' : 'take devices from'} container ${vmid}`;
  return { file: 'pct', args: ['set', String(vmid), ...args], purpose, timeoutMs: SET_TIMEOUT_MS };
}
