/** argv of `pct` for snapshots; the rules of pct-args.ts hold here too. */
import type { Command } from '@pxmgr/kit/exec/command';

/** Freezing a running guest takes up to 30 s, the snapshots themselves a moment each. */
const SNAPSHOT_TIMEOUT_MS = 300_000;
/** Storages other than ZFS copy whole volumes back. */
const ROLLBACK_TIMEOUT_MS = 3_600_000;
const DELETE_TIMEOUT_MS = 3_600_000;

export function snapshotCommand(vmid: number, name: string, description: string): Command {
  const described = description === '' ? [] : ['--description', description];
  return {
    file: 'pct',
    args: ['snapshot', String(vmid), name, ...described],
    purpose: `create snapshot ${name} of container ${vmid}`,
    timeoutMs: SNAPSHOT_TIMEOUT_MS,
  };
}

export function rollbackCommand(vmid: number, name: string): Command {
  return {
    file: 'pct',
    args: ['rollback', String(vmid), name],
    purpose: `roll container ${vmid} back to snapshot ${name}`,
    timeoutMs: ROLLBACK_TIMEOUT_MS,
  };
}

/** `force`: go on where a volume's own snapshot is gone already; without it such a snapshot could never be removed. */
export function deleteSnapshotCommand(vmid: number, name: string, force: boolean): Command {
  return {
    file: 'pct',
    args: ['delsnapshot', String(vmid), name, ...(force ? ['--force', '1'] : [])],
    purpose: `destroy snapshot ${name} of container ${vmid}`,
    timeoutMs: DELETE_TIMEOUT_MS,
  };
}
