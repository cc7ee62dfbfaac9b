/**
 * Guest volumes behind one interface, one implementation per storage type: `dir` here beside (volume-dir.ts),
 * `zfspool` in pool.ts. A volume of a container is always a directory on this machine, whatever its format says,
 * so that a guest can really be started from it without loop devices; the name (`vm-100-disk-0.raw`) stays upstream's.
 * This room knows names, places and sizes; it knows nothing of guest configs.
 */
import type { Host } from './host.ts';
import type { Storage } from './storage-cfg.ts';

export type VolumeFormat = 'raw' | 'qcow2' | 'vmdk' | 'subvol';

export interface VolumeRequest {
  readonly vmid: number;
  /** Given name, or undefined for the lowest free `disk-N`. */
  readonly name?: string;
  readonly format: VolumeFormat;
  /** 0 = without a limit. */
  readonly sizeBytes: number;
  /** Owner of the volume's root directory (100000 for an unprivileged guest), where the caller may chown. */
  readonly ownerId?: number;
  /** Task output, line feed included. */
  readonly log: (text: string) => void;
}

export interface VolumeRow {
  /** `storage:volname`. */
  readonly volid: string;
  readonly format: string;
  readonly sizeBytes: number;
  readonly vmid: number;
  /** Snapshot the volume was cloned from, when linked. */
  readonly parent?: string;
}

export interface SpaceRow {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly availableBytes: number;
}

/** All failures are thrown as ToolError with upstream's text. `volname` is the part after the colon. */
export interface VolumeBackend {
  alloc(host: Host, storage: Storage, request: VolumeRequest): Promise<string>;
  list(host: Host, storage: Storage): Promise<VolumeRow[]>;
  /** The directory that holds the files; it exists while the volume does. */
  directory(host: Host, storage: Storage, volname: string): Promise<string>;
  /** The path `pvesm path` prints: an in-host path, not checked. */
  inHostPath(host: Host, storage: Storage, volname: string): string;
  exists(host: Host, storage: Storage, volname: string): Promise<boolean>;
  sizeBytes(host: Host, storage: Storage, volname: string): Promise<number>;
  resize(host: Host, storage: Storage, volname: string, sizeBytes: number): Promise<void>;
  destroy(host: Host, storage: Storage, volname: string): Promise<void>;
  /** A new volname carrying the other owner's vmid. */
  rename(host: Host, storage: Storage, volname: string, targetVmid: number): Promise<string>;
  canSnapshot(storage: Storage, volname: string): boolean;
  snapshot(host: Host, storage: Storage, volname: string, name: string): Promise<void>;
  /** Names of snapshots newer than `name` (rollback is refused while there is one). */
  newerSnapshots(host: Host, storage: Storage, volname: string, name: string): Promise<string[]>;
  rollback(host: Host, storage: Storage, volname: string, name: string): Promise<void>;
  deleteSnapshot(host: Host, storage: Storage, volname: string, name: string): Promise<void>;
  space(host: Host, storage: Storage): Promise<SpaceRow>;
  /** The format a container volume of this size gets when none is asked for. */
  containerFormat(sizeBytes: number): VolumeFormat;
}

/** The backend of a storage type, or undefined when this stand-in cannot hold guest volumes on it. */
export async function backendOf(type: string): Promise<VolumeBackend | undefined> {
  if (type === 'dir') return (await import('./volume-dir.ts')).dirVolumes;
  if (type === 'zfspool') return (await import('./pool.ts')).zfsVolumes;
  return undefined;
}
