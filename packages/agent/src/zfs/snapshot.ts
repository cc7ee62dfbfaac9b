/** Snapshots of one dataset, and what hinders their removal. */
import type { DatasetName } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { expectSuccess } from '@pxmgr/kit/exec/failure';
import { parseSnapshots, type Snapshot } from './parse.ts';
import { listSnapshotsCommand } from './zfs-args.ts';

/** Snapshots and bookmarks, oldest first. Errors: PXM_DATASET_NOT_FOUND, PXM_COMMAND_FAILED. */
export async function listSnapshots(
  run: (command: Command) => Promise<CommandResult>,
  dataset: DatasetName,
  nodeName: string,
): Promise<Snapshot[]> {
  const result = await run(listSnapshotsCommand(dataset));
  if (result.stderr.includes('dataset does not exist'))
    throw new PxmError('PXM_DATASET_NOT_FOUND', { dataset, node: nodeName });
  return parseSnapshots(expectSuccess(result).stdout);
}
