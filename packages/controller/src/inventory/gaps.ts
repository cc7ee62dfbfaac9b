import { comparePositions, type Position } from '@pxmgr/contract';

/** Revisions from..to (inclusive) of one generation that never arrived. */
export interface Gap {
  readonly generation: bigint;
  readonly from: bigint;
  readonly to: bigint;
  readonly missing: number;
}

/** What was seen of one generation of a node. Changed as a copy, which is adopted after COMMIT. */
export interface Track {
  readonly generation: bigint;
  /** Everything up to here was seen or given up. */
  revision: bigint;
  /** Seen beyond the first hole. */
  readonly ahead: Set<bigint>;
  /** When the first hole was noticed. */
  sinceMs: number;
}

/** A generation begins before its first revision: what is lost of its beginning is a hole as well. */
export function beginTrack(generation: bigint, revision = 0n): Track {
  return { generation, revision, ahead: new Set(), sinceMs: 0 };
}

/** A message with this revision of the track's generation arrived. */
export function see(track: Track, revision: bigint, nowMs: number): void {
  if (revision <= track.revision) return;
  if (revision > track.revision + 1n) {
    if (track.ahead.size === 0) track.sinceMs = nowMs;
    track.ahead.add(revision);
    return;
  }
  track.revision = revision;
  while (track.ahead.delete(track.revision + 1n)) track.revision += 1n;
  if (track.ahead.size > 0) track.sinceMs = nowMs;
}

/** Gives up what is missing below `upTo` and below the highest seen; tells the gap if there is one. */
export function giveUp(track: Track, upTo: bigint): Gap | undefined {
  let last = upTo > track.revision ? upTo : track.revision;
  for (const seen of track.ahead) if (seen > last) last = seen;
  const from = track.revision + 1n;
  const missing = Number(last - track.revision) - track.ahead.size;
  track.revision = last;
  track.ahead.clear();
  return missing > 0 ? { generation: track.generation, from, to: last, missing } : undefined;
}

/**
 * Which revisions of each node were seen. Holes are normal for a moment (reordering) and after an absence (the stream
 * and the agent's outbox keep only the last state of an object); what stays missing is a gap in history.
 */
export class GapTracker {
  readonly #tracks = new Map<string, Track>();

  restore(nodeUid: string, { generation, revision }: Position): void {
    this.#tracks.set(nodeUid, beginTrack(generation, revision));
  }

  forget(nodeUid: string): void {
    this.#tracks.delete(nodeUid);
  }

  /** A copy to work on; undefined for a node that was never heard. */
  draft(nodeUid: string): Track | undefined {
    const track = this.#tracks.get(nodeUid);
    return track === undefined ? undefined : { ...track, ahead: new Set(track.ahead) };
  }

  adopt(nodeUid: string, track: Track): void {
    this.#tracks.set(nodeUid, track);
  }

  /** Contiguous position: everything up to it was seen. */
  position(nodeUid: string): Position | undefined {
    const track = this.#tracks.get(nodeUid);
    return track === undefined ? undefined : { generation: track.generation, revision: track.revision };
  }

  /** True when everything that the position counts was seen or given up. */
  hasReached(nodeUid: string, position: Position): boolean {
    const seen = this.position(nodeUid);
    return seen !== undefined && comparePositions(seen, position) >= 0;
  }

  /** Nodes whose first hole is older than the time given. */
  due(nowMs: number, patienceMs: number): string[] {
    const found: string[] = [];
    for (const [uid, track] of this.#tracks)
      if (track.ahead.size > 0 && nowMs - track.sinceMs >= patienceMs) found.push(uid);
    return found;
  }
}
