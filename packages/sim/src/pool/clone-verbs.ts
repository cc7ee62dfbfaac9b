/** Promoting clones, and bookmarks. */
import type { Host } from '../host/host.ts';
import { nameProblem, openText } from './names.ts';
import { type FromTo, refuse } from './refuse.ts';
import { type BookmarkRecord, changePools, findDataset, findSnapshot, type PoolState, poolOf } from './state.ts';

/** The origin and all older snapshots move to the clone; what was their dataset becomes a clone itself. */
export function promote(host: Host, name: string): void {
  changePools(host, (state) => {
    const clone = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
    const origin = clone.origin === undefined ? undefined : findSnapshot(state, clone.origin);
    if (origin === undefined) return refuse(`cannot promote '${name}': not a cloned filesystem`);
    const { dataset: source } = origin;
    const moving = source.snapshots.slice(0, source.snapshots.indexOf(origin.snapshot) + 1);
    const taken = moving.find((snapshot) => clone.snapshots.some((own) => own.name === snapshot.name));
    if (taken !== undefined)
      refuse(`cannot promote '${name}': conflicting snapshot '${taken.name}' from parent '${clone.origin ?? ''}'`);
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
export function bookmark(host: Host, { from, to }: FromTo): void {
  changePools(host, (state) => {
    const failed = (reason: string): never => refuse(`cannot create bookmark '${to}': ${reason}`);
    const source = findSnapshot(state, from)?.snapshot ?? findBookmark(state, from);
    // zfs answers this one as a usage error.
    if (source === undefined) return refuse(`cannot open '${from}': dataset does not exist`, 2);
    const [of = '', mark = ''] = to.split('#');
    if (nameProblem(`${of}@${mark}`, 'snapshot') !== undefined) failed('invalid argument');
    if (poolOf(of) !== poolOf(from)) failed('bookmark is in a different pool');
    const dataset = findDataset(state, of) ?? failed('dataset does not exist');
    if (of !== from.split(/[@#]/)[0]) failed("source is not an ancestor of the new bookmark's dataset");
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
