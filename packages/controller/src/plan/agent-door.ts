import type {
  ChangeContainerRequest,
  CloneContainerRequest,
  CreateContainerRequest,
  DestroyContainerRequest,
  GetOperationRequest,
  PullImageRequest,
  ResolveImageRequest,
  ResolveImageResponse,
  ShutdownContainerRequest,
  StartContainerRequest,
  StopContainerRequest,
} from '@pxmgr/contract/agent';
import type { ContainerDocument, HostCommand, Operation, OperationEvent } from '@pxmgr/contract/common';

/** What an agent answers to an order: the operation it started (or had already), and the commands it will run. */
export interface Accepted {
  readonly operation: Operation | undefined;
  readonly commands: readonly HostCommand[];
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * The agents as execution needs them, one call per order; nodes by uid. Every failure is a PxmError: PXM_NODE_UNREACHABLE
 * and PXM_DEADLINE_EXCEEDED say nothing about whether the agent got the order. Orders are idempotent by their key.
 */
export interface AgentDoor {
  resolveImage(nodeUid: string, request: ResolveImageRequest, options?: CallOptions): Promise<ResolveImageResponse>;
  pullImage(nodeUid: string, request: PullImageRequest): Promise<Accepted>;
  createContainer(nodeUid: string, request: CreateContainerRequest): Promise<Accepted>;
  cloneContainer(nodeUid: string, request: CloneContainerRequest): Promise<Accepted>;
  startContainer(nodeUid: string, request: StartContainerRequest): Promise<Accepted>;
  shutdownContainer(nodeUid: string, request: ShutdownContainerRequest): Promise<Accepted>;
  stopContainer(nodeUid: string, request: StopContainerRequest): Promise<Accepted>;
  destroyContainer(nodeUid: string, request: DestroyContainerRequest): Promise<Accepted>;
  changeContainer(nodeUid: string, request: ChangeContainerRequest): Promise<Accepted>;
  /** PXM_GUEST_NOT_FOUND when it is not there. */
  getGuest(nodeUid: string, vmid: number): Promise<ContainerDocument>;
  /** PXM_OPERATION_NOT_FOUND when the agent does not know it. */
  getOperation(nodeUid: string, request: GetOperationRequest): Promise<Operation>;
  /** Events after `afterSeq`, then those to come; ends with the operation. Breaks with an error when the agent goes away. */
  watchOperation(nodeUid: string, id: string, watch: WatchFrom): AsyncIterable<OperationEvent>;
  cancelOperation(nodeUid: string, id: string, actor: string): Promise<Operation>;
}

export interface WatchFrom {
  readonly afterSeq: bigint;
  readonly signal: AbortSignal;
}
