/** The fields of a guest that decisions need, without its whole document. */
export interface GuestView {
  readonly kind: 'container' | 'vm';
  readonly vmid: number;
  readonly name: string;
  /** running, stopped */
  readonly status: string;
  /** pxmgr's uid of the guest; empty for a guest that pxmgr did not make. */
  readonly guestUid: string;
  /** What it may come to without a further order: the larger of what it has and what it gets at its next start. 0 = all cores of the node. */
  readonly cores: number;
  /** In the same sense. */
  readonly memoryBytes: number;
  readonly template: boolean;
  readonly protection: boolean;
  readonly lock: string;
  readonly imageDigest: string;
  readonly devicePaths: readonly string[];
}

/** A guest and where it lives. */
export interface GuestSummary extends GuestView {
  readonly nodeUid: string;
  readonly nodeName: string;
}

/** What a person types to name a guest: vmid or name, and a node (name or uid) where that is ambiguous. */
export interface GuestKeyInput {
  readonly key: string;
  readonly node?: string | undefined;
}
