/** One tool in a process of its own: this process's streams, signals and exit status are the tool's. */
import { statSync } from 'node:fs';
import type { ToolIo } from '../call/tool.ts';
import { Host } from '../host/host.ts';
import { TOOLS } from '../tool/all-tools.ts';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

export async function runToolProcess(root: string, name: string, argv: readonly string[]): Promise<number> {
  const load = TOOLS[name];
  if (load === undefined) {
    process.stderr.write(`${name}: not part of this stand-in\n`);
    return 127;
  }
  const stopped = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stopped.abort());
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (err: NodeJS.ErrnoException) => endOnBrokenPipe(err, name));
  const io: ToolIo = {
    stdin: process.stdin,
    out: (data) => void process.stdout.write(data),
    err: (data) => void process.stderr.write(data),
    flush: () => flushed(process.stdout),
    signal: stopped.signal,
    env: process.env,
    uid: callerOf(root),
  };
  const status = await (await load())(Host.open(root), argv, io);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  return status;
}

/** Everything written has left this process. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write('', () => resolve()));
}

/** Who owns the host's directory is its root: tests need not run as the machine's. */
function callerOf(root: string): number {
  const uid = process.getuid?.() ?? 0;
  return statSync(root).uid === uid ? 0 : uid;
}

/** As the real tools: the worker ends with its reader; programs in C by the signal, which a shell shows as 141. */
function endOnBrokenPipe(err: NodeJS.ErrnoException, tool: string): void {
  if (err.code === 'EPIPE') process.exit(tool === 'zfs' || tool === 'zpool' ? 141 : 255);
  throw err;
}
