/** `zfs create` and `zfs clone`: what is looked at before the pool, and what -v, -n and -P tell. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { nameProblem } from '../pool/names.ts';
import { sizeBytes, sizeProblem } from '../pool/properties.ts';
import type { Pairs } from '../pool/refuse.ts';
import { cloneSnapshot } from '../pool/snapshot-verbs.ts';
import { findDataset, readPools } from '../pool/state.ts';
import { type CreateOptions, createDataset, verifyEarly } from '../pool/verbs.ts';
import { blockSize, roundedVolume, volumeReservation } from '../pool/volume.ts';
import { type Getopt, has, last } from './getopt.ts';
import { firstLine, fromTo, isPlainUser, missing, operands, pairs } from './zfs-arguments.ts';
import type { ZfsIo } from './zfs-permission.ts';

/** Arguments of a create, as far as they can be looked at without the pool. */
interface Creation {
  readonly name: string;
  readonly properties: Pairs;
  readonly volumeBytes: number | undefined;
}

function creationOf(call: Getopt): Creation {
  const volumeBytes = givenSize(call, 'V', 'bad volume size');
  const blockBytes = givenSize(call, 'b', 'bad volume block size');
  const given = pairs(call);
  const isVolume = volumeBytes !== undefined;
  if ((has(call, 's') || has(call, 'b')) && !isVolume) missing("'-s' and '-b' can only be used when creating a volume");
  if (has(call, 'u') && isVolume) missing("'-u' can only be used when creating a filesystem");
  const [name = ''] = operands(call, isVolume ? 'missing volume argument' : 'missing filesystem argument');
  const block = blockBytes === undefined ? [] : [['volblocksize', String(blockBytes)] as const];
  return { name, volumeBytes, properties: [...given, ...block] };
}

export async function create(host: Host, call: Getopt, io: ZfsIo): Promise<void> {
  const creation = creationOf(call);
  const { name, properties, volumeBytes } = creation;
  const isVolume = volumeBytes !== undefined;
  if (has(call, 'n') || isVolume) verifyEarly(host, name, { properties, isVolume, isDry: has(call, 'n') });
  const isThere = nameProblem(name, 'dataset') === undefined && findDataset(readPools(host), name) !== undefined;
  if (has(call, 'p') && isThere) return;
  if (has(call, 'P') || has(call, 'v')) io.out(createText(call, creation));
  if (has(call, 'n')) return;
  const isEncrypted = properties.some(([key, value]) => key === 'encryption' && value !== 'off');
  const passphrase = isEncrypted ? { passphrase: await firstLine(io) } : {};
  make(host, {
    call,
    io,
    name,
    options: { properties, ...(isVolume ? { volumeBytes } : {}), ...passphrase, permit: io.permit },
  });
}

function givenSize(call: Getopt, letter: string, problem: string): number | undefined {
  const size = last(call, letter);
  if (size === undefined) return undefined;
  const bytes = sizeBytes(size);
  if (bytes === undefined) throw new ToolError(`${problem} '${size}': ${sizeProblem(size)}\n`, 1);
  return bytes;
}

function make(host: Host, at: { call: Getopt; io: ToolIo; name: string; options: CreateOptions }): void {
  const { call, io, name, options } = at;
  const problem = createDataset(host, name, {
    ...options,
    parents: has(call, 'p'),
    unmounted: has(call, 'u') || isPlainUser(io),
    sparse: has(call, 's'),
  });
  if (problem !== undefined) throw new ToolError(problem, 1);
  if (isPlainUser(io) && !has(call, 'u') && options.volumeBytes === undefined) requireRootToMount();
}

/** A delegated user makes the dataset, but Linux lets only root mount it. */
function requireRootToMount(): never {
  throw new ToolError('filesystem successfully created, but it may only be mounted by root\n', 1);
}

/** -v and -n; with -P for programs. */
function createText(call: Getopt, creation: Creation): string {
  const { name } = creation;
  const isForPrograms = has(call, 'P');
  const verb = (what: string): string =>
    isForPrograms ? `${what}\t` : `${has(call, 'n') ? 'would ' : ''}${what.replace('_', ' ')} `;
  const line = ([key, value]: readonly [string, string]): string =>
    isForPrograms ? `property\t${key}\t${value}\n` : `\t${key}=${value}\n`;
  const ancestors = has(call, 'p') ? `${verb('create_ancestors')}${isForPrograms ? '' : 'of '}${name}\n` : '';
  return `${ancestors}${verb('create')}${name}\n${told(call, creation).map(line).join('')}`;
}

/** The options as given; what is worked out for a volume stands behind them, in bytes. */
function told(call: Getopt, { properties, volumeBytes }: Creation): Pairs {
  if (volumeBytes === undefined) return properties;
  const given = new Map([['volsize', String(volumeBytes)] as const, ...properties]);
  const volume = { properties: Object.fromEntries(given) };
  const volsize = String(roundedVolume(volume, volumeBytes));
  if (has(call, 'b')) moveLast(given, 'volblocksize', String(blockSize(volume)));
  if (volsize !== given.get('volsize')) moveLast(given, 'volsize', volsize);
  if (!has(call, 's') && !given.has('refreservation'))
    given.set('refreservation', String(volumeReservation({ properties: { ...volume.properties, volsize } })));
  return [...given];
}

function moveLast(pairs: Map<string, string>, key: string, value: string): void {
  pairs.delete(key);
  pairs.set(key, value);
}

export async function clone(host: Host, call: Getopt, io: ZfsIo): Promise<void> {
  await cloneSnapshot(host, fromTo(call), {
    properties: pairs(call),
    parents: has(call, 'p'),
    unmounted: isPlainUser(io),
    permit: io.permit,
  });
  if (isPlainUser(io)) requireRootToMount();
}
