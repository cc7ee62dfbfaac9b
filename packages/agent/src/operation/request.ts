import { type Operation, OperationState, type Order } from '@pxmgr/contract/common';
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import type { Work } from './work.ts';

export interface OperationRequest {
  /** "container.create" */
  readonly kind: string;
  /** One line for people. */
  readonly title: string;
  readonly vmid?: number;
  /** What it must have alone: "vmid:101", "image:sha256:...". */
  readonly keys: readonly string[];
  readonly order?: Order | undefined;
  /** Plain JSON that the recovery of this kind needs; never a secret. */
  readonly params: unknown;
}

export type OperationBody = (work: Work) => Promise<void>;

export interface NewOperationParts {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly node: { readonly uid: string; readonly name: string };
}

/** As it is when it is accepted. */
export function newOperation(request: OperationRequest, { clock, ids, node }: NewOperationParts): Operation {
  return {
    id: ids.operationId(),
    kind: request.kind,
    state: OperationState.OPERATION_STATE_QUEUED,
    title: request.title,
    nodeUid: node.uid,
    nodeName: node.name,
    vmid: request.vmid ?? 0,
    idempotencyKey: request.order?.idempotencyKey ?? '',
    planId: request.order?.planId ?? '',
    createdAt: clock.now(),
    startedAt: undefined,
    endedAt: undefined,
    problem: undefined,
    steps: [],
    upids: [],
    results: {},
    recovery: '',
    warnings: [],
  };
}
