/** Properties that no dataset keeps: counted, looked up, or the same for all. */
import { encryptionRoot } from '../pool/mounting.ts';
import { uniqueBytes } from '../pool/snapshot-space.ts';
import { clonesOf, type DatasetRecord, type SnapshotRecord } from '../pool/state.ts';
import type { Usage } from '../pool/usage.ts';
import type { View, ZfsObject } from './zfs-object.ts';

type Values = Readonly<Record<string, string | number | undefined>>;

const NO_USAGE: Usage = {
  used: 0,
  available: 0,
  referenced: 0,
  byDataset: 0,
  byChildren: 0,
  bySnapshots: 0,
  byReservation: 0,
};
/** Always computed; what an object of some kind does not have is absent there. */
const COMPUTED = new Set([
  ...['name', 'type', 'creation', 'used', 'available', 'referenced', 'compressratio', 'mounted', 'origin', 'createtxg'],
  ...[
    'guid',
    'usedbysnapshots',
    'usedbydataset',
    'usedbychildren',
    'usedbyrefreservation',
    'defer_destroy',
    'userrefs',
  ],
  ...['objsetid', 'refcompressratio', 'written', 'clones', 'logicalused', 'logicalreferenced', 'receive_resume_token'],
  ...['encryptionroot', 'redact_snaps', 'snapshots_changed'],
]);

/** null: absent; undefined: not a computed property. */
export function computedValue(view: View, object: ZfsObject, property: string): string | null | undefined {
  if (!COMPUTED.has(property)) return undefined;
  const value = valuesOf(view, object)[property];
  return value === undefined ? null : String(value);
}

function valuesOf(view: View, object: ZfsObject): Values {
  if (object.bookmark !== undefined) {
    const { guid, createtxg, creation, referencedBytes } = object.bookmark;
    return { name: object.name, type: 'bookmark', guid, createtxg, creation, referenced: referencedBytes };
  }
  return object.snapshot === undefined
    ? datasetValues(view, object.dataset)
    : snapshotValues(view, object, object.snapshot);
}

function datasetValues(view: View, dataset: DatasetRecord): Values {
  const usage = view.usage.get(dataset.name) ?? NO_USAGE;
  const last = dataset.snapshots.at(-1);
  return {
    name: dataset.name,
    type: dataset.type,
    creation: dataset.creation,
    used: usage.used,
    available: usage.available,
    referenced: usage.referenced,
    compressratio: '1.00',
    mounted: mountedWord(dataset),
    origin: dataset.origin,
    createtxg: dataset.createtxg,
    guid: dataset.guid,
    usedbysnapshots: usage.bySnapshots,
    usedbydataset: usage.byDataset,
    usedbychildren: usage.byChildren,
    usedbyrefreservation: usage.byReservation,
    objsetid: dataset.createtxg,
    refcompressratio: '1.00',
    written: Math.max(0, usage.referenced - (last?.referencedBytes ?? 0)),
    logicalused: Math.floor(usage.used / 2),
    logicalreferenced: Math.floor(usage.referenced / 2),
    receive_resume_token: dataset.partial?.token,
    encryptionroot: encryptionRoot(view.state, dataset)?.name,
    snapshots_changed: last?.creation,
  };
}

function mountedWord({ type, mountedAt }: DatasetRecord): string | undefined {
  if (type === 'volume') return undefined;
  return mountedAt === undefined ? 'no' : 'yes';
}

function snapshotValues(view: View, { name, dataset }: ZfsObject, snapshot: SnapshotRecord): Values {
  const before = dataset.snapshots[dataset.snapshots.indexOf(snapshot) - 1];
  return {
    name,
    type: 'snapshot',
    creation: snapshot.creation,
    used: uniqueBytes(view.host, view.state, { dataset, snapshots: [snapshot] }),
    referenced: snapshot.referencedBytes,
    compressratio: '1.00',
    createtxg: snapshot.createtxg,
    guid: snapshot.guid,
    userrefs: snapshot.holds.length,
    defer_destroy: snapshot.isDeferred === true ? 'on' : 'off',
    objsetid: snapshot.createtxg,
    refcompressratio: '1.00',
    written: Math.max(0, snapshot.referencedBytes - (before?.referencedBytes ?? 0)),
    clones: clonesOf(view.state, name).join(',') || undefined,
    logicalreferenced: Math.floor(snapshot.referencedBytes / 2),
    encryptionroot: encryptionRoot(view.state, dataset)?.name,
  };
}
