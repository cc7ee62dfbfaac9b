/** One tool in a process of its own: this process's streams, signals and exit status are the tool's. */
import { Host } from '../host.ts';
import { TOOLS } from '../tool/all-tools.ts';
import type { ToolIo } from '../tool.ts';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

export async function runToolProcess(root: string, name: string, argv: readonly string[]): Promise<number> {
  const load = TOOLS[name];
  if (load === undefined) {
    process.stderr.write(`${name}: not part of this stand-in\n`);
    return 127;
  }
  const stopped = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stopped.abort());
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endOnBrokenPipe);
  const io: ToolIo = {
    stdin: process.stdin,
    out: (data) => void process.stdout.write(data),
    err: (data) => void process.stderr.write(data),
    signal: stopped.signal,
    env: process.env,
  };
  return (await load())(Host.open(root), argv, io);
}

/** As the real tools: the worker ends with its reader. */
function endOnBrokenPipe(err: NodeJS.ErrnoException): void {
  if (err.code === 'EPIPE') process.exit(255);
  throw err;
}
