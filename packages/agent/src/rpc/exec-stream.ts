import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { ExecContainerRequest, ExecContainerResponse } from '@pxmgr/contract/agent';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { commandFailed } from '@pxmgr/kit/exec/failure';
import type { CallContext, Write } from '@pxmgr/kit/rpc/handlers';
import { exitStatus, startExec } from '../guest/exec.ts';
import type { GuestParts } from '../guest/parts.ts';

export interface ExecStream {
  readonly messages: AsyncIterable<ExecContainerRequest>;
  readonly context: CallContext;
  readonly write: Write<ExecContainerResponse>;
}

/** One command inside a guest: first message says what, then stdin goes in, output and at last the status come out. */
export async function execContainer(parts: GuestParts, { messages, context, write }: ExecStream): Promise<void> {
  const incoming = messages[Symbol.asyncIterator]();
  const first = await incoming.next();
  const start = first.done === true ? undefined : first.value.request;
  if (start?.$case !== 'start') {
    throw new PxmError('PXM_INPUT_INVALID', {
      count: '1',
      problems: 'the first message of an exec call must say what to run',
    });
  }
  const running = startExec(parts, { ...start.value, marker: randomBytes(16).toString('hex') });
  const onAbort = (): void => {
    void running.stop();
  };
  context.signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Not awaited: a caller may keep its side open long after the command has ended.
    void feed(incoming, running.stdin);
    const outputs = Promise.allSettled([
      drain(running.stdout, (value) => write({ response: { $case: 'stdout', value } })),
      drain(running.stderr, (value) => write({ response: { $case: 'stderr', value } })),
    ]);
    const result = await running.done;
    // Not after the outputs: what a caller does not read must not keep the program inside beyond its time.
    if (result.timedOut) void running.stop();
    // A caller that leaves fails its outputs long before the command has ended.
    for (const output of await outputs) if (output.status === 'rejected') throw output.reason;
    if (result.timedOut) throw commandFailed(result);
    await write({ response: { $case: 'exitCode', value: exitStatus(result) } });
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
}

async function feed(incoming: AsyncIterator<ExecContainerRequest>, stdin: Writable): Promise<void> {
  try {
    for (let next = await incoming.next(); next.done !== true; next = await incoming.next()) {
      const { request } = next.value;
      if (request?.$case === 'stdinClosed') break;
      if (request?.$case === 'stdin' && !stdin.write(request.value)) await drained(stdin);
    }
  } catch {
    // The call is over; its end is handled where the command is awaited.
  } finally {
    stdin.end();
  }
}

function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    stdin.once('drain', resolve);
    stdin.once('close', resolve);
  });
}

async function drain(stream: Readable, send: (chunk: Buffer) => Promise<void>): Promise<void> {
  for await (const chunk of stream) await send(Buffer.from(chunk as Uint8Array));
}
