import type { GuestAccounts } from '../../device/gid.ts';
import type { SampledFile } from '../../image/content-sample.ts';

/** What create needs to know about what the container is made of, whether image or template. */
export interface SourceFacts {
  readonly kind: 'image' | 'template';
  /** `ostemplate` of pct. */
  readonly template: string;
  readonly accounts: GuestAccounts;
  /** Set when nothing else sets HOME; undefined for templates, whose init does it. */
  readonly home: string | undefined;
  /** Directories that become volumes of their own, parents first. */
  readonly volumes: readonly string[];
  /** Entrypoint and command of the image; empty for templates and for images that start /sbin/init. */
  readonly argv: readonly string[];
  readonly hasShell: boolean;
  /** The stored ostype must be this one; undefined = any. */
  readonly expectedOsType: string | undefined;
  /** `--ostype` and `--arch`; undefined = Proxmox detects them. */
  readonly osTypeOption: string | undefined;
  readonly architectureOption: string | undefined;
  /** Unpacked content: a root file system must be larger. */
  readonly unpackedBytes: number;
  /** Files that the root file system must have; empty where nobody has looked inside before. */
  readonly sample: readonly SampledFile[];
  /** For the guest's record in the inventory. */
  readonly imageDigest: string;
  readonly imageReference: string;
}
