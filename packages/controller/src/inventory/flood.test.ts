import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { INVENTORY_CONSUMER, INVENTORY_STREAM } from '@pxmgr/contract';
import { type Clock, systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { NatsConnection } from 'nats';
import { expect, it, onTestFinished } from 'vitest';
import { startTestBus, until } from '../bus/bus.fixture.ts';
import { type BatchSink, type BusMessage, InventoryConsumer, type StreamPosition } from '../bus/consume.ts';
import { ensureStreams } from '../bus/streams.ts';
import type { Ingest } from './ingest.ts';
import { containerDocument, createTestInventory, type FakeAgent } from './inventory.fixture.ts';

const LIMIT_MS = 240_000;
const OBJECTS = 5_000;
/** Tries again at once, whatever the pause should be. */
const IMPATIENT: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(20, signal) };
/** What the consumer asks for at once, and the two groups before the sink. */
const HELD_MAX = 4_000 + 2 * 500;

/** The database behind it is busy until it is let go. */
class SlowSink implements BatchSink {
  readonly #ingest: Ingest;
  isBusy = true;
  refusals = 0;
  largest = 0;

  constructor(ingest: Ingest) {
    this.#ingest = ingest;
  }

  position(): StreamPosition | undefined {
    return this.#ingest.position();
  }

  commit(batch: readonly BusMessage[], position: StreamPosition): void {
    if (this.isBusy) {
      this.refusals += 1;
      throw new Error('busy');
    }
    this.largest = Math.max(this.largest, batch.length);
    this.#ingest.commit(batch, position);
  }
}

function everyGuest(agent: FakeAgent, status: string): BusMessage[] {
  return Array.from({ length: OBJECTS }, (_, index) => {
    const vmid = 100 + index;
    return agent.say('container', String(vmid), containerDocument(vmid, { status }));
  });
}

async function publish(connection: NatsConnection, messages: readonly BusMessage[]): Promise<void> {
  const stream = jetstream(connection, { timeout: 30_000 });
  await Promise.all(messages.map(async ({ subject, data }) => await stream.publish(subject, data)));
}

it('ten thousand changes at once wait in the bus, not in memory, and all arrive', { timeout: LIMIT_MS }, async () => {
  const bus = await startTestBus();
  onTestFinished(() => bus.close());
  const connection = await bus.controller();
  await ensureStreams(connection);
  const { ingest, view, alice, bob, gaps } = createTestInventory();
  const sink = new SlowSink(ingest);
  const consumer = new InventoryConsumer({ connection, sink, clock: IMPATIENT, logger: silentLogger() });
  onTestFinished(() => consumer.stop());
  consumer.start();
  const manager = await jetstreamManager(connection, { timeout: 30_000 });
  const pending = async () => await manager.consumers.info(INVENTORY_STREAM, INVENTORY_CONSUMER);
  for (const agent of [alice, bob]) await publish(connection, everyGuest(agent, 'running'));
  const before = sink.refusals;
  await until('the consumer has had the time to take more', () => sink.refusals >= before + 20);
  const held = (await pending()).num_ack_pending;
  expect(held).toBeGreaterThan(500);
  expect(held).toBeLessThanOrEqual(HELD_MAX);

  sink.isBusy = false;
  await until('all are there', () => view.counts().get('container') === 2 * OBJECTS);
  expect(sink.largest).toBeLessThanOrEqual(500);
  for (const agent of [alice, bob]) {
    expect(gaps.position(agent.uid)).toEqual({ generation: agent.generation, revision: agent.revision });
    expect(view.guests(agent.uid).every((guest) => guest.status === 'running')).toBe(true);
  }
});
