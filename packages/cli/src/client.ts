/** Calls to the controller: a question with one answer, a stream to follow, a conversation. Every failure is a PxmError. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
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
    return callStream(this.context.connect().client(service), method, request, { signal: this.context.interrupted });
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
    return await call(this.context.connect().client(service), method, request, {
      deadlineMs,
      signal: this.context.interrupted,
    });
  }
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
