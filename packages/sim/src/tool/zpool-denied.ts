/** What `zpool` answers to users other than root (the texts are those of each command's failure, lib/libzfs/libzfs_pool.c). */
import type { Host } from '../host/host.ts';
import { mountedBelow } from '../pool/mounting.ts';
import { refuse } from '../pool/refuse.ts';
import { readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';
import { chosenPools } from './zpool-pools.ts';

type Text = (call: Getopt) => string;

const name = (call: Getopt): string => call.operands[0] ?? '';
const device = (call: Getopt): string => call.operands[1] ?? '';
const fresh = (call: Getopt): string => call.operands[2] ?? device(call);

const TEXTS: Readonly<Record<string, Text>> = {
  set: (call) => `set property for '${device(call)}'`,
  scrub: (call) =>
    `${has(call, 's') ? 'cancel scrubbing' : has(call, 'p') ? 'pause scrubbing' : 'scrub'} ${name(call)}`,
  resilver: (call) => `restart resilver on ${name(call)}`,
  offline: (call) => `offline ${device(call)}`,
  online: (call) => `online ${device(call)}`,
  detach: (call) => `detach ${device(call)}`,
  remove: (call) => `remove ${device(call)}`,
  attach: (call) => `attach ${fresh(call)} to ${device(call)}`,
  replace: (call) => `replace ${device(call)} with ${fresh(call)}`,
  clear: (call) => `clear errors for ${device(call) === '' ? name(call) : device(call)}`,
  checkpoint: (call) => `${has(call, 'd') ? 'discard checkpoint on' : 'checkpoint'} '${name(call)}'`,
  add: (call) => `add to '${name(call)}'`,
  history: (call) => `show history for pool '${name(call)}'`,
};

/** A pool that is not there is told first, whoever asks. */
export function denyPool(host: Host, word: string, call: Getopt): never {
  if (word === 'import' && call.operands.length === 0) return refuse('cannot discover pools: permission denied');
  if (word !== 'create' && word !== 'import')
    chosenPools(host, word === 'set' ? call.operands.slice(1, 2) : call.operands.slice(0, 1));
  if (word === 'export') requireUnmounted(host, name(call));
  return refuse(`cannot ${TEXTS[word]?.(call) ?? `${word} '${name(call)}'`}: permission denied`);
}

function requireUnmounted(host: Host, pool: string): void {
  const last = mountedBelow(readPools(host), pool).at(-1);
  if (last !== undefined) refuse(`cannot unmount '${last.mountedAt ?? ''}': permission denied`);
}
