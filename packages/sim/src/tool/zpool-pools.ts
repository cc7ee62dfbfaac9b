/** Which pools a call means, and JSON with bare 64-bit numbers. */

import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { type PoolRecord, readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';

/** Why no pool can have that name (module/zcommon/zfs_namecheck.c pool_namecheck). */
export function poolNameProblem(name: string): string | undefined {
  const odd = /[^A-Za-z0-9\-_.: ]/.exec(name)?.[0];
  if (odd !== undefined) return `invalid character '${odd}' in pool name`;
  return /^[A-Za-z]/.test(name) ? undefined : 'name must begin with a letter';
}

export function chosenPools(host: Host, names: readonly string[]): PoolRecord[] {
  const { pools } = readPools(host);
  const absent = names.find((name) => !pools.some((pool) => pool.name === name));
  if (absent !== undefined)
    throw new ToolError(`cannot open '${absent}': ${poolNameProblem(absent) ?? 'no such pool'}\n`, 1);
  return (names.length === 0 ? [...pools] : pools.filter((pool) => names.includes(pool.name))).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

const MARK = '\u0001';

/** Stands for the number itself in the text that jsonText makes. */
export function bare(value: number | string): string {
  return `${MARK}${value}${MARK}`;
}

export function jsonText(
  command: string,
  at: { pools: readonly PoolRecord[]; call: Getopt },
  entry: (pool: PoolRecord) => object,
): string {
  const key = (pool: PoolRecord): string => (has(at.call, 'G') ? pool.guid : pool.name);
  const text = JSON.stringify({
    output_version: { command, vers_major: 0, vers_minor: 1 },
    pools: Object.fromEntries(at.pools.map((pool) => [key(pool), entry(pool)])),
  });
  return `${text.replaceAll(/"\\u0001(\d+)\\u0001"/g, '$1')}\n`;
}
