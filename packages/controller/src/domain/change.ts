import type { InventoryDocument } from '@pxmgr/contract/common';
import type { Cause } from '@pxmgr/contract/event';

/** gap = messages were lost between two states, so what is recorded may stand for several changes. */
export type ChangeAction = 'created' | 'updated' | 'deleted' | 'gap';

/** One field that differs; values as text, secrets already replaced by hashes in the documents. */
export interface FieldDiff {
  /** container.config.memory */
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

/** A difference before it has an id. */
export interface ChangeDraft {
  readonly observedAt: Date;
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly kind: string;
  readonly objectId: string;
  readonly objectName: string;
  readonly action: ChangeAction;
  readonly upid: string;
  /** root@pam, operator:alice; empty when unknown. */
  readonly author: string;
  readonly operationId: string;
  readonly fields: readonly FieldDiff[];
  /** "status: stopped -> running" */
  readonly summary: string;
}

/** A recorded difference. */
export interface ChangeRecord extends ChangeDraft {
  readonly id: bigint;
  readonly recordedAt: Date;
}

/** Two observations of one object; `before` or `after` is undefined at the ends of its life. */
export interface Observation {
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly kind: string;
  readonly id: string;
  readonly observedAt: Date;
  readonly before: InventoryDocument | undefined;
  readonly after: InventoryDocument | undefined;
  readonly cause: Cause | undefined;
}

/** Undefined when nothing worth recording differs. */
export type DescribeChange = (observation: Observation) => ChangeDraft | undefined;

/** Filter of a history query; every part optional. */
export interface ChangeQuery {
  /** Name or uid. */
  readonly node?: string | undefined;
  readonly kind?: string | undefined;
  /** Object id or name. */
  readonly object?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly limit: number;
  readonly beforeId?: bigint | undefined;
}
