/** Calls to the controller: a question with one answer, a stream to follow, a conversation. Every failure is a PxmError. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { stripControlInLines } from '@pxmgr/kit/log/redact';
import {
  type Channel,
  type ClientConstructor,
  call,
  callBidi,
  callStream,
  createChannel,
} from '@pxmgr/kit/rpc/channel';
import type { CliConfig } from './config.ts';
import type { Context } from './context.ts';
import { readCredentials } from './credentials.ts';

/** Reads answer at once; what asks registries or agents may take a while. */
const DEADLINE_MS = 15_000;
const SLOW_DEADLINE_MS = 120_000;

type RequestOf<C extends object, K extends keyof C> = Parameters<typeof call<C, K>>[2];
type AnswerOf<C extends object, K extends keyof C> = Awaited<ReturnType<typeof call<C, K>>>;
type Conversation<C extends object, K extends keyof C> = ReturnType<typeof callBidi<C, K>>;
type Said<C extends object, K extends keyof C> = Parameters<Conversation<C, K>['write']>[0];
type Heard<C extends object, K extends keyof C> =
  Conversation<C, K>['messages'] extends AsyncIterable<infer Message> ? Message : never;

/** The controller as one run of the program sees it; every call ends when the user interrupts. */
export class Controller {
  private readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }

  /** One question, one answer. */
  async ask<C extends object, K extends keyof C>(
    service: ClientConstructor<C>,
    method: K,
    request: RequestOf<C, K>,
  ): Promise<AnswerOf<C, K>> {
    return await this.unary(service, method, { request, deadlineMs: DEADLINE_MS });
  }

  /** The same where the controller itself has to ask registries or agents. */
  async askSlow<C extends object, K extends keyof C>(
    service: ClientConstructor<C>,
    method: K,
    request: RequestOf<C, K>,
  ): Promise<AnswerOf<C, K>> {
    return await this.unary(service, method, { request, deadlineMs: SLOW_DEADLINE_MS });
  }

  /** One question, many answers. */
  follow<C extends object, K extends keyof C>(
    service: ClientConstructor<C>,
    method: K,
    request: Parameters<typeof callStream<C, K>>[2],
  ): ReturnType<typeof callStream<C, K>> {
    const signal = this.context.interrupted;
    return calmly(callStream(this.context.connect().client(service), method, request, { signal }));
  }

  /** `requests` are sent as they come, the answers are yielded. */
  async *converse<C extends object, K extends keyof C>(
    service: ClientConstructor<C>,
    method: K,
    requests: AsyncIterable<Said<C, K>>,
  ): AsyncGenerator<Heard<C, K>> {
    const conversation = callBidi(this.context.connect().client(service), method, { signal: this.context.interrupted });
    let broken: unknown;
    // Not awaited: the other side may end the call while the next piece of input is still being waited for.
    void send(conversation, requests).catch((error: unknown) => {
      broken = error;
      conversation.cancel();
    });
    try {
      for await (const message of conversation.messages) yield message;
    } catch (error) {
      throw broken ?? error;
    } finally {
      conversation.cancel();
    }
  }

  private async unary<C extends object, K extends keyof C>(
    service: ClientConstructor<C>,
    method: K,
    options: { readonly request: RequestOf<C, K>; readonly deadlineMs: number },
  ): Promise<AnswerOf<C, K>> {
    const { request, deadlineMs } = options;
    const limits = { deadlineMs, signal: this.context.interrupted };
    return calm(await call(this.context.connect().client(service), method, request, limits));
  }
}

/** Line feeds and tabs may stay; see kit/src/log/redact.ts for what may not. */
const RESTLESS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Surrogate}]/u;

/**
 * An answer whose texts cannot speak to the terminal: names of guests, files and images come from hosts and registries.
 * Bytes are left alone: what a program in a guest writes is its own.
 */
export function calm<T>(value: T): T {
  if (typeof value === 'string') return (RESTLESS.test(value) ? stripControlInLines(value) : value) as T;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => calm(item)) as T;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, calm<unknown>(inner)])) as T;
}

async function* calmly<T>(messages: AsyncIterable<T>): AsyncGenerator<T, void, void> {
  for await (const message of messages) yield calm(message);
}

export function controllerOf(context: Context): Controller {
  return new Controller(context);
}

interface Sender<Req> {
  readonly write: (message: Req) => Promise<void>;
  readonly end: () => void;
}

async function send<Req>(conversation: Sender<Req>, requests: AsyncIterable<Req>): Promise<void> {
  try {
    for await (const request of requests) await conversation.write(request);
    conversation.end();
  } catch (error) {
    // The call is over; its answer stream carries the reason.
    if (!(error instanceof PxmError)) throw error;
  }
}

/** The channel of one run of the program: opened at the first call. */
export class Connection {
  private readonly config: CliConfig;
  private readonly configFile: string;
  private channel: Channel | undefined;

  constructor(config: CliConfig, configFile: string) {
    this.config = config;
    this.configFile = configFile;
  }

  open(): Channel {
    this.channel ??= this.make();
    return this.channel;
  }

  close(): void {
    this.channel?.close();
  }

  private make(): Channel {
    const { controller: address } = this.config;
    const peer = { kind: 'controller' as const };
    if (address.startsWith('unix:')) return createChannel({ address, peer });
    return createChannel({ address, tls: readCredentials(this.config, this.configFile), peer });
  }
}
