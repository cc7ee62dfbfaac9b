/**
 * Guest volumes behind one interface, one implementation per storage type: `dir` here beside (dir-volumes.ts),
 * `zfspool` in zfs-volumes.ts. A volume of a container is always a directory on this machine, whatever its format says,
 * so that a guest can really be started from it without loop devices; the name (`vm-100-disk-0.raw`) stays upstream's.
 * This room knows names, places and sizes; it knows nothing of guest configs.
 */
import type { Host } from '../host/host.ts';
import type { Storage } from '../text/storage-cfg.ts';

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

/** One volume of one storage; `volname` is the part of its id after the colon. */
export interface VolumeAt {
  readonly host: Host;
  readonly storage: Storage;
  readonly volname: string;
}

/** All failures are thrown as ToolError with upstream's text. */
export interface VolumeBackend {
  /** Throws when the storage cannot be used now. */
  activate?(host: Host, storage: Storage): Promise<void>;
  alloc(host: Host, storage: Storage, request: VolumeRequest): Promise<string>;
  list(host: Host, storage: Storage): Promise<VolumeRow[]>;
  /** The directory that holds the files; it exists while the volume does. */
  directory(at: VolumeAt): Promise<string>;
  /** The path `pvesm path` prints: an in-host path, not checked. */
  inHostPath(at: VolumeAt): string;
  exists(at: VolumeAt): Promise<boolean>;
  /** How the storage's own tool tells that a volume is gone; default: Proxmox VE's words. */
  missingText?(at: VolumeAt): string;
  sizeBytes(at: VolumeAt): Promise<number>;
  resize(at: VolumeAt, sizeBytes: number, log?: (text: string) => void): Promise<void>;
  destroy(at: VolumeAt): Promise<void>;
  /** A new volname carrying the other owner's vmid. */
  rename(at: VolumeAt, targetVmid: number): Promise<string>;
  /** The volume becomes the base of linked clones; its new volname. */
  makeBase(at: VolumeAt, log?: (text: string) => void): Promise<string>;
  linkedClone(base: VolumeAt, targetVmid: number): Promise<string>;
  canSnapshot(storage: Storage, volname: string): boolean;
  snapshot(at: VolumeAt, name: string): Promise<void>;
  /** The directory that holds the files of a snapshot; only where the storage shows them. */
  snapshotDirectory?(at: VolumeAt, name: string): Promise<string>;
  /** Names of snapshots newer than `name` (rollback is refused while there is one); undefined: the volume has none of that name. */
  newerSnapshots(at: VolumeAt, name: string): Promise<string[] | undefined>;
  rollback(at: VolumeAt, name: string): Promise<void>;
  deleteSnapshot(at: VolumeAt, name: string): Promise<void>;
  space(host: Host, storage: Storage): Promise<SpaceRow>;
  /** The format a container volume of this size gets when none is asked for. */
  containerFormat(sizeBytes: number): VolumeFormat;
}
