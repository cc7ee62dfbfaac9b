/** The streams of this process, as commands see them. Only main.ts uses this. */
import { createInterface } from 'node:readline/promises';
import type { Streams } from './context.ts';

function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    // A reader that went away (a pager, head) is no fault of ours: the end comes with EPIPE on the stream itself.
    stream.write(data, () => resolve());
  });
}

export function processStreams(): Streams {
  const { stdout, stderr, stdin } = process;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outBytes: async (bytes) => await write(stdout, bytes),
    errBytes: async (bytes) => await write(stderr, bytes),
    stdin,
    outIsTty: stdout.isTTY,
    errIsTty: stderr.isTTY,
    stdinIsTty: stdin.isTTY,
    outWidth: stdout.isTTY ? stdout.columns : undefined,
    errWidth: stderr.isTTY ? stderr.columns : undefined,
  };
}

/** Asks on the terminal; undefined when input or output is none. */
export function terminalQuestion(interrupted: AbortSignal): ((question: string) => Promise<string>) | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await terminal.question(question, { signal: interrupted });
    } finally {
      terminal.close();
    }
  };
}
