import { writeSync } from 'node:fs';

/** Takes whole lines, line feed included. */
export interface LineSink {
  write(line: string): void;
}

/** Waits this long in total for a full pipe before a log line is given up: logging must not hang the daemon. */
const MAX_STALL_MS = 1000;

/** Standard output, written synchronously so that the last line before a crash is not lost. */
export function stdoutSink(fd = 1): LineSink {
  return {
    write: (line) => {
      writeFully(fd, Buffer.from(line));
    },
  };
}

function writeFully(fd: number, bytes: Buffer): void {
  const givenUpAt = performance.now() + MAX_STALL_MS;
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!isFull || performance.now() > givenUpAt) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** syslog(3) priorities of pino's level names. */
const PRIORITY: Readonly<Record<string, number>> = { trace: 7, debug: 7, info: 6, warn: 4, error: 3, fatal: 2 };

/** `<N>` before each line: journald reads it as the priority and removes it (systemd.exec(5), SyslogLevelPrefix=). */
export function withSyslogPrefix(sink: LineSink): LineSink {
  return {
    write: (line) => {
      const level = /"level":"([a-z]+)"/.exec(line)?.[1] ?? 'info';
      sink.write(`<${String(PRIORITY[level] ?? 6)}>${line}`);
    },
  };
}

/** Plain words on standard error: where that is the journal they stand among the errors, not among the news. */
export function forStderr(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return env['JOURNAL_STREAM'] === undefined ? text : text.replace(/^(?=.)/gm, '<3>');
}
