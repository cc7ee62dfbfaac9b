/** Promoting clones, and bookmarks. */
import type { Host } from '../host.ts';
import { nameProblem } from './names.ts';
import { refuse } from './refuse.ts';
import { type BookmarkRecord, changePools, findDataset, findSnapshot, type PoolState } from './state.ts';

/** The origin and all older snapshots move to the clone; what was their dataset becomes a clone itself. */
export function promote(host: Host, name: string): void {
  changePools(host, (state) => {
    const clone = findDataset(state, name) ?? refuse(`cannot open '${name}': dataset does not exist`);
    const origin = clone.origin === undefined ? undefined : findSnapshot(state, clone.origin);
    if (origin === undefined) return refuse(`cannot promote '${name}': not a cloned filesystem`);
    const { dataset: source } = origin;
    const moving = source.snapshots.slice(0, source.snapshots.indexOf(origin.snapshot) + 1);
    const taken = moving.find((snapshot) => clone.snapshots.some((own) => own.name === snapshot.name));
    if (taken !== undefined)
      refuse(
        `cannot promote '${name}': snapshot name '${name}@${taken.name}' from origin conflicts with '${name}@${taken.name}' from target`,
      );
    const olderOrigin = source.origin;
    source.snapshots = source.snapshots.filter((snapshot) => !moving.includes(snapshot));
    clone.snapshots = [...moving, ...clone.snapshots];
    for (const snapshot of moving) reroute(state, `${source.name}@${snapshot.name}`, `${name}@${snapshot.name}`);
    source.origin = `${name}@${origin.snapshot.name}`;
    if (olderOrigin === undefined) delete clone.origin;
    else clone.origin = olderOrigin;
    state.txg += 1;
  });
}

function reroute(state: PoolState, from: string, to: string): void {
  for (const dataset of state.datasets) if (dataset.origin === from) dataset.origin = to;
}

/** Of a snapshot, or of another bookmark. */
export function bookmark(host: Host, from: string, to: string): void {
  changePools(host, (state) => {
    const failed = (reason: string): never => refuse(`cannot create bookmark '${to}': ${reason}`);
    const source = findSnapshot(state, from)?.snapshot ?? findBookmark(state, from);
    // zfs answers this one as a usage error.
    if (source === undefined) return refuse(`cannot open '${from}': dataset does not exist`, 2);
    const [of = '', mark = ''] = to.startsWith('#') ? [from.split(/[@#]/)[0], to.slice(1)] : to.split('#');
    const dataset = findDataset(state, of);
    const problem = nameProblem(`${of}@${mark}`, 'snapshot');
    if (problem !== undefined) failed(problem);
    if (dataset === undefined || of !== from.split(/[@#]/)[0]) return failed('bookmark is in a different dataset');
    if (dataset.bookmarks.some((entry) => entry.name === mark)) failed('bookmark exists');
    const { guid, createtxg, creation, referencedBytes } = source;
    dataset.bookmarks.push({ name: mark, guid, createtxg, creation, referencedBytes });
    return undefined;
  });
}

export function findBookmark(state: PoolState, name: string): BookmarkRecord | undefined {
  const [of = '', mark] = name.split('#');
  return findDataset(state, of)?.bookmarks.find((entry) => entry.name === mark);
}
