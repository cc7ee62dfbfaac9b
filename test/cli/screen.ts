/** One run of the CLI in this process: what a terminal of a given width would show. */
import { Readable } from 'node:stream';
import { start } from '@pxmgr/cli/start';
import { FakeClock } from '@pxmgr/kit/clock';
import { NOW } from './fleet-data.ts';

export interface RunOptions {
  /** Undefined = no terminal. */
  readonly width?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Answer to a question; undefined = no terminal to ask on. */
  readonly answer?: string;
  readonly stdin?: string;
}

export interface Screen {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

export async function runCli(argv: readonly string[], options: RunOptions = {}): Promise<Screen> {
  const { width, answer } = options;
  const isTty = width !== undefined;
  let stdout = '';
  let stderr = '';
  const add = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  const exit = await start({
    argv,
    env: { HOME: '/nowhere', ...options.env },
    clock: new FakeClock(NOW),
    interrupted: new AbortController().signal,
    ask:
      answer === undefined
        ? undefined
        : async (question) => {
            stderr += `${question}${answer}\n`;
            return await Promise.resolve(answer);
          },
    streams: {
      out: (text) => void (stdout += text),
      err: (text) => void (stderr += text),
      outBytes: async (bytes) => await Promise.resolve(void (stdout += add(bytes))),
      errBytes: async (bytes) => await Promise.resolve(void (stderr += add(bytes))),
      stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
      outIsTty: isTty,
      errIsTty: isTty,
      stdinIsTty: options.stdin === undefined,
      outWidth: width,
      errWidth: width,
    },
  });
  return { stdout, stderr, exit };
}

/** As text that can be read and compared: escapes are made visible. */
export function pageOf(title: string, screen: Screen): string {
  const parts = [`$ pxmgr ${title}`];
  if (screen.stdout !== '') parts.push('--- stdout', screen.stdout.trimEnd());
  if (screen.stderr !== '') parts.push('--- stderr', screen.stderr.trimEnd());
  parts.push(`--- exit ${screen.exit}`, '');
  return parts
    .join('\n')
    .replace(/\u001b/g, '␛')
    .replace(/\r/g, '␍');
}
