import { randomBytes } from 'node:crypto';
import { type Logger as PinoLogger, pino } from 'pino';
import { causeMessages, messageOf } from '../error/chain.ts';
import { PxmError } from '../error/pxm-error.ts';
import { type LineSink, stdoutSink, withSyslogPrefix } from './journal.ts';
import { redact, stripControl, stripControlInLines } from './redact.ts';

/**
 * Structured logger. Fields come first, then a static message: `logger.info({ vmid, op }, 'guest started')`.
 * Field names are fixed: op, upid, vmid, kind, storage, dataset, image, plan, step, rpc, peer, subject, seq, cmd,
 * exit, signal, ms, attempt, err.
 */
export type Logger = PinoLogger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LoggerOptions {
  service: string;
  node?: string;
  version: string;
  level: LogLevel;
  /** Default: stdout of this process. */
  stream?: LineSink;
  /** Prefix lines with `<N>` so that journald stores the priority. */
  syslogPrefix?: boolean;
}

/** One JSON object per line; every string is cleaned of control characters, every line passes the secret registry. */
export function createLogger(options: LoggerOptions): Logger {
  const target = options.stream ?? stdoutSink();
  const sink = options.syslogPrefix === true ? withSyslogPrefix(target) : target;
  const logger: Logger = pino(
    {
      level: options.level,
      base: {
        svc: options.service,
        ...(options.node === undefined ? {} : { node: options.node }),
        ver: options.version,
        boot: randomBytes(4).toString('hex'),
      },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
      },
      serializers: { err: (error: unknown) => describeError(error, logger.isLevelEnabled('debug')) },
      hooks: {
        logMethod(args, method) {
          const cleaned = args.map((arg) => clean(arg)) as typeof args;
          method.apply(this, cleaned);
        },
      },
    },
    { write: (line: string) => sink.write(redact(line)) },
  );
  // pino applies no formatter to the bindings of children; they inherit this method.
  const makeChild: (bindings: object, options?: object) => Logger = Reflect.get(logger, 'child');
  logger.child = function child(this: Logger, bindings: object, childOptions?: object) {
    return makeChild.call(this, clean(bindings) as object, childOptions);
  } as unknown as typeof logger.child;
  return logger;
}

/** A logger that writes nothing, for tests and one-shot commands. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

const MAX_DEPTH = 6;

/** Strings without control characters; errors stay errors for the serializer. */
function clean(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return stripControl(value);
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object' || value instanceof Error || value instanceof Date) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Uint8Array) return `[${String(value.byteLength)} bytes]`;
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, item instanceof Error ? item : clean(item, depth + 1)]),
  );
}

/** Stack only where it helps: at debug, and for failures that are our own fault. */
function describeError(error: unknown, withStack: boolean): unknown {
  if (!(error instanceof Error)) return clean(error);
  const code = error instanceof PxmError ? error.code : 'code' in error ? String(error.code) : undefined;
  const chain = causeMessages(error);
  const ownFault = !(error instanceof PxmError) || error.code === 'PXM_INTERNAL';
  return {
    ...(code === undefined ? {} : { code }),
    message: messageOf(error),
    ...(error instanceof PxmError ? { fields: clean(error.fields) } : {}),
    ...(chain.length === 0 ? {} : { chain }),
    ...(withStack || ownFault ? { stack: stripControlInLines(innermost(error).stack ?? '') } : {}),
  };
}

function innermost(error: Error): Error {
  const seen = new Set<Error>();
  let current = error;
  while (current.cause instanceof Error && !seen.has(current.cause)) {
    seen.add(current);
    current = current.cause;
  }
  return current;
}
