import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inventorySubject, manifestSubject } from '@pxmgr/contract';
import { ManifestMessage } from '@pxmgr/contract/event';
import { type Clock, FakeClock, systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Collector, Observed } from '../inventory/collector.ts';
import { BusConnection } from './bus.ts';
import { Causes } from './causes.ts';
import { everythingDirty, InventoryFeed } from './changes.ts';
import { TestNats, until } from './nats.fixture.ts';
import { Outbox } from './outbox.ts';
import { Publisher } from './publisher.ts';
import { View } from './view.ts';

const UID = 'n-aaaaaaaaaaaaaaab';
const subjectOf = (id: string): string => inventorySubject(UID, 'template', id);

let nats: TestNats;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-publisher-'));
  nats = await TestNats.start();
});
afterEach(async () => {
  await nats.close();
  rmSync(folder, { recursive: true });
});

/** An agent whose only objects are the names it is given. */
function agent(generation: bigint, clock: Clock = systemClock) {
  const names = new Map<string, bigint>();
  const collector: Collector = {
    kind: 'template',
    collect: () =>
      Promise.resolve(
        [...names].map(
          ([id, sizeBytes]): Observed => ({
            id,
            document: {
              document: { $case: 'template', value: { volumeId: id, fileName: id, sizeBytes, storage: 's' } },
            },
          }),
        ),
      ),
  };
  const logger = silentLogger();
  const view = new View();
  const outbox = Outbox.open(join(folder, 'outbox'));
  const feed = new InventoryFeed({
    collectors: [collector],
    oneGuest: () => [],
    view,
    outbox,
    causes: new Causes(clock, () => []),
    clock,
    logger,
  });
  const bus = new BusConnection({ url: nats.url, nodeUid: UID, ca: undefined, credentials: undefined }, clock, logger);
  const publisher = new Publisher({
    bus,
    outbox,
    view,
    feed,
    nodeUid: UID,
    nodeName: 'pve1',
    generation,
    clock,
    logger,
  });
  const stop = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  onTestFinished(end);
  return {
    names,
    view,
    outbox,
    publisher,
    refresh: () => feed.refresh(everythingDirty()),
    run: () => {
      running = Promise.all([bus.run(stop.signal), publisher.run(stop.signal)]);
    },
    end,
  };
}

// A publication that was on its way when the server went waits for its acknowledgement first.
describe('Publisher', { timeout: 30_000 }, () => {
  it('waits for a stream that is made later, loses nothing and leaves no gap', async () => {
    const one = agent(1n);
    one.names.set('a', 1n).set('b', 1n);
    await one.refresh();
    one.run();
    await until('it has tried', () => (one.publisher.position.revision === 2n ? true : undefined));
    await nats.makeStream();
    await until('the outbox is empty', () => (one.outbox.size === 0 ? true : undefined));
    expect([await nats.lastObject(subjectOf('a')), await nats.lastObject(subjectOf('b'))]).toMatchObject([
      { revision: 1n },
      { revision: 2n },
    ]);
    expect(one.view.entries().map((entry) => entry.position?.revision)).toEqual([1n, 2n]);
  });

  it('tries at once when the bus is there again, however long it was to rest after a refusal', async () => {
    const clock = new FakeClock();
    const one = agent(1n, clock);
    one.names.set('a', 1n);
    await one.refresh();
    one.run();
    const tries = async (): Promise<void> => {
      await until('it rests', () => (clock.waiting === 1 ? true : undefined));
      await clock.advance(100);
    };
    // Offline until the connection is made; then the stream is not there.
    while (one.publisher.position.revision === 0n) await tries();
    await until('it was refused and rests', () => (clock.waiting === 1 ? true : undefined));
    await nats.makeStream();
    one.publisher.resume();
    await until('it is delivered', () => (one.outbox.size === 0 ? true : undefined));
  });

  it('delivers after the server was away: the last state of each object, with a hole for those that nobody will see', async () => {
    await nats.makeStream();
    const one = agent(1n);
    one.names.set('a', 1n);
    await one.refresh();
    one.run();
    await until('the first is out', () => (one.outbox.size === 0 ? true : undefined));
    await nats.halt();
    for (const size of [2n, 3n, 4n]) {
      one.names.set('a', size);
      await one.refresh();
    }
    await nats.launch();
    await until('it is delivered', () => (one.outbox.size === 0 ? true : undefined));
    const message = await nats.lastObject(subjectOf('a'));
    expect(message?.document?.document?.value).toMatchObject({ sizeBytes: 4n });
    expect(message?.revision).toBe(4n);
  });

  it('carries undelivered changes and tombstones over a restart into the new generation', async () => {
    const first = agent(1n);
    first.names.set('stays', 1n).set('goes', 1n).set('vanishes', 1n);
    await first.refresh();
    first.names.delete('goes');
    await first.refresh();
    await nats.makeStream();
    const second = agent(2n);
    second.names.set('stays', 1n);
    await second.refresh();
    second.run();
    await until('all is out', () =>
      second.outbox.size === 0 && second.publisher.position.revision > 0n ? true : undefined,
    );
    for (const id of ['goes', 'vanishes'])
      expect(await nats.lastObject(subjectOf(id))).toMatchObject({ generation: 2n, deleted: true });
    expect(await nats.lastObject(subjectOf('stays'))).toMatchObject({
      generation: 2n,
      deleted: false,
      hash: second.view.of('template').get('stays')?.hash,
    });
  });

  it('names in its manifest only kinds that were really read', async () => {
    await nats.makeStream();
    const one = agent(1n);
    one.names.set('a', 1n);
    await one.refresh();
    one.run();
    const data = await until('the manifest', () => nats.last(manifestSubject(UID)));
    expect(ManifestMessage.decode(data).kinds).toMatchObject([{ kind: 'template', count: 1 }]);
  });
});
