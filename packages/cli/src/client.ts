/** Calls to the controller: a question with one answer, a stream to follow, a conversation. Every failure is a PxmError. */
import { readFileSync } from 'node:fs';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { systemCode } from '@pxmgr/kit/error/to-problem';
import { type Channel, type ClientConstructor, call, callBidi, callStream, createChannel } from '@pxmgr/kit/rpc/channel';
import type { CliConfig } from './config.ts';
import type { Context } from './context.ts';

/** Reads answer at once; what asks registries or agents may take a while. */
const DEADLINE_MS = 15_000;
const SLOW_DEADLINE_MS = 120_000;

export interface AskOptions {
  /** The controller itself has to ask others for the answer. */
  readonly slow?: boolean;
}

type RequestOf<C extends object, K extends keyof C> = Parameters<typeof call<C, K>>[2];
type AnswerOf<C extends object, K extends keyof C> = Awaited<ReturnType<typeof call<C, K>>>;

/** One question, one answer, within a deadline. */
// biome-ignore lint/complexity/useMaxParams: a call is client, method, request; the context is what makes it ours
export async function ask<C extends object, K extends keyof C>(context: Context, service: ClientConstructor<C>, method: K, request: RequestOf<C, K>, options: AskOptions = {}): Promise<AnswerOf<C, K>> {
  return await call(context.connect().client(service), method, request, { deadlineMs: options.slow === true ? SLOW_DEADLINE_MS : DEADLINE_MS, signal: context.interrupted });
}

/** One question, many answers, until the stream ends or the user interrupts. */
// biome-ignore lint/complexity/useMaxParams: as above
export function follow<C extends object, K extends keyof C>(context: Context, service: ClientConstructor<C>, method: K, request: Parameters<typeof callStream<C, K>>[2]): ReturnType<typeof callStream<C, K>> {
  return callStream(context.connect().client(service), method, request, { signal: context.interrupted });
}

/** A conversation: `requests` are sent as they come, the answers are yielded. */
// biome-ignore lint/complexity/useMaxParams: as above
export async function* converse<C extends object, K extends keyof C>(
  context: Context,
  service: ClientConstructor<C>,
  method: K,
  requests: AsyncIterable<Parameters<ReturnType<typeof callBidi<C, K>>['write']>[0]>,
): AsyncGenerator<Awaited<ReturnType<ReturnType<ReturnType<typeof callBidi<C, K>>['messages'][typeof Symbol.asyncIterator]>['next']>>['value']> {
  const conversation = callBidi(context.connect().client(service), method, { signal: context.interrupted });
  const sending = send(conversation, requests);
  try {
    yield* conversation.messages;
  } finally {
    conversation.cancel();
    await sending;
  }
}

interface Sender<Req> {
  write(message: Req): Promise<void>;
  end(): void;
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

function readPem(path: string, what: string): string {
  if (path === '') throw new PxmError('PXM_USAGE', { problem: `${what} is not set, and a controller at host:port needs it`, command: 'pxmgr config show' });
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw new PxmError('PXM_FILE_NOT_FOUND', { path });
    if (systemCode(error) === 'EACCES') throw new PxmError('PXM_FILE_DENIED', { path });
    throw error;
  }
}

/** The channel of one run of the program: opened at the first call. */
export class Connection {
  private readonly config: CliConfig;
  private channel: Channel | undefined;

  constructor(config: CliConfig) {
    this.config = config;
  }

  open(): Channel {
    this.channel ??= this.make();
    return this.channel;
  }

  close(): void {
    this.channel?.close();
  }

  private make(): Channel {
    const { controller: address, ca_file, cert_file, key_file } = this.config;
    const peer = { kind: 'controller' as const };
    if (address.startsWith('unix:')) return createChannel({ address, peer });
    const tls = { ca: readPem(ca_file, 'ca_file'), cert: readPem(cert_file, 'cert_file'), key: readPem(key_file, 'key_file') };
    return createChannel({ address, tls, peer });
  }
}
