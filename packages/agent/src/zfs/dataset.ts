/** Live lists of datasets and pools. */
import type { DatasetName } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, Runner } from '@pxmgr/kit/exec/command';
import { expectSuccess } from '@pxmgr/kit/exec/failure';
import type { Dataset, Pool } from './parse.ts';
import { parseDatasets, parsePools } from './parse.ts';
import { listDatasetsCommand, listPoolsCommand } from './zfs-args.ts';

/** openzfs/zfs lib/libzfs/libzfs_util.c libzfs_error_init: a host without pools need not have the module loaded. */
const NO_MODULE = /ZFS modules? (?:cannot be auto-loaded|are not loaded)/;

/** stdout; empty on a host whose ZFS module is not loaded. */
async function tableOf(runner: Runner, command: Command): Promise<string> {
  const result = await runner.run(command);
  return NO_MODULE.test(result.stderr) ? '' : expectSuccess(result).stdout;
}

/** Every dataset of the host. Errors: PXM_COMMAND_NOT_FOUND, PXM_COMMAND_FAILED, PXM_COMMAND_TIMEOUT. */
export async function listDatasets(runner: Runner): Promise<Dataset[]> {
  return parseDatasets(await tableOf(runner, listDatasetsCommand()));
}

/** One dataset as it is now. Errors: PXM_DATASET_NOT_FOUND and those of `listDatasets`. */
export async function getDataset(runner: Runner, name: DatasetName, nodeName: string): Promise<Dataset> {
  const result = await runner.run(listDatasetsCommand(name));
  const absent = result.stderr.includes('dataset does not exist');
  const found = absent ? [] : parseDatasets(expectSuccess(result).stdout);
  const dataset = found.find((row) => row.name === name);
  if (dataset === undefined) throw new PxmError('PXM_DATASET_NOT_FOUND', { dataset: name, node: nodeName });
  return dataset;
}

export async function listPools(runner: Runner): Promise<Pool[]> {
  return parsePools(await tableOf(runner, listPoolsCommand()));
}
