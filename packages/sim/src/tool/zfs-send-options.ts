/** Options of `zfs send` that go together, and those that do not (cmd/zfs/zfs_main.c zfs_do_send). */

import { nameProblem } from '../pool/names.ts';
import { refuse } from '../pool/refuse.ts';
import { type Getopt, has } from './getopt.ts';
import { missing } from './zfs-arguments.ts';

export const SEND_LONG = {
  ...{ replicate: 'R', 'skip-missing': 's', redact: 'd', props: 'p', parsable: 'P', dedup: 'D', proctitle: 'V' },
  ...{ verbose: 'v', dryrun: 'n', 'large-block': 'L', embed: 'e', resume: 't', compressed: 'c', raw: 'w' },
  ...{ backup: 'b', holds: 'h', saved: 'S', exclude: 'X' },
} as const;

/** -V alone tells only of several snapshots. */
export function isPlanTold(call: Getopt): boolean {
  return given(call, ['v', 'P']) || (has(call, 'V') && given(call, ['R', 'I']));
}

const NOT_WITH_TOKEN = ['R', 'I', 'i', 'p', 'b', 'h', 'S', 'd'];
const NOT_WITH_SAVED = ['R', 'I', 'i', 'p', 'b', 'h', 'L', 'e', 'c', 'w', 'd'];

/** In the order of cmd/zfs/zfs_main.c zfs_do_send. */
export function requireUsable(call: Getopt, isResumed: boolean): void {
  const starts = [...(call.options.get('i') ?? []), ...(call.options.get('I') ?? [])];
  if (starts.length > 1) missing('');
  requireExcludable(call);
  if (isResumed) requireAlone(call);
  else requireNamed(call);
  if (has(call, 'R') || has(call, 'I')) requireChain(call, starts[0]);
}

function given(call: Getopt, letters: readonly string[]): boolean {
  return letters.some((letter) => has(call, letter));
}

/** A token says all there is to say. */
function requireAlone(call: Getopt): void {
  if (given(call, NOT_WITH_TOKEN)) missing('invalid flags combined with -t');
  if (call.operands.length > 0) missing('too many arguments');
}

function requireNamed(call: Getopt): void {
  if (call.operands.length === 0) missing('missing snapshot argument');
  if (call.operands.length > 1) missing('too many arguments');
  const isSaved = has(call, 'S');
  if (isSaved && given(call, NOT_WITH_SAVED)) missing('incompatible flags combined with saved send flag');
  if (has(call, 's') && !has(call, 'R') && !isSaved)
    missing('skip-missing flag can only be used in conjunction with replicate');
}

function requireExcludable(call: Getopt): void {
  const odd = excludedOf(call).find((name) => nameProblem(name, 'dataset') !== undefined || !name.includes('/'));
  if (odd !== undefined) missing(`-X ${odd}: not a valid non-root dataset name.`);
  if (has(call, 'X') && !has(call, 'R')) refuse('Cannot specify dataset exclusion (-X) on a non-recursive send.');
}

export function excludedOf(call: Getopt): string[] {
  return (call.options.get('X') ?? []).flatMap((list) => list.split(','));
}

/** What -R and -I ask of their names. */
function requireChain(call: Getopt, from: string | undefined): void {
  const [of = '', tag] = (call.operands[0] ?? '').split('@');
  if (from?.includes('#') === true) refuse('Error: multiple snapshots cannot be sent from a bookmark.');
  if (has(call, 'd')) refuse('Error: multiple snapshots cannot be sent redacted.');
  if (tag === undefined) refuse('Error: Unsupported flag with filesystem or bookmark.');
  const fromOf = from?.includes('@') === true ? (from.split('@')[0] ?? '') : '';
  if (fromOf !== '' && fromOf !== of) missing('incremental source must be in same filesystem');
}
