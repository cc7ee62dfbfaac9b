/** `zfs send`: estimates and progress as they are printed. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { findBookmark } from '../pool/clone-verbs.ts';
import { openText } from '../pool/names.ts';
import { humanSize } from '../pool/properties.ts';
import { refuse } from '../pool/refuse.ts';
import { planSend, resumePlan, type SendOptions, type SendStep, sendSteps } from '../pool/send.ts';
import { findDataset, readPools } from '../pool/state.ts';
import { type Getopt, has, last } from './getopt.ts';
import { missing } from './zfs-arguments.ts';
import { excludedOf, isPlanTold, requireUsable } from './zfs-send-options.ts';

const NO_TYPE =
  "Warning: incremental source didn't specify type, assuming snapshot. Use '@' or '#' prefix to avoid ambiguity.\n";

export async function send(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const token = last(call, 't');
  requireUsable(call, token !== undefined);
  if (has(call, 'D')) io.err(NO_DEDUP);
  const name = call.operands[0] ?? '';
  if (has(call, 'S')) sendSaved(host, name);
  requireRedaction(host, call, name);
  const isTold = isPlanTold(call);
  const isQuiet = has(call, 'n') && !isTold;
  // Then nobody is asked about a file system that cannot be sent while it is mounted.
  if (isQuiet && findDataset(readPools(host), name) !== undefined) return;
  const options = optionsOf(call, io, isTold);
  const steps = token === undefined ? planSend(host, name, options) : resumePlan(host, token);
  if (isTold) (has(call, 'n') ? io.out : io.err)(planText(steps, has(call, 'P')));
  if (has(call, 'n')) return;
  const write = has(call, 'v') ? progressing(call, io, steps) : plain(io);
  await sendSteps(host, steps, { options: { ...options, isResumed: token !== undefined }, write });
}

const NO_DEDUP =
  'WARNING: deduplicated send is no longer supported.  A regular,\nnon-deduplicated stream will be generated.\n\n';

/** What a receive keeps of a cut stream; without it the program ends without a word. */
function sendSaved(host: Host, name: string): never {
  if (name.includes('@')) missing('saved send must specify the dataset with partially-received state');
  const dataset = findDataset(readPools(host), name) ?? refuse(openText(name, 'dataset'));
  if (dataset.partial === undefined) throw new ToolError('', 1);
  throw new ToolError('zfs send --saved is not part of this stand-in\n', 255);
}

/** No bookmark of the stand-in is one of a redaction. */
function requireRedaction(host: Host, call: Getopt, name: string): void {
  const given = last(call, 'd');
  if (given === undefined) return;
  if (has(call, 'w')) refuse('Error: raw sends may not be redacted.');
  const bookmark = `${name.split('@')[0] ?? ''}#${given.split('#').at(-1) ?? ''}`;
  if (findBookmark(readPools(host), bookmark) === undefined)
    refuse(`cannot open '${bookmark}': dataset does not exist`);
  refuse(`warning: cannot send '${name}': not a redaction bookmark`);
}

function optionsOf(call: Getopt, io: ToolIo, isTold: boolean): SendOptions {
  const from = last(call, 'I') ?? last(call, 'i');
  const isShort = has(call, 'I') || has(call, 'R');
  if (from !== undefined && !isShort && !/[@#]/.test(from)) io.err(NO_TYPE);
  return {
    ...(from === undefined ? {} : { from }),
    all: has(call, 'I') || (has(call, 'R') && from === undefined),
    isShort,
    isTold,
    replicate: has(call, 'R'),
    withProperties: has(call, 'p') || has(call, 'R'),
    withHolds: has(call, 'h'),
    skipsMissing: has(call, 's'),
    excluded: excludedOf(call),
    warn: (text) => {
      io.err(text);
    },
  };
}

function planText(steps: readonly SendStep[], isForPrograms: boolean): string {
  const total = steps.reduce((sum, step) => sum + step.bytes, 0);
  const line = ({ dataset, snapshot, fromName, bytes }: SendStep): string => {
    const name = `${dataset.name}@${snapshot.name}`;
    if (isForPrograms)
      return fromName === undefined ? `full\t${name}\t${bytes}\n` : `incremental\t${fromName}\t${name}\t${bytes}\n`;
    const from = fromName === undefined || /[@#]/.test(fromName) ? fromName : `@${fromName}`;
    const what = from === undefined ? `full send of ${name}` : `send from ${from} to ${name}`;
    return `${what} estimated size is ${humanSize(bytes)}\n`;
  };
  const end = isForPrograms ? `size\t${total}\n` : `total estimated size is ${humanSize(total)}\n`;
  return `${steps.map(line).join('')}${end}`;
}

/** At the pace of the reader. */
function plain(io: ToolIo): (data: Uint8Array) => Promise<void> {
  return async (data) => {
    io.out(data);
    await io.flush?.();
  };
}

const SECOND_MS = 1000;

/** A line for every second that the transfer takes, also for those in which the reader kept it waiting. */
function progressing(call: Getopt, io: ToolIo, steps: readonly SendStep[]): (data: Uint8Array) => Promise<void> {
  const name = `${steps[0]?.dataset.name ?? ''}@${steps[0]?.snapshot.name ?? ''}`;
  const isForPrograms = has(call, 'P');
  let next = Date.now() + SECOND_MS;
  let sent = 0;
  let isBegun = false;
  return async (data) => {
    await plain(io)(data);
    for (; Date.now() >= next; next += SECOND_MS) {
      if (!isForPrograms && !isBegun) io.err(`TIME        SENT   SNAPSHOT ${name}\n`);
      isBegun = true;
      const time = new Date(next).toTimeString().slice(0, 8);
      io.err(isForPrograms ? `${time}\t${sent}\t${name}\n` : `${time}   ${humanSize(sent).padStart(5)}   ${name}\n`);
    }
    sent += data.length;
  };
}
