import type { Logger } from '../log/logger.ts';
import type { Identity } from './identity.ts';

/** What a handler knows about the call. */
export interface CallContext {
  readonly identity: Identity;
  readonly deadline?: Date;
  /** Aborted when the caller goes away, the deadline passes, the identity is revoked or the server stops. */
  readonly signal: AbortSignal;
  /** Carries rpc, peer and trace. */
  readonly logger: Logger;
  /** 32 hex digits, from the caller's traceparent or fresh. */
  readonly traceId: string;
}

/** Resolves when there is room for more; rejects when the call is over. */
export type Write<Res> = (message: Res) => Promise<void>;

export type UnaryHandler<Req, Res> = (request: Req, context: CallContext) => Promise<Res>;
export type ServerStreamHandler<Req, Res> = (request: Req, context: CallContext, write: Write<Res>) => Promise<void>;
export type BidiHandler<Req, Res> = (
  messages: AsyncIterable<Req>,
  context: CallContext,
  write: Write<Res>,
) => Promise<void>;

/** One method as ts-proto generates it (outputServices=grpc-js). */
export interface MethodDefinition<Req, Res> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Req) => Buffer;
  readonly requestDeserialize: (value: Buffer) => Req;
  readonly responseSerialize: (value: Res) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Res;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- message types differ per method and meet only in Implementation
export type ServiceDefinition = Readonly<Record<string, MethodDefinition<any, any>>>;

type HandlerOf<M> = M extends {
  requestStream: infer In;
  responseStream: infer Out;
  requestDeserialize: (value: Buffer) => infer Req;
  responseDeserialize: (value: Buffer) => infer Res;
}
  ? In extends true
    ? BidiHandler<Req, Res>
    : Out extends true
      ? ServerStreamHandler<Req, Res>
      : UnaryHandler<Req, Res>
  : never;

/** One plain async function per method of a service. */
export type Implementation<Def extends ServiceDefinition> = { readonly [K in keyof Def]: HandlerOf<Def[K]> };

/** Only names the kind of a handler where it is written; plain functions do as well. */
export function unary<Req, Res>(handler: UnaryHandler<Req, Res>): UnaryHandler<Req, Res> {
  return handler;
}
