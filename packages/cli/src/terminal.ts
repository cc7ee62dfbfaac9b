/** The streams of this process, as commands see them. Only main.ts uses this. */
import { createInterface } from 'node:readline/promises';
import { isatty } from 'node:tty';
import type { Streams } from './context.ts';

function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    // A reader that went away (a pager, head) is no fault of ours: the end comes with EPIPE on the stream itself.
    stream.write(data, () => resolve());
  });
}

export function processStreams(): Streams {
  const { stdout, stderr } = process;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outBytes: async (bytes) => await write(stdout, bytes),
    errBytes: async (bytes) => await write(stderr, bytes),
    get stdin() {
      return process.stdin; // opened only when a command reads it
    },
    outIsTty: stdout.isTTY,
    errIsTty: stderr.isTTY,
    stdinIsTty: isatty(0),
    outWidth: stdout.isTTY ? stdout.columns : undefined,
    errWidth: stderr.isTTY ? stderr.columns : undefined,
  };
}

/** What was written is with the reader, who may be slow. */
export async function allSaid(): Promise<void> {
  const { stdout, stderr } = process;
  await Promise.all([write(stdout, ''), write(stderr, '')]);
}

/** Asks on the terminal; undefined when input or output is none. */
export function terminalQuestion(interrupted: AbortSignal): ((question: string) => Promise<string>) | undefined {
  if (!isatty(0) || !process.stderr.isTTY) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await terminal.question(question, { signal: interrupted });
    } finally {
      terminal.close();
    }
  };
}
