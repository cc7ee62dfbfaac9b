import type { EventEmitter } from 'node:events';
import type {
  Metadata,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedHandleCall,
} from '@grpc/grpc-js';
import { abortReason } from '../sync/abort.ts';
import type { ActiveCall, CallFacts, Reply } from './active-call.ts';
import type { BidiHandler, MethodDefinition, ServerStreamHandler, UnaryHandler, Write } from './handlers.ts';
import { ANONYMOUS, type Identity } from './identity.ts';
import { traceIdFrom } from './trace.ts';

/** The parts of a grpc-js server call that all kinds share. */
export interface RawCall extends EventEmitter {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  getAuthContext(): { sslPeerCertificate?: { raw: Uint8Array } };
}

/** What the server brings to each call: who calls, whether they may, and the register of running calls. */
export interface Gate {
  /** Identity of the caller; throws when there is none that is valid. */
  identify(call: RawCall, method: string): Identity;
  /** Throws when the identity may not call the method; also while the server stops. */
  admit(identity: Identity, method: string): void;
  open<Res>(facts: CallFacts, reply: Reply<Res>): ActiveCall<Res>;
  close(call: ActiveCall<unknown>): void;
}

type AnyHandler =
  | UnaryHandler<unknown, unknown>
  | ServerStreamHandler<unknown, unknown>
  | BidiHandler<unknown, unknown>;

/** A plain async function as the callback or stream handler that grpc-js wants. */
export function adapt(
  definition: MethodDefinition<unknown, unknown>,
  handler: AnyHandler,
  gate: Gate,
): UntypedHandleCall {
  const method = definition.path.slice(1);
  const isStream = definition.requestStream || definition.responseStream;
  const begin = (raw: RawCall, reply: Reply<unknown>): ActiveCall<unknown> | undefined =>
    start({ method, isStream }, { raw, reply, gate });
  if (definition.requestStream)
    return bidiCall(handler as BidiHandler<unknown, unknown>, begin, gate) as UntypedHandleCall;
  if (definition.responseStream)
    return streamCall(handler as ServerStreamHandler<unknown, unknown>, begin, gate) as UntypedHandleCall;
  return unaryCall(handler as UnaryHandler<unknown, unknown>, begin, gate) as UntypedHandleCall;
}

type Begin = (raw: RawCall, reply: Reply<unknown>) => ActiveCall<unknown> | undefined;

function start(
  kind: { method: string; isStream: boolean },
  { raw, reply, gate }: { raw: RawCall; reply: Reply<unknown>; gate: Gate },
): ActiveCall<unknown> | undefined {
  const facts = { ...kind, deadline: deadlineOf(raw), traceId: traceIdFrom(raw.metadata) };
  let identity: Identity;
  try {
    identity = gate.identify(raw, kind.method);
  } catch (error) {
    const refused = gate.open({ ...facts, identity: ANONYMOUS }, reply);
    refused.fail(error);
    gate.close(refused);
    return undefined;
  }
  const call = gate.open({ ...facts, identity }, reply);
  try {
    gate.admit(identity, kind.method);
  } catch (error) {
    call.fail(error);
    gate.close(call);
    return undefined;
  }
  raw.once('cancelled', () => {
    call.abandoned();
  });
  if (!raw.cancelled) return call;
  call.abandoned();
  gate.close(call);
  return undefined;
}

function deadlineOf(raw: RawCall): Date | undefined {
  const deadline = raw.getDeadline();
  if (deadline instanceof Date) return deadline;
  return Number.isFinite(deadline) ? new Date(deadline) : undefined;
}

/**
 * Runs the handler and answers once, also one that throws before it returns its promise. A handler that throws because
 * of the abort is answered by whoever aborted.
 */
function follow(call: ActiveCall<unknown>, gate: Gate, work: () => Promise<unknown>): void {
  Promise.resolve()
    .then(work)
    .then(
      (value) => {
        call.succeed(value);
      },
      (error: unknown) => {
        call.fail(error);
      },
    )
    .finally(() => {
      gate.close(call);
    });
}

function unaryCall(handler: UnaryHandler<unknown, unknown>, begin: Begin, gate: Gate) {
  return (raw: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>): void => {
    const reply: Reply<unknown> = {
      ok: (value) => {
        callback(null, value);
      },
      fail: (error) => {
        callback(error);
      },
    };
    const call = begin(raw, reply);
    if (call !== undefined) follow(call, gate, () => handler(raw.request, call.context));
  };
}

function streamCall(handler: ServerStreamHandler<unknown, unknown>, begin: Begin, gate: Gate) {
  return (raw: ServerWritableStream<unknown, unknown>): void => {
    const call = begin(raw, streamReply(raw));
    if (call !== undefined) follow(call, gate, () => handler(raw.request, call.context, writer(raw, call)));
  };
}

function bidiCall(handler: BidiHandler<unknown, unknown>, begin: Begin, gate: Gate) {
  return (raw: ServerDuplexStream<unknown, unknown>): void => {
    const call = begin(raw, streamReply(raw));
    if (call !== undefined) follow(call, gate, () => handler(incoming(raw, call), call.context, writer(raw, call)));
  };
}

interface Answering {
  end(): unknown;
  emit(event: 'error', error: Error): boolean;
}

function streamReply(raw: Answering): Reply<unknown> {
  return {
    ok: () => {
      raw.end();
    },
    // grpc-js turns an emitted error into the status of the call.
    fail: (error) => {
      raw.emit('error', error);
    },
  };
}

interface Writing extends EventEmitter {
  write(message: unknown): boolean;
}

function writer(raw: Writing, call: ActiveCall<unknown>): Write<unknown> {
  const { signal } = call.context;
  return (message) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      if (raw.write(message)) {
        resolve();
        return;
      }
      const onDrain = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        raw.removeListener('drain', onDrain);
        reject(abortReason(signal));
      };
      raw.once('drain', onDrain);
      signal.addEventListener('abort', onAbort, { once: true });
    });
}

/** The caller's messages until it half-closes; throws the abort reason when the call ends otherwise. */
async function* incoming(raw: ServerDuplexStream<unknown, unknown>, call: ActiveCall<unknown>): AsyncGenerator {
  const { signal } = call.context;
  const queue: unknown[] = [];
  let wake: () => void = () => undefined;
  const end = { isSeen: false };
  const changed = (): void => {
    wake();
  };
  raw.on('data', (message: unknown) => {
    queue.push(message);
    raw.pause();
    changed();
  });
  raw.on('end', () => {
    end.isSeen = true;
    changed();
  });
  signal.addEventListener('abort', changed, { once: true });
  for (;;) {
    if (queue.length > 0) {
      yield queue.shift();
      if (queue.length === 0) raw.resume();
      continue;
    }
    if (signal.aborted) throw abortReason(signal);
    if (end.isSeen) return;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
