import { comparePositions, type Position } from '@pxmgr/contract';

/** Revisions from..to (inclusive) of one generation that never arrived. */
export interface Gap {
  readonly generation: bigint;
  readonly from: bigint;
  readonly to: bigint;
  readonly missing: number;
}

interface Track {
  generation: bigint;
  /** Everything up to here was seen or given up. */
  revision: bigint;
  /** Seen beyond the first hole. */
  ahead: Set<bigint>;
  /** When the first hole was noticed. */
  sinceMs: number;
}

/**
 * Which revisions of each node were seen. Holes are normal for a moment (reordering) and after an absence (the stream
 * and the agent's outbox keep only the last state of an object); what stays missing is a gap in history.
 */
export class GapTracker {
  readonly #tracks = new Map<string, Track>();

  restore(nodeUid: string, position: Position): void {
    this.#tracks.set(nodeUid, { ...position, ahead: new Set(), sinceMs: 0 });
  }

  forget(nodeUid: string): void {
    this.#tracks.delete(nodeUid);
  }

  /** Contiguous position: everything up to it was seen. */
  position(nodeUid: string): Position | undefined {
    const track = this.#tracks.get(nodeUid);
    return track === undefined ? undefined : { generation: track.generation, revision: track.revision };
  }

  /** Highest revision seen, holes or not. */
  highest(nodeUid: string): Position | undefined {
    const track = this.#tracks.get(nodeUid);
    if (track === undefined) return undefined;
    let revision = track.revision;
    for (const seen of track.ahead) if (seen > revision) revision = seen;
    return { generation: track.generation, revision };
  }

  /** A message of this position arrived. A new generation starts without a past. */
  see(nodeUid: string, position: Position, nowMs: number): void {
    const track = this.#tracks.get(nodeUid);
    if (track === undefined || position.generation > track.generation) {
      this.#tracks.set(nodeUid, { ...position, ahead: new Set(), sinceMs: nowMs });
      return;
    }
    if (position.generation < track.generation || position.revision <= track.revision) return;
    if (position.revision > track.revision + 1n) {
      if (track.ahead.size === 0) track.sinceMs = nowMs;
      track.ahead.add(position.revision);
      return;
    }
    track.revision = position.revision;
    while (track.ahead.delete(track.revision + 1n)) track.revision += 1n;
    if (track.ahead.size > 0) track.sinceMs = nowMs;
  }

  /** Nodes whose first hole is older than the time given. */
  due(nowMs: number, patienceMs: number): string[] {
    const found: string[] = [];
    for (const [uid, track] of this.#tracks)
      if (track.ahead.size > 0 && nowMs - track.sinceMs >= patienceMs) found.push(uid);
    return found;
  }

  /** Gives up what is missing below `upTo` (default: below the highest seen); tells the gap if there is one. */
  giveUp(nodeUid: string, upTo?: Position): Gap | undefined {
    const track = this.#tracks.get(nodeUid);
    const highest = this.highest(nodeUid);
    if (track === undefined || highest === undefined) return undefined;
    const last =
      upTo !== undefined && comparePositions(upTo, highest) > 0 && upTo.generation === track.generation
        ? upTo.revision
        : highest.revision;
    const from = track.revision + 1n;
    const missing = Number(last - track.revision) - track.ahead.size;
    const { generation } = track;
    track.revision = last;
    track.ahead.clear();
    return missing > 0 ? { generation, from, to: last, missing } : undefined;
  }
}
