/** What `zfs list` and `zfs get` speak of, and all that one call knows. */
import type { Host } from '../host/host.ts';
import type { BookmarkRecord, DatasetRecord, PoolState, SnapshotRecord } from '../pool/state.ts';
import type { Usage } from '../pool/usage.ts';

export interface ZfsObject {
  readonly name: string;
  readonly dataset: DatasetRecord;
  readonly snapshot?: SnapshotRecord;
  readonly bookmark?: BookmarkRecord;
}

/** State and usage read once, for all rows of one call. */
export interface View {
  readonly host: Host;
  readonly state: PoolState;
  readonly usage: ReadonlyMap<string, Usage>;
}

export type ObjectType = 'filesystem' | 'volume' | 'snapshot' | 'bookmark';

export function typeOf(object: ZfsObject): ObjectType {
  if (object.bookmark !== undefined) return 'bookmark';
  return object.snapshot === undefined ? object.dataset.type : 'snapshot';
}
