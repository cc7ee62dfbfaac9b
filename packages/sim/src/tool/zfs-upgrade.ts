/** `zfs upgrade` and `zfs wait`: every file system of the stand-in has the newest version, and nothing is ever under way. */

import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { openText } from '../pool/names.ts';
import { refuse } from '../pool/refuse.ts';
import { findDataset, readPools, subtree } from '../pool/state.ts';
import { type Getopt, has, last } from './getopt.ts';
import { missing, operands } from './zfs-arguments.ts';

const NEWEST = '5';

const VERSIONS = `The following filesystem versions are supported:

VER  DESCRIPTION
---  --------------------------------------------------------
 1   Initial ZFS filesystem version
 2   Enhanced directory entries
 3   Case insensitive and filesystem user identifier (FUID)
 4   userquota, groupquota properties
 5   System attributes

For more information on a particular version, including supported releases,
see the ZFS Administration Guide.

`;

export function upgrade(host: Host, call: Getopt, io: ToolIo): void {
  requireUsable(call);
  if (has(call, 'v')) io.out(VERSIONS);
  else if (has(call, 'a') || call.operands.length > 0) upgradeNamed(host, call, io);
  else
    io.out(
      `This system is currently running ZFS filesystem version ${NEWEST}.\n\nAll filesystems are formatted with the current version.\n`,
    );
}

function requireUsable(call: Getopt): void {
  const version = last(call, 'V');
  if (version !== undefined && !/^([1-5]|current)$/.test(version)) missing(`invalid version ${version}`);
  const isNamed = call.operands.length > 0;
  const isChosen = isNamed || has(call, 'a');
  const isNarrowed = has(call, 'r') || version !== undefined;
  if ((isNarrowed && !isChosen) || (has(call, 'v') && (isChosen || isNarrowed)) || (has(call, 'a') && isNamed))
    missing('');
}

function upgradeNamed(host: Host, call: Getopt, io: ToolIo): void {
  const state = readPools(host);
  const gone = call.operands.filter((name) => findDataset(state, name)?.type !== 'filesystem');
  const found = has(call, 'a')
    ? state.datasets
    : call.operands.flatMap((name) => (has(call, 'r') ? subtree(state, name) : (findDataset(state, name) ?? [])));
  const same = new Set(found.filter(({ type }) => type === 'filesystem')).size;
  io.out(`0 filesystems upgraded\n${same === 0 ? '' : `${same} filesystems already at this version\n`}`);
  if (gone.length > 0) refuse(gone.map((name) => openText(name, 'dataset')).join('\n'));
}

export function wait(host: Host, call: Getopt): void {
  const odd = last(call, 't')
    ?.split(',')
    .find((word) => word !== 'deleteq');
  if (odd !== undefined) missing(`invalid activity '${odd}'`);
  const [name = ''] = operands(call, "missing 'filesystem' argument");
  const dataset = findDataset(readPools(host), name) ?? refuse(openText(name, 'dataset'));
  if (dataset.type === 'volume') refuse(`cannot open '${name}': operation not applicable to datasets of this type`);
}
