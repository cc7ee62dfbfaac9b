/**
 * The seam between `pct create` and the code that unpacks archives (rootfs.ts). Only types: what is asked and what
 * comes back. What the image says about entrypoint, environment and user is applied to the config by the caller
 * (oci-settings.ts), as pve-container src/PVE/LXC/Create.pm does.
 */
import type { Host } from '../host/host.ts';

export interface ExtractOptions {
  readonly host: Host;
  readonly vmid: number;
  /** First host uid/gid of the guest's id map; 0 for a privileged guest. Ignored where the caller may not chown. */
  readonly idBase: number;
  /** Volumes mounted below the root while unpacking: files at or below `target` belong into `source`. */
  readonly mounts: readonly { readonly target: string; readonly source: string }[];
  /** One piece of task output, line feed included. */
  readonly log: (text: string) => void;
  readonly signal: AbortSignal;
  /** Called between entries with the bytes written so far; fault switches hang here. */
  readonly onProgress?: (bytes: number) => Promise<void>;
}

/** The parts of the OCI image configuration that Proxmox VE uses. */
export interface OciSettings {
  readonly architecture?: string;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly volumes?: readonly string[];
  readonly stopSignal?: string;
}

export interface Extracted {
  readonly detected: 'oci' | 'tar';
  readonly oci?: OciSettings;
  readonly bytes: number;
  readonly warnings: readonly string[];
}

/** rootfs.ts exports `extract: Extract` and `isOciArchive(path): Promise<boolean>`. Failures are thrown with upstream's text. */
export type Extract = (archive: string, target: string, options: ExtractOptions) => Promise<Extracted>;
