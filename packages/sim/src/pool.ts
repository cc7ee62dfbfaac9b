/** What the rest of the stand-in needs of its ZFS (room pool/): pools to start with, and the storage backend. */
export { addDatasets, type PlannedDataset } from './pool/planned.ts';
export { createPool, type PoolSpec } from './pool/pools.ts';
export type { Vdev } from './pool/state.ts';
export { zfsVolumes } from './pool/zfs-volumes.ts';
