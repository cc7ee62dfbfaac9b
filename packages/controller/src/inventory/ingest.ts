import type { Position } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { BatchSink, BusMessage, StreamPosition } from '../bus/consume.ts';
import type { ChangeStore } from '../store/changes.ts';
import type { CursorStore } from '../store/cursors.ts';
import type { ObjectStore } from '../store/objects.ts';
import type { Database } from '../store/open.ts';
import { beginTrack, type Gap, type GapTracker, giveUp, see, type Track } from './gaps.ts';
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

/** What one transaction found out; in memory only after its COMMIT. */
interface Outcome {
  readonly now: Date;
  readonly writes: ViewWrite[];
  readonly tracks: Map<string, Track>;
  /** Generation in which a node was heard first. */
  readonly firsts: Map<string, bigint>;
}

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
    this.#transaction((outcome) => {
      for (const message of batch) this.#take(message, outcome);
      this.#options.cursors.put(CURSOR, position);
    });
  }

  /** Messages that repair fetched: as `commit`, but the position in the stream stays. */
  commitRepair(batch: readonly BusMessage[]): void {
    this.#transaction((outcome) => {
      for (const message of batch) this.#take(message, outcome);
    });
  }

  /**
   * What is missing up to the position (or, without one, below the highest seen) will not come any more: goes on
   * behind it and marks in the history that states were not seen.
   */
  giveUp(nodeUid: string, upTo?: Position): void {
    this.#transaction((outcome) => {
      const track =
        upTo === undefined ? this.#options.gaps.draft(nodeUid) : this.#trackFor({ nodeUid, position: upTo }, outcome);
      if (track === undefined) return;
      outcome.tracks.set(nodeUid, track);
      const gap = giveUp(track, upTo?.generation === track.generation ? upTo.revision : 0n);
      if (gap !== undefined) this.#recordGap(nodeUid, describeGap(gap), outcome);
    });
  }

  #transaction(work: (outcome: Outcome) => void): void {
    const { database, clock } = this.#options;
    const outcome = database.transaction(() => {
      const made: Outcome = { now: clock.now(), writes: [], tracks: new Map(), firsts: new Map() };
      work(made);
      this.#storePositions(made);
      return made;
    });
    this.#finish(outcome);
  }

  #take(message: BusMessage, outcome: Outcome): void {
    const { writer, nameOf, clock } = this.#options;
    const read = readInventoryMessage(message.subject, message.data, outcome.now);
    if (!read.ok) {
      this.#park(message, read.reason, outcome.now);
      return;
    }
    const { observed } = read;
    const { nodeUid, position } = observed;
    if (nameOf(nodeUid) === undefined) {
      this.#strangers += 1;
      return;
    }
    const track = this.#trackFor(observed, outcome);
    // An agent that has begun anew has said everything again: what its predecessor said late is no news.
    if (position.generation < track.generation) return;
    const written = writer.write(observed, {
      recordedAt: outcome.now,
      firstGeneration: this.#firstGeneration(observed, outcome),
    });
    if (written === 'late') return;
    see(track, position.revision, clock.monotonicMs());
    if (written !== undefined) outcome.writes.push(written);
  }

  #park(message: BusMessage, reason: string, at: Date): void {
    const { subject, sequence, data } = message;
    this.#options.cursors.park({ at, subject, sequence, reason, payload: data });
    this.#options.logger.warn({ subject, seq: sequence, reason }, 'a message was put aside');
  }

  #trackFor({ nodeUid, position }: Pick<Observed, 'nodeUid' | 'position'>, outcome: Outcome): Track {
    let track = outcome.tracks.get(nodeUid) ?? this.#options.gaps.draft(nodeUid);
    if (track === undefined) track = beginTrack(position.generation);
    else if (position.generation > track.generation) track = this.#beginAgain(nodeUid, position.generation, outcome);
    outcome.tracks.set(nodeUid, track);
    return track;
  }

  /** Nobody looked while the agent was away, and its last words may be lost: both are unknown for ever. */
  #beginAgain(nodeUid: string, generation: bigint, outcome: Outcome): Track {
    this.#recordGap(
      nodeUid,
      `the agent began anew (generation ${String(generation)}); states since its last message before that are unknown`,
      outcome,
    );
    return beginTrack(generation);
  }

  #firstGeneration({ nodeUid, position }: Observed, { firsts }: Outcome): bigint {
    const known = firsts.get(nodeUid);
    if (known !== undefined) return known;
    const first = this.#options.objects.position(nodeUid)?.firstGeneration ?? position.generation;
    firsts.set(nodeUid, first);
    return first;
  }

  #recordGap(nodeUid: string, summary: string, { now }: Outcome): void {
    const { changes, nameOf, logger } = this.#options;
    const nodeName = nameOf(nodeUid) ?? nodeUid;
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
    logger.info({ node: nodeName, summary }, 'states of a node were not seen');
  }

  /** With the rows that depend on them: a hole that is open at a crash is still one afterwards. */
  #storePositions({ tracks, firsts }: Outcome): void {
    for (const [uid, { generation, revision }] of tracks)
      this.#options.objects.putPosition(uid, {
        generation,
        revision,
        firstGeneration: firsts.get(uid) ?? generation,
      });
  }

  #finish({ tracks, writes }: Outcome): void {
    const { gaps, view } = this.#options;
    for (const [uid, track] of tracks) gaps.adopt(uid, track);
    view.write(writes);
    const touched = new Set(tracks.keys());
    for (const listener of this.#afterCommit) listener(touched);
  }
}

function describeGap({ missing, from, to }: Gap): string {
  return `${String(missing)} message(s) between revisions ${String(from)} and ${String(to)} were not seen; states in between are unknown`;
}
