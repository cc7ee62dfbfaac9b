/** `zpool create`: what it refuses, in which order, and the devices it is given. */
import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { addPool, forget, isOccupied } from '../pool/pools.ts';
import { refuse } from '../pool/refuse.ts';
import { changePools, readPools, type Vdev } from '../pool/state.ts';
import { LEAST_BYTES, requireFree, smallestDevice, usableBytes } from '../pool/vdevs.ts';
import { stored } from '../pool/verbs.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';
import { pairsOf } from './zfs-arguments.ts';
import { operand } from './zpool-change.ts';
import { poolNameProblem } from './zpool-pools.ts';
import { poolProperties, poolValueProblem } from './zpool-properties.ts';

/** Beginnings that only name kinds of devices (lib/libzfs/libzfs_pool.c zpool_name_valid). */
const RESERVED = /^(mirror|raidz|draid|spare)|^log$/;

export function create(host: Host, call: Getopt, io: ToolIo): void {
  const name = operand(call, 0, 'pool name argument');
  const words = call.operands.slice(1);
  const failed = (reason: string): never => refuse(`cannot create '${name}': ${reason}`);
  if (words.length === 0) throw new GetoptError('missing vdev specification');
  if (name.includes('/')) failed("invalid character '/' in pool name\nuse 'zfs create' to create a dataset");
  const given = poolProperties(call.options.get('o') ?? []);
  const state = readPools(host);
  for (const device of words.filter((word) => !isGrouping(word)))
    requireFree(host, state, { device, force: has(call, 'f') });
  const vdevs = vdevsOf(words);
  const mountpoint = last(call, 'm') ?? `/${name}`;
  requireMountpoint(host, mountpoint);
  if (has(call, 'n')) {
    io.out(`would create '${name}' with the following layout:\n\n${plainLayout(name, vdevs)}`);
    return;
  }
  requirePoolName(name, failed);
  const problem = Object.entries(given).map(([property, value]) => poolValueProblem(property, value, 'create'));
  for (const text of problem) if (text !== undefined) failed(text);
  const properties = stored(pairsOf(call.options.get('O') ?? [], 1), { kind: 'filesystem', failed });
  if (state.pools.some((pool) => pool.name === name)) failed('pool already exists');
  const bytes = smallestDevice(host, vdevs);
  if (bytes < LEAST_BYTES) failed('one or more devices is less than the minimum size (64M)');
  changePools(host, (now) => {
    forget(host, now, name);
    const pool = addPool(host, now, { name, sizeBytes: usableBytes(bytes), vdevs, mountpoint, properties });
    if (Object.keys(given).length > 0) pool.properties = given;
  });
}

function requireMountpoint(host: Host, mountpoint: string): void {
  if (mountpoint === 'none' || mountpoint === 'legacy') return;
  if (!mountpoint.startsWith('/'))
    refuse(`invalid mountpoint '${mountpoint}': must be an absolute path, 'legacy', or 'none'`);
  if (isOccupied(host, mountpoint))
    refuse(`mountpoint '${mountpoint}' exists and is not empty\nuse '-m' option to provide a different default`);
}

function requirePoolName(name: string, failed: (reason: string) => never): void {
  const problem = poolNameProblem(name) ?? (RESERVED.test(name) ? 'name is reserved' : undefined);
  if (problem !== undefined) failed(`${problem}\npool name may have been omitted`);
}

export const isGrouping = (word: string): boolean => /^(mirror|raidz\d?)$/.test(word);

/** `mirror a b`, `raidz a b c`, or devices alone. */
export function vdevsOf(words: readonly string[], from = 0): Vdev[] {
  const vdevs: Vdev[] = [];
  let group: { name: string; children: Vdev[] } | undefined;
  for (const word of words) {
    const leaf: Vdev = { name: word, state: 'ONLINE' };
    if (isGrouping(word)) {
      group = { name: `${word.replace(/^raidz$/, 'raidz1')}-${from + vdevs.length}`, children: [] };
      vdevs.push({ ...group, state: 'ONLINE' });
    } else if (group === undefined) vdevs.push(leaf);
    else group.children.push(leaf);
  }
  for (const { name, children } of vdevs) requireChildren(name.replace(/-\d+$/, ''), children);
  return vdevs;
}

function requireChildren(kind: string, children: readonly Vdev[] | undefined): void {
  const least = kind === 'mirror' ? 2 : Number(/\d$/.exec(kind)?.[0] ?? 1) + 1;
  if (children !== undefined && children.length < least)
    refuse(`invalid vdev specification: ${kind.replace(/^raidz1$/, 'raidz')} requires at least ${least} devices`);
}

/** Devices that a pool has are numbered, those that it would get are not. */
export function plainLayout(name: string | undefined, vdevs: readonly Vdev[], isNumbered = false): string {
  const named = (vdev: Vdev): string =>
    vdev.children === undefined || isNumbered ? vdev.name : (vdev.name.split('-')[0] ?? '');
  const lines = (all: readonly Vdev[], depth: number): string[] =>
    all.flatMap((vdev) => [`\t${'  '.repeat(depth)}${named(vdev)}\n`, ...lines(vdev.children ?? [], depth + 1)]);
  return `${name === undefined ? '' : `\t${name}\n`}${lines(vdevs, 1).join('')}`;
}
