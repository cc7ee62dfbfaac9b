/** Door to the generated services of the agent. */

export type { DeviceServiceServer } from './gen/pxmgr/agent/v1/device_service.ts';
export {
  DeviceServiceClient,
  DeviceServiceService,
  ListDevicesRequest,
  ListDevicesResponse,
} from './gen/pxmgr/agent/v1/device_service.ts';
export type { GuestServiceServer } from './gen/pxmgr/agent/v1/guest_service.ts';
export {
  ChangeContainerRequest,
  ChangeContainerResponse,
  CloneContainerRequest,
  CloneContainerResponse,
  CloneSource,
  CreateContainerRequest,
  CreateContainerResponse,
  DestroyContainerRequest,
  DestroyContainerResponse,
  ExecContainerRequest,
  ExecContainerResponse,
  ExecStart,
  GetGuestRequest,
  GetGuestResponse,
  GuestServiceClient,
  GuestServiceService,
  ListGuestsRequest,
  ListGuestsResponse,
  ShutdownContainerRequest,
  ShutdownContainerResponse,
  StartContainerRequest,
  StartContainerResponse,
  StopContainerRequest,
  StopContainerResponse,
} from './gen/pxmgr/agent/v1/guest_service.ts';
export type { ImageServiceServer } from './gen/pxmgr/agent/v1/image_service.ts';
export {
  ImageConfig,
  ImageConfig_LabelsEntry,
  ImageServiceClient,
  ImageServiceService,
  ListImagesRequest,
  ListImagesResponse,
  PullImageRequest,
  PullImageResponse,
  ResolveImageRequest,
  ResolveImageResponse,
} from './gen/pxmgr/agent/v1/image_service.ts';
export type { NodeServiceServer } from './gen/pxmgr/agent/v1/node_service.ts';
export {
  GetInventoryRequest,
  GetInventoryResponse,
  GetNodeRequest,
  GetNodeResponse,
  NodeServiceClient,
  NodeServiceService,
  ResyncInventoryRequest,
  ResyncInventoryResponse,
} from './gen/pxmgr/agent/v1/node_service.ts';
export type { OperationServiceServer } from './gen/pxmgr/agent/v1/operation_service.ts';
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
} from './gen/pxmgr/agent/v1/operation_service.ts';
export type { StorageServiceServer } from './gen/pxmgr/agent/v1/storage_service.ts';
export {
  ListDatasetsRequest,
  ListDatasetsResponse,
  ListStoragesRequest,
  ListStoragesResponse,
  StorageServiceClient,
  StorageServiceService,
} from './gen/pxmgr/agent/v1/storage_service.ts';
