/**
 * From the bus into the view, with a real nats-server and SQLite on disk. Publisher and controller share this process
 * and its one thread, so the figures are worse than those of a controller alone.
 */
import type { InventoryDocument } from '@pxmgr/contract/common';
import { InventoryDocument as Document } from '@pxmgr/contract/common';
import { ensureStreams } from '@pxmgr/controller/bus/streams';
import { systemClock } from '@pxmgr/kit/clock';
import { type IngestStage, openIngestStage, type Speaker, settled } from '../ingest-stage.ts';
import { type Measured, type Probe, type ProbeOptions, percentile } from '../probe.ts';

const RATE = 5000;
const TICK_MS = 10;
const LIMIT_MS = 120_000;

/** All that the fleet has, before anybody reads. */
async function fill(stage: IngestStage): Promise<number> {
  let count = 0;
  for (const speaker of stage.speakers) {
    for (const { subject, data } of speaker.all()) {
      stage.publisher.publish(subject, data);
      count += 1;
    }
    await stage.publisher.flush();
  }
  for (;;) {
    const { state } = await ensureStreams(stage.publisher);
    if (state.messages >= count) return count;
    await systemClock.sleep(50);
  }
}

function seen({ view }: IngestStage): number {
  return [...view.counts().values()].reduce((sum, one) => sum + one, 0);
}

/** Restarts and stops of guests, evenly over the fleet. */
function* happenings(
  speakers: readonly Speaker[],
): Generator<{ speaker: Speaker; id: string; document: InventoryDocument }> {
  for (let round = 0; ; round += 1) {
    for (const speaker of speakers) {
      const guests = speaker.node.objects.filter((object) => object.kind === 'container');
      const guest = guests[round % guests.length];
      if (guest === undefined) continue;
      const document = Document.decode(guest.bytes);
      const inner = document.document;
      if (inner?.$case === 'container') inner.value.name = `${inner.value.name}-${String(round)}`;
      yield { speaker, id: guest.id, document };
    }
  }
}

/** Milliseconds from publish to the view's word of it, at a steady rate. */
async function latencies(stage: IngestStage, seconds: number): Promise<number[]> {
  const sentAt = new Map<string, number>();
  const found: number[] = [];
  const unwatch = stage.view.watch(({ object }) => {
    const key = `${object.nodeUid} ${object.id} ${String(object.revision)}`;
    const at = sentAt.get(key);
    if (at === undefined) return;
    sentAt.delete(key);
    found.push(performance.now() - at);
  });
  const source = happenings(stage.speakers);
  const start = performance.now();
  let sent = 0;
  while (performance.now() - start < seconds * 1000) {
    const due = ((performance.now() - start) * RATE) / 1000;
    for (; sent < due; sent += 1) {
      const next = source.next();
      if (next.done === true) break;
      const { speaker, id, document } = next.value;
      const { subject, data, revision } = speaker.say({ kind: 'container', id, document });
      sentAt.set(`${speaker.node.uid} ${id} ${String(revision)}`, performance.now());
      stage.publisher.publish(subject, data);
    }
    await systemClock.sleep(TICK_MS);
  }
  await settled(() => sentAt.size === 0, LIMIT_MS);
  unwatch();
  return found;
}

async function run({ seed, quick, say }: ProbeOptions): Promise<readonly Measured[]> {
  const size = quick ? { hosts: 100, guests: 10_000 } : { hosts: 1000, guests: 100_000 };
  const stage = await openIngestStage(size, seed);
  try {
    const count = await fill(stage);
    say(`${String(count)} messages wait in the stream`);
    const start = performance.now();
    const cpu = process.cpuUsage();
    stage.read();
    await settled(() => seen(stage) >= count, LIMIT_MS);
    const coldMs = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const cold: Measured = {
      name: 'cold-start',
      value: coldMs / 1000,
      detail: `${String(count)} objects of ${String(size.hosts)} hosts, ${((count * 1000) / coldMs).toFixed(0)}/s, ${((user + system) / 1e6).toFixed(1)} s CPU`,
    };
    const found = await latencies(stage, quick ? 2 : 10);
    const p99 = percentile(found, 99);
    const detail = `${String(found.length)} events at ${String(RATE)}/s, p50 ${percentile(found, 50).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, worst ${Math.max(...found).toFixed(0)} ms`;
    return [{ name: 'ingest', value: p99, detail }, cold];
  } finally {
    await stage.close();
  }
}

export const ingest: Probe = { names: ['ingest', 'cold-start'], run };
