import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { INVENTORY_CONSUMER, INVENTORY_STREAM, inventorySubject } from '@pxmgr/contract';
import { systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTestBus, type TestBus, until } from './bus.fixture.ts';
import {
  type BatchSink,
  type BusMessage,
  InventoryConsumer,
  readNodeSubjects,
  type StreamPosition,
} from './consume.ts';
import { ensureStreams } from './streams.ts';

const NODE = 'n-aaaaaaaaaaaaaaaa';
const subjectOf = (id: string): string => inventorySubject(NODE, 'storage', id);

class MemorySink implements BatchSink {
  readonly batches: BusMessage[][] = [];
  stored: StreamPosition | undefined;
  failures = 0;
  attempts = 0;

  position(): StreamPosition | undefined {
    return this.stored;
  }

  commit(batch: readonly BusMessage[], position: StreamPosition): void {
    this.attempts += 1;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('disk full');
    }
    this.batches.push([...batch]);
    this.stored = position;
  }

  get texts(): string[] {
    return this.batches.flat().map((message) => new TextDecoder().decode(message.data));
  }
}

let bus: TestBus;
let connection: NatsConnection;
beforeEach(async () => {
  bus = await startTestBus();
  connection = await bus.controller();
  await ensureStreams(connection);
});
afterEach(async () => {
  await bus.close();
});

function consumerOf(sink: BatchSink): InventoryConsumer {
  const consumer = new InventoryConsumer({ connection, sink, clock: systemClock, logger: silentLogger() });
  consumer.start();
  return consumer;
}

async function publish(...texts: string[]): Promise<void> {
  for (const text of texts) await jetstream(connection).publish(subjectOf(text), text);
}

const ackFloor = async (): Promise<number> =>
  (await (await jetstreamManager(connection)).consumers.info(INVENTORY_STREAM, INVENTORY_CONSUMER)).ack_floor
    .stream_seq;

describe('InventoryConsumer', () => {
  it('delivers in order and acknowledges only what was committed', async () => {
    const sink = new MemorySink();
    sink.failures = Number.POSITIVE_INFINITY;
    await publish('a', 'b');
    const consumer = consumerOf(sink);
    await until('it was tried more than once', () => sink.attempts >= 2);
    await connection.flush();
    expect(await ackFloor()).toBe(0);
    sink.failures = 0;
    await until('both arrive after the failures', () => sink.texts.length === 2);
    expect(sink.texts).toEqual(['a', 'b']);
    await until('the server knows', async () => (await ackFloor()) === 2);
    expect(sink.stored?.sequence).toBe(2);
    await consumer.stop();
  });

  it('goes on where it stopped', async () => {
    const sink = new MemorySink();
    const first = consumerOf(sink);
    await publish('a');
    await until('it arrives', () => sink.texts.length === 1);
    await until('the server knows', async () => (await ackFloor()) === 1);
    await first.stop();
    await publish('b');
    const second = consumerOf(sink);
    await until('the second arrives', () => sink.texts.length === 2);
    expect(sink.texts).toEqual(['a', 'b']);
    await second.stop();
  });

  it('does not wait for the acknowledge time of a predecessor that was killed', async () => {
    const killed = new MemorySink();
    killed.failures = Number.POSITIVE_INFINITY;
    await publish('a', 'b');
    const first = consumerOf(killed);
    await until('it has them, uncommitted', () => killed.attempts > 0);
    await first.stop();
    await publish('c');
    const sink = new MemorySink();
    const { created } = await (await jetstreamManager(connection)).streams.info(INVENTORY_STREAM);
    sink.stored = { streamCreated: created, sequence: 0 };
    const second = consumerOf(sink);
    await until('all arrive', () => sink.texts.length === 3);
    expect(sink.texts).toEqual(['a', 'b', 'c']);
    await second.stop();
  });

  it('reads again what was acknowledged when our store is older than that', async () => {
    const sink = new MemorySink();
    const first = consumerOf(sink);
    await publish('a', 'b', 'c');
    await until('all arrive', () => sink.texts.length === 3);
    await until('the server knows', async () => (await ackFloor()) === 3);
    await first.stop();
    const restored = new MemorySink();
    restored.stored = { streamCreated: sink.stored?.streamCreated ?? '', sequence: 1 };
    const second = consumerOf(restored);
    await until('the later ones arrive again', () => restored.texts.length === 2);
    expect(restored.texts).toEqual(['b', 'c']);
    await second.stop();
  });

  it('survives a stream that is deleted and made anew while it reads', async () => {
    const sink = new MemorySink();
    const consumer = consumerOf(sink);
    await publish('a');
    await until('the first arrives', () => sink.texts.includes('a'));
    const before = sink.stored?.streamCreated;
    await (await jetstreamManager(connection)).streams.delete(INVENTORY_STREAM);
    await until(
      'it made the stream again',
      async () =>
        await publish('b').then(
          () => true,
          () => false,
        ),
    );
    await until('the second arrives', () => sink.texts.includes('b'));
    expect(sink.stored?.streamCreated).not.toBe(before);
    await consumer.stop();
  });

  it('groups many messages', async () => {
    const sink = new MemorySink();
    await Promise.all(
      Array.from({ length: 1200 }, async (_, index) =>
        jetstream(connection).publish(subjectOf(String(index)), String(index)),
      ),
    );
    const consumer = consumerOf(sink);
    await until('all arrive', () => sink.texts.length === 1200);
    expect(Math.max(...sink.batches.map((batch) => batch.length))).toBeGreaterThan(100);
    expect(Math.max(...sink.batches.map((batch) => batch.length))).toBeLessThanOrEqual(500);
    await consumer.stop();
  });
});

describe('readNodeSubjects', () => {
  it('gives the last message of every object of one node, and of no other', async () => {
    await jetstream(connection).publish(subjectOf('a'), 'old');
    await jetstream(connection).publish(subjectOf('a'), 'new');
    await jetstream(connection).publish(subjectOf('b'), 'b');
    await jetstream(connection).publish(inventorySubject('n-bbbbbbbbbbbbbbbb', 'storage', 'x'), 'other');
    const found = await readNodeSubjects(connection, NODE);
    expect(found.map((message) => new TextDecoder().decode(message.data))).toEqual(['new', 'b']);
    expect(await readNodeSubjects(connection, 'n-cccccccccccccccc')).toEqual([]);
  });

  it('gives all of a large node', async () => {
    const ids = Array.from({ length: 1200 }, (_, index) => `disk-${String(index)}`);
    await Promise.all(ids.map(async (id) => jetstream(connection).publish(subjectOf(id), id)));
    const found = await readNodeSubjects(connection, NODE);
    expect(new Set(found.map((message) => message.subject)).size).toBe(1200);
  });

  it('does not wait for ever for what was purged while it began', async () => {
    await jetstream(connection).publish(subjectOf('a'), 'a');
    const manager = await jetstreamManager(connection);
    const ask = connection.request.bind(connection);
    vi.spyOn(connection, 'request').mockImplementation(async (subject, ...more) => {
      const answer = await ask(subject, ...more);
      if (subject.startsWith('$JS.API.CONSUMER.INFO')) await manager.streams.purge(INVENTORY_STREAM);
      return answer;
    });
    await expect(readNodeSubjects(connection, NODE, 1000)).rejects.toMatchObject({ code: 'PXM_NATS_DOWN' });
  });
});
