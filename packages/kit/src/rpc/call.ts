import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { fromServiceError } from '../error/from-status.ts';
import { PxmError } from '../error/pxm-error.ts';
import { traceparent } from './trace.ts';

export interface CallOptions {
  /** Default 30,000 for single answers, none for streams. */
  deadlineMs?: number;
  signal?: AbortSignal;
  /** Joins the caller's trace: CallContext.traceId. */
  traceId?: string;
}

const DEFAULT_DEADLINE_MS = 30_000;

// The last of the generated overloads: request, metadata, options, callback.
type UnaryOf<Req, Res> = (
  ...call: [
    request: Req,
    metadata: Metadata,
    options: Partial<GrpcCallOptions>,
    callback: (error: ServiceError | null, response: Res) => void,
  ]
) => ClientUnaryCall;
type StreamOf<Req, Res> = (
  request: Req,
  metadata?: Metadata,
  options?: Partial<GrpcCallOptions>,
) => ClientReadableStream<Res>;
type BidiOf<Req, Res> = (metadata: Metadata, options?: Partial<GrpcCallOptions>) => ClientDuplexStream<Req, Res>;

type RequestOf<M> = M extends UnaryOf<infer Req, infer _> ? Req : never;
type ResponseOf<M> = M extends UnaryOf<infer _, infer Res> ? Res : never;
type StreamRequestOf<M> = M extends StreamOf<infer Req, infer _> ? Req : never;
type StreamResponseOf<M> = M extends StreamOf<infer _, infer Res> ? Res : never;
type BidiRequestOf<M> = M extends BidiOf<infer Req, infer _> ? Req : never;
type BidiResponseOf<M> = M extends BidiOf<infer _, infer Res> ? Res : never;

type Explain = (error: unknown) => Promise<PxmError>;
const explainers = new WeakMap<object, Explain>();

/** Set by the channel: how failures of this client become PxmError. */
export function bindErrors(client: Client, explain: Explain): void {
  explainers.set(client, explain);
}

async function explain(client: object, error: unknown): Promise<PxmError> {
  return (await explainers.get(client)?.(error)) ?? fromServiceError(error, { peer: 'the server' });
}

function metadataFor(options: CallOptions): Metadata {
  const metadata = new Metadata();
  if (options.traceId !== undefined) metadata.set('traceparent', traceparent(options.traceId));
  return metadata;
}

function optionsFor(deadlineMs: number | undefined): Partial<GrpcCallOptions> {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function cancelled(): PxmError {
  return new PxmError('PXM_CANCELLED', { what: 'the call' });
}

function methodOf(client: object, name: PropertyKey): (...args: unknown[]) => unknown {
  const method: unknown = Reflect.get(client, name);
  if (typeof method !== 'function') throw new Error(`client has no method ${String(name)}`);
  return method.bind(client) as (...args: unknown[]) => unknown;
}

/** One request, one answer. Rejects with PxmError; an aborted signal gives PXM_CANCELLED. Never repeated by us. */
// eslint-disable-next-line @typescript-eslint/max-params -- reads as the call it makes: client, method, request
export async function call<C extends object, K extends keyof C>(
  client: C,
  method: K,
  request: RequestOf<C[K]>,
  options: CallOptions = {},
): Promise<ResponseOf<C[K]>> {
  const { signal } = options;
  if (signal?.aborted) throw cancelled();
  let onAbort: (() => void) | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const running = methodOf(client, method)(
        request,
        metadataFor(options),
        optionsFor(options.deadlineMs ?? DEFAULT_DEADLINE_MS),
        (error: ServiceError | null, response: ResponseOf<C[K]>) => {
          if (error === null) resolve(response);
          else reject(error);
        },
      ) as ClientUnaryCall;
      onAbort = () => {
        running.cancel();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  } catch (error) {
    throw signal?.aborted === true ? cancelled() : await explain(client, error);
  } finally {
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
  }
}

/** One request, many answers. Leaving the loop early cancels the call. Throws PxmError. */
// eslint-disable-next-line @typescript-eslint/max-params -- reads as the call it makes: client, method, request
export async function* callStream<C extends object, K extends keyof C>(
  client: C,
  method: K,
  request: StreamRequestOf<C[K]>,
  options: CallOptions = {},
): AsyncGenerator<StreamResponseOf<C[K]>, void, undefined> {
  if (options.signal?.aborted) throw cancelled();
  const stream = methodOf(client, method)(
    request,
    metadataFor(options),
    optionsFor(options.deadlineMs),
  ) as ClientReadableStream<StreamResponseOf<C[K]>>;
  yield* messagesOf(client, stream, watchEnd(stream, options.signal));
}

interface StreamEnd {
  /** The status, when it was not OK. */
  failure: unknown;
  readonly isAborted: () => boolean;
  readonly forget: () => void;
}

/**
 * Attached when the call is made: grpc-js emits the status as an 'error' event without destroying the stream, so a
 * reader that starts later would see a normal end, and without any listener the process would end.
 */
function watchEnd(
  stream: ClientReadableStream<unknown> | ClientDuplexStream<never, unknown>,
  signal: AbortSignal | undefined,
): StreamEnd {
  const onAbort = (): void => {
    stream.cancel();
  };
  const end: StreamEnd = {
    failure: undefined,
    isAborted: () => signal?.aborted === true,
    forget: () => {
      signal?.removeEventListener('abort', onAbort);
    },
  };
  stream.on('error', (error: unknown) => {
    end.failure ??= error;
  });
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return end;
}

async function* messagesOf<Res>(
  client: object,
  stream: ClientReadableStream<Res>,
  end: StreamEnd,
): AsyncGenerator<Res, void, undefined> {
  try {
    for await (const message of stream) yield message as Res;
    if (end.failure !== undefined) throw await explain(client, end.failure);
  } catch (error) {
    throw end.isAborted() ? cancelled() : await explain(client, error);
  } finally {
    end.forget();
    stream.cancel();
  }
}

/** Both sides talk. */
export interface BidiCall<Req, Res> {
  /** Resolves when there is room for more; rejects with PXM_CANCELLED when the call is over. */
  write(message: Req): Promise<void>;
  /** No more messages from us; the answers go on. */
  end(): void;
  /** Read it to the end: it also carries the failure of the call. */
  readonly messages: AsyncIterable<Res>;
  cancel(): void;
}

/** Opens a call in both directions. */
export function callBidi<C extends object, K extends keyof C>(
  client: C,
  method: K,
  options: CallOptions = {},
): BidiCall<BidiRequestOf<C[K]>, BidiResponseOf<C[K]>> {
  type Req = BidiRequestOf<C[K]>;
  const stream = methodOf(client, method)(metadataFor(options), optionsFor(options.deadlineMs)) as ClientDuplexStream<
    Req,
    BidiResponseOf<C[K]>
  >;
  const watched = watchEnd(stream, options.signal);
  let isOver = false;
  for (const event of ['error', 'close', 'end']) {
    stream.once(event, () => {
      isOver = true;
      stream.emit('over');
    });
  }
  return {
    write: (message) =>
      new Promise((resolve, reject) => {
        if (isOver) {
          reject(cancelled());
          return;
        }
        if (stream.write(message)) {
          resolve();
          return;
        }
        const settle = (): void => {
          stream.removeListener('drain', settle);
          stream.removeListener('over', settle);
          if (isOver) reject(cancelled());
          else resolve();
        };
        stream.on('drain', settle);
        stream.on('over', settle);
      }),
    end: () => {
      stream.end();
    },
    messages: messagesOf(client, stream as unknown as ClientReadableStream<BidiResponseOf<C[K]>>, watched),
    cancel: () => {
      stream.cancel();
    },
  };
}
