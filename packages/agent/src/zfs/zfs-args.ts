/**
 * zfs/: pools and datasets of this node through `zfs` and `zpool` (small C programs, milliseconds). argv only, and
 * every name passes its check before it gets into an argv. The room reads; what changes datasets has to go through
 * guarded verbs of its own. It may call host; it knows nothing of guests.
 */
import type { DatasetName } from '@pxmgr/contract';
import type { Command } from '@pxmgr/kit/exec/command';

/** Columns in the order the parser expects; the free text comes last, since a mountpoint may hold a tab. */
export const DATASET_COLUMNS = [
  'name',
  'type',
  'used',
  'available',
  'refquota',
  'origin',
  'mounted',
  'mountpoint',
] as const;
export const SNAPSHOT_COLUMNS = ['name', 'userrefs', 'clones'] as const;
export const POOL_COLUMNS = ['name', 'size', 'allocated', 'free', 'health'] as const;

const READ_LIMIT_MS = 10_000;

/** `-H` no headers and tabs, `-p` exact numbers. Without `below`: everything on the host. */
export function listDatasetsCommand(below?: DatasetName): Command {
  const scope = below === undefined ? [] : ['-r', below];
  return {
    file: 'zfs',
    args: ['list', '-Hp', '-o', DATASET_COLUMNS.join(','), '-t', 'filesystem,volume', ...scope],
    purpose: 'list datasets',
    timeoutMs: READ_LIMIT_MS,
    maxOutputBytes: 16 * 1024 * 1024,
    readOnly: true,
  };
}

/** Bookmarks too: they hinder a rollback as a newer snapshot does. By transaction: names and seconds tell no order. */
export function listSnapshotsCommand(dataset: DatasetName): Command {
  const columns = SNAPSHOT_COLUMNS.join(',');
  return {
    file: 'zfs',
    args: ['list', '-Hp', '-o', columns, '-t', 'snapshot,bookmark', '-s', 'createtxg', '-d', '1', dataset],
    purpose: `list snapshots of ${dataset}`,
    timeoutMs: READ_LIMIT_MS,
    maxOutputBytes: 16 * 1024 * 1024,
    readOnly: true,
  };
}

export function listPoolsCommand(): Command {
  return {
    file: 'zpool',
    args: ['list', '-Hp', '-o', POOL_COLUMNS.join(',')],
    purpose: 'list pools',
    timeoutMs: READ_LIMIT_MS,
    readOnly: true,
  };
}
