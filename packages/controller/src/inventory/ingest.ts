import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { BatchSink, BusMessage, StreamPosition } from '../bus/consume.ts';
import type { ChangeStore } from '../store/changes.ts';
import type { CursorStore } from '../store/cursors.ts';
import type { ObjectStore } from '../store/objects.ts';
import type { Database } from '../store/open.ts';
import type { Gap, GapTracker } from './gaps.ts';
import { type Observed, readInventoryMessage } from './message.ts';
import type { View, ViewWrite } from './view.ts';
import type { ObjectWriter } from './write-object.ts';

export interface IngestOptions {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly changes: ChangeStore;
  readonly cursors: CursorStore;
  readonly writer: ObjectWriter;
  readonly gaps: GapTracker;
  readonly view: View;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nameOf: (nodeUid: string) => string | undefined;
}

const CURSOR = 'inventory';

/** The sink of the inventory stream: one transaction per batch, then gaps, then the view, then who watches. */
export class Ingest implements BatchSink {
  readonly #options: IngestOptions;
  readonly #afterCommit = new Set<(nodeUids: ReadonlySet<string>) => void>();
  #strangers = 0;

  constructor(options: IngestOptions) {
    this.#options = options;
    for (const [uid, position] of options.objects.positions()) options.gaps.restore(uid, position);
  }

  /** Messages of nodes that are not (or no longer) members. */
  get strangers(): number {
    return this.#strangers;
  }

  position(): StreamPosition | undefined {
    return this.#options.cursors.get(CURSOR);
  }

  /** Told after each batch which nodes it touched. */
  onCommit(listener: (nodeUids: ReadonlySet<string>) => void): void {
    this.#afterCommit.add(listener);
  }

  commit(batch: readonly BusMessage[], position: StreamPosition): void {
    const { database, cursors } = this.#options;
    const seen: Observed[] = [];
    const writes: ViewWrite[] = [];
    database.transaction(() => {
      seen.length = 0;
      writes.length = 0;
      this.#writeBatch(batch, seen, writes);
      cursors.put(CURSOR, position);
    });
    this.#finish(seen, writes);
  }

  /** Messages that repair fetched: as `commit`, but the position in the stream stays. */
  commitRepair(batch: readonly BusMessage[]): void {
    const seen: Observed[] = [];
    const writes: ViewWrite[] = [];
    this.#options.database.transaction(() => {
      this.#writeBatch(batch, seen, writes);
    });
    this.#finish(seen, writes);
  }

  /** Marks in the history that states of a node were not seen. */
  recordGap(nodeUid: string, gap: Gap): void {
    const { changes, clock, nameOf, logger } = this.#options;
    const nodeName = nameOf(nodeUid) ?? nodeUid;
    const now = clock.now();
    const summary = `${String(gap.missing)} message(s) between revisions ${String(gap.from)} and ${String(gap.to)} were not seen; states in between are unknown`;
    changes.insert(
      {
        observedAt: now,
        nodeUid,
        nodeName,
        kind: 'node',
        objectId: nodeUid,
        objectName: nodeName,
        action: 'gap',
        upid: '',
        author: '',
        operationId: '',
        fields: [],
        summary,
      },
      now,
    );
    logger.info({ node: nodeName, missing: gap.missing }, 'inventory messages were superseded or lost');
  }

  #writeBatch(batch: readonly BusMessage[], seen: Observed[], writes: ViewWrite[]): void {
    const { cursors, objects, writer, nameOf, clock } = this.#options;
    const now = clock.now();
    const firsts = new Map<string, bigint>();
    for (const message of batch) {
      const read = readInventoryMessage(message.subject, message.data, now);
      if (!read.ok) {
        cursors.park({
          at: now,
          subject: message.subject,
          sequence: message.sequence,
          reason: read.reason,
          payload: message.data,
        });
        this.#options.logger.warn(
          { subject: message.subject, seq: message.sequence, reason: read.reason },
          'a message was put aside',
        );
        continue;
      }
      const { observed } = read;
      if (nameOf(observed.nodeUid) === undefined) {
        this.#strangers += 1;
        continue;
      }
      const firstGeneration =
        firsts.get(observed.nodeUid) ??
        objects.position(observed.nodeUid)?.firstGeneration ??
        observed.position.generation;
      firsts.set(observed.nodeUid, firstGeneration);
      const write = writer.write(observed, { recordedAt: now, firstGeneration });
      if (write !== undefined) writes.push(write);
      seen.push(observed);
    }
    this.#storePositions(seen, firsts);
  }

  /** The highest position of each node; holes below it are known only to this process, manifests find them anyway. */
  #storePositions(seen: readonly Observed[], firsts: ReadonlyMap<string, bigint>): void {
    const { objects } = this.#options;
    const highest = new Map<string, Observed['position']>();
    for (const { nodeUid, position } of seen) {
      const known = highest.get(nodeUid) ?? objects.position(nodeUid);
      if (
        known === undefined ||
        position.generation > known.generation ||
        (position.generation === known.generation && position.revision > known.revision)
      )
        highest.set(nodeUid, position);
    }
    for (const [uid, position] of highest)
      objects.putPosition(uid, { ...position, firstGeneration: firsts.get(uid) ?? position.generation });
  }

  #finish(seen: readonly Observed[], writes: readonly ViewWrite[]): void {
    const { gaps, clock, view } = this.#options;
    const nowMs = clock.monotonicMs();
    const touched = new Set<string>();
    for (const { nodeUid, position } of seen) {
      gaps.see(nodeUid, position, nowMs);
      touched.add(nodeUid);
    }
    view.write(writes);
    for (const listener of this.#afterCommit) listener(touched);
  }
}
