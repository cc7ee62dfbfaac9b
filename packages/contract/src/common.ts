/** Door to the generated nouns that agent and controller services share. */

export {
  AttachDevices,
  ContainerChange,
  CreateSnapshot,
  DestroySnapshot,
  DetachDevices,
  RollbackSnapshot,
  SetOptions,
  TagList,
} from './gen/pxmgr/common/v1/container_change.ts';
export {
  ContainerSpec,
  Device,
  EnvironmentVariable,
  GpuRequest,
  ImageSource,
  Mount,
  NetworkInterface,
  NewVolume,
  Readiness,
  TemplateSource,
} from './gen/pxmgr/common/v1/container_spec.ts';
export { HostCommand } from './gen/pxmgr/common/v1/host_command.ts';
export {
  ContainerDocument,
  ContainerDocument_ConfigEntry,
  DatasetDocument,
  GpuDocument,
  GuestDevice,
  GuestNetwork,
  GuestSnapshot,
  ImageDocument,
  InventoryDocument,
  InventoryObject,
  MountPoint,
  NetworkDocument,
  NodeDocument,
  NodeDocument_ToolsEntry,
  SourceFailure,
  StorageDocument,
  TemplateDocument,
  UsbDocument,
  VmDocument,
  VmDocument_ConfigEntry,
} from './gen/pxmgr/common/v1/inventory.ts';
export {
  ByteProgress,
  CommandRun,
  LogLine,
  Operation,
  Operation_ResultsEntry,
  OperationEvent,
  OperationState,
  OperationStep,
  Order,
} from './gen/pxmgr/common/v1/operation.ts';
export { Problem, Problem_FieldsEntry } from './gen/pxmgr/common/v1/problem.ts';
