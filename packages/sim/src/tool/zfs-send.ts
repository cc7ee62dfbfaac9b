/** `zfs send` and `zfs receive`: options, estimates and progress as they are printed. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { humanSize } from '../pool/properties.ts';
import { abandon, receive } from '../pool/receive.ts';
import { planSend, resumePlan, type SendOptions, type SendStep, sendSteps } from '../pool/send.ts';
import { type Getopt, has, last } from './getopt.ts';
import { missing, operands, pairsOf } from './zfs-arguments.ts';

const NO_TYPE =
  "Warning: incremental source didn't specify type, assuming snapshot. Use '@' or '#' prefix to avoid ambiguity.\n";

export const SEND_LONG = {
  ...{ replicate: 'R', 'skip-missing': 's', redact: 'd', props: 'p', parsable: 'P', dedup: 'D', proctitle: 'V' },
  ...{ verbose: 'v', dryrun: 'n', 'large-block': 'L', embed: 'e', resume: 't', compressed: 'c', raw: 'w' },
  ...{ backup: 'b', holds: 'h', saved: 'S', exclude: 'X' },
} as const;

export async function send(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const token = last(call, 't');
  requireUsable(call, token !== undefined);
  const name = token === undefined ? (call.operands[0] ?? missing('missing snapshot argument')) : '';
  const options = optionsOf(call, io);
  const steps = token === undefined ? planSend(host, name, options) : resumePlan(host, token);
  const isVerbose = has(call, 'v');
  if (isVerbose || has(call, 'P')) (has(call, 'n') ? io.out : io.err)(planText(steps, has(call, 'P')));
  if (has(call, 'n')) return;
  const write = isVerbose ? progressing(call, io, steps) : plain(io);
  await sendSteps(host, steps, { options: { ...options, isResumed: token !== undefined }, write });
}

const NOT_WITH_TOKEN = ['R', 'I', 'i', 'X', 'p', 'b', 'h', 's'];

function requireUsable(call: Getopt, isResumed: boolean): void {
  if (isResumed && NOT_WITH_TOKEN.some((letter) => has(call, letter))) missing('invalid flags combined with -t');
  if (call.operands.length > (isResumed ? 0 : 1)) missing('too many arguments');
  if (has(call, 'X') && !has(call, 'R'))
    throw new ToolError('Cannot specify dataset exclusion (-X) on a non-recursive send.\n', 1);
}

function optionsOf(call: Getopt, io: ToolIo): SendOptions {
  const from = last(call, 'I') ?? last(call, 'i');
  const isChain = has(call, 'I') || has(call, 'R');
  if (from !== undefined && !has(call, 'I') && !/[@#]/.test(from)) io.err(NO_TYPE);
  return {
    ...(from === undefined ? {} : { from }),
    all: isChain,
    replicate: has(call, 'R'),
    withProperties: has(call, 'p') || has(call, 'R'),
    withHolds: has(call, 'h'),
  };
}

function planText(steps: readonly SendStep[], isForPrograms: boolean): string {
  const total = steps.reduce((sum, step) => sum + step.bytes, 0);
  const line = ({ dataset, snapshot, fromName, bytes }: SendStep): string => {
    const name = `${dataset.name}@${snapshot.name}`;
    if (isForPrograms)
      return fromName === undefined ? `full\t${name}\t${bytes}\n` : `incremental\t${fromName}\t${name}\t${bytes}\n`;
    const what = fromName === undefined ? `full send of ${name}` : `send from ${fromName} to ${name}`;
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

export async function receiveStream(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const [target = ''] = operands(call, 'missing snapshot argument');
  if (has(call, 'A')) {
    abandon(host, target);
    return;
  }
  if (has(call, 'd') && has(call, 'e')) missing('invalid option combination: -d and -e are mutually exclusive');
  const append = has(call, 'd') ? 'd' : has(call, 'e') ? 'e' : undefined;
  const properties = pairsOf(call.options.get('o') ?? [], 2).filter(([key]) => key !== 'origin');
  await receive(host, target, {
    stdin: io.stdin,
    options: {
      force: has(call, 'F'),
      unmounted: has(call, 'u') || (io.uid ?? 0) !== 0,
      dryRun: has(call, 'n'),
      resumable: has(call, 's'),
      properties,
      excluded: call.options.get('x') ?? [],
      ...(append === undefined ? {} : { append }),
      log: (text) => {
        if (has(call, 'v')) io.out(text);
      },
    },
  });
}
