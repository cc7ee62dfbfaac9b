import { type ConsumerMessages, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { INVENTORY_CONSUMER, INVENTORY_FILTER, INVENTORY_STREAM } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { NatsConnection } from 'nats';
import { Batcher } from './batcher.ts';
import { ensureConsumer, ensureStreams } from './streams.ts';

/** One message of the stream as the layers above see it. */
export interface BusMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface StreamPosition {
  readonly streamCreated: string;
  readonly sequence: number;
}

/** Takes batches; returns only when they are durable. A throw means: the same batch again, later. */
export interface BatchSink {
  /** Where the last durable batch ended; undefined = nothing is known. */
  position(): StreamPosition | undefined;
  /** `position` is to be stored in the same transaction as the effects of the batch. */
  commit(batch: readonly BusMessage[], position: StreamPosition): void;
}

export interface ConsumerOptions {
  readonly connection: NatsConnection;
  readonly sink: BatchSink;
  readonly clock: Clock;
  readonly logger: Logger;
}

const BATCH_MAX = 500;
const BATCH_WAIT_MS = 5;
const IN_FLIGHT = 4000;
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 10_000;

/**
 * Reads the inventory stream into a sink, in order, acknowledging only what the sink has committed. The sink's own
 * position is the only truth: each start begins right behind it, with a consumer made anew. One that goes on would give
 * what its predecessor left unacknowledged only after the acknowledge time, behind newer messages; and its floor knows
 * nothing of a database that was restored. A stream that was made anew is read from the beginning.
 */
export class InventoryConsumer {
  readonly #options: ConsumerOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #messages: ConsumerMessages | undefined;
  #committed = 0;

  constructor(options: ConsumerOptions) {
    this.#options = options;
  }

  /** Messages committed since the start. */
  get committed(): number {
    return this.#committed;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    this.#messages?.stop();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let waitMs = RETRY_FIRST_MS;
    while (!signal.aborted) {
      try {
        const streamCreated = await this.#open();
        waitMs = RETRY_FIRST_MS;
        await this.#readUntilEnd(streamCreated);
      } catch (error) {
        if (!this.#isStopping())
          this.#options.logger.warn({ err: error }, 'reading the inventory stream was interrupted');
      }
      await this.#pause(waitMs);
      waitMs = Math.min(waitMs * 2, RETRY_LAST_MS);
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #pause(ms: number): Promise<void> {
    await this.#options.clock.sleep(ms, this.#stopping.signal).catch(() => undefined);
  }

  /** Makes stream and consumer what they must be and starts delivery; returns the creation time of the stream. */
  async #open(): Promise<string> {
    const { connection, sink, logger } = this.#options;
    const stream = await ensureStreams(connection);
    const manager = await jetstreamManager(connection, { timeout: 10_000 });
    const position = sink.position();
    const after = position?.streamCreated === stream.created ? position.sequence : undefined;
    if (after === undefined) logger.info({ stream: INVENTORY_STREAM }, 'reading the whole inventory stream');
    await ensureConsumer(manager, after);
    const consumer = await jetstream(connection, { timeout: 10_000 }).consumers.get(
      INVENTORY_STREAM,
      INVENTORY_CONSUMER,
    );
    this.#messages = await consumer.consume({
      max_messages: IN_FLIGHT,
      threshold_messages: IN_FLIGHT / 2,
      idle_heartbeat: 5000,
      abort_on_missing_resource: true,
    });
    if (this.#stopping.signal.aborted) this.#messages.stop();
    return stream.created;
  }

  async #readUntilEnd(streamCreated: string): Promise<void> {
    const messages = this.#messages;
    if (messages === undefined) return;
    const batcher = new Batcher<JsMsg>(messages, { max: BATCH_MAX, waitMs: BATCH_WAIT_MS });
    for (;;) {
      const batch = await batcher.next();
      const last = batch.at(-1);
      if (last === undefined) return;
      await this.#commit(batch, { streamCreated, sequence: last.seq });
      if (this.#stopping.signal.aborted) return;
      last.ack();
    }
  }

  /** Tries until the sink has it: the disk may be full for a while, and nothing may be lost then. */
  async #commit(batch: readonly JsMsg[], position: StreamPosition): Promise<void> {
    const messages = batch.map((message) => ({ subject: message.subject, sequence: message.seq, data: message.data }));
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_LAST_MS)) {
      try {
        this.#options.sink.commit(messages, position);
        this.#committed += messages.length;
        return;
      } catch (error) {
        this.#options.logger.error(
          { err: error, seq: position.sequence },
          'a batch of inventory messages was not stored; trying again',
        );
      }
      await this.#pause(waitMs);
      if (this.#stopping.signal.aborted) throw new Error('stopped with a batch that was not stored');
    }
  }
}

/** Far longer than a whole node takes; what was purged meanwhile never comes. */
const READ_MS = 30_000;

/**
 * The last message of every object of one node, for repair; ends when the stream has no more of them. Errors:
 * PXM_NATS_DOWN when some of them did not come.
 */
export async function readNodeSubjects(
  connection: NatsConnection,
  nodeUid: string,
  limitMs = READ_MS,
): Promise<BusMessage[]> {
  const filter = INVENTORY_FILTER.replace('>', `${nodeUid}.>`);
  const consumer = await jetstream(connection, { timeout: 10_000 }).consumers.get(INVENTORY_STREAM, {
    filter_subjects: filter,
    deliver_policy: 'last_per_subject',
  } as never);
  const found: BusMessage[] = [];
  try {
    const { num_pending: pending } = await consumer.info();
    if (pending === 0) return found;
    for await (const message of await consumer.fetch({ max_messages: pending, expires: limitMs })) {
      found.push({ subject: message.subject, sequence: message.seq, data: message.data });
      if (message.info.pending === 0) return found;
    }
    const detail = `${String(found.length)} of ${String(pending)} objects of ${nodeUid} came`;
    throw new PxmError('PXM_NATS_DOWN', { url: connection.getServer() }, { detail });
  } finally {
    await consumer.delete().catch(() => undefined);
  }
}
