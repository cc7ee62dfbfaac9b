/** Door to the generated services of the controller. */

export type { AccessServiceServer } from './gen/pxmgr/controller/v1/access_service.ts';
export {
  AccessServiceClient,
  AccessServiceService,
  AuditEntry,
  CreateOperatorRequest,
  CreateOperatorResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListOperatorsRequest,
  ListOperatorsResponse,
  Operator,
  RevokeOperatorRequest,
  RevokeOperatorResponse,
} from './gen/pxmgr/controller/v1/access_service.ts';
export type { ChangeServiceServer } from './gen/pxmgr/controller/v1/change_service.ts';
export {
  Change,
  ChangeServiceClient,
  ChangeServiceService,
  FieldChange,
  GetChangeRequest,
  GetChangeResponse,
  ListChangesRequest,
  ListChangesResponse,
} from './gen/pxmgr/controller/v1/change_service.ts';
export type { FleetServiceServer } from './gen/pxmgr/controller/v1/fleet_service.ts';
export {
  Check,
  CreateTokenRequest,
  CreateTokenResponse,
  FleetServiceClient,
  FleetServiceService,
  GetNodeRequest,
  GetNodeResponse,
  GetStatusRequest,
  GetStatusResponse,
  GetStatusResponse_ObjectsEntry,
  ListNodesRequest,
  ListNodesResponse,
  Node,
  Presence,
  RenewNodeRequest,
  RenewNodeResponse,
  RevokeNodeRequest,
  RevokeNodeResponse,
  RunSelftestRequest,
  RunSelftestResponse,
} from './gen/pxmgr/controller/v1/fleet_service.ts';
export type { GuestServiceServer } from './gen/pxmgr/controller/v1/guest_service.ts';
export {
  ExecGuestRequest,
  ExecGuestResponse,
  ExecGuestStart,
  GuestServiceClient,
  GuestServiceService,
  InspectImageRequest,
  InspectImageResponse,
} from './gen/pxmgr/controller/v1/guest_service.ts';
export type { InventoryServiceServer } from './gen/pxmgr/controller/v1/inventory_service.ts';
export {
  GetInventoryRequest,
  GetInventoryResponse,
  InventoryServiceClient,
  InventoryServiceService,
  ListInventoryRequest,
  ListInventoryResponse,
  WatchInventoryRequest,
  WatchInventoryResponse,
} from './gen/pxmgr/controller/v1/inventory_service.ts';
export type { JoinServiceServer } from './gen/pxmgr/controller/v1/join_service.ts';
export {
  JoinNodeRequest,
  JoinNodeResponse,
  JoinServiceClient,
  JoinServiceService,
} from './gen/pxmgr/controller/v1/join_service.ts';
export type { OperationServiceServer } from './gen/pxmgr/controller/v1/operation_service.ts';
export {
  CancelOperationRequest,
  CancelOperationResponse,
  GetOperationRequest,
  GetOperationResponse,
  ListOperationsRequest,
  ListOperationsResponse,
  OperationServiceClient,
  OperationServiceService,
  WatchOperationRequest,
  WatchOperationResponse,
} from './gen/pxmgr/controller/v1/operation_service.ts';
export type { PlacementServiceServer } from './gen/pxmgr/controller/v1/placement_service.ts';
export {
  ApplyPlanRequest,
  ApplyPlanResponse,
  Candidate,
  ChangeAction,
  CloneAction,
  DestroyAction,
  EvaluatePlacementRequest,
  EvaluatePlacementResponse,
  Evaluation,
  GetEvaluationRequest,
  GetEvaluationResponse,
  GuestKey,
  ListReservationsRequest,
  ListReservationsResponse,
  PlacementConstraints,
  PlacementServiceClient,
  PlacementServiceService,
  Plan,
  PlanActionRequest,
  PlanActionResponse,
  PlanContainerRequest,
  PlanContainerResponse,
  PlanStep,
  PullAction,
  Reason,
  Reservation,
  Score,
  ShutdownAction,
  StartAction,
  StopAction,
} from './gen/pxmgr/controller/v1/placement_service.ts';
