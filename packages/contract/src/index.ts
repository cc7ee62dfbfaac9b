/** What is said between the programs: ids, codes, states, rules. The generated services have doors of their own (agent, controller, common, event). */
export type { Capability } from './capabilities.ts';
export { CAPABILITIES, capabilityNeeds } from './capabilities.ts';
export type { AnyChange, ChangeCase, ChangeKindName, ChangeValue } from './change-kinds.ts';
export { CHANGE_KINDS } from './change-kinds.ts';
export { CONTRACT_VERSION, mayTalk, PRODUCT_VERSION } from './compat.ts';
export type { ErrorCode, ErrorRow, Retry } from './error-codes.ts';
export { ERROR_TABLE, errorRow, fillTemplate, GRPC, isErrorCode, RETIRED_CODES } from './error-codes.ts';
export type { ErrorDetail } from './error-detail.ts';
export {
  CAUSES_FIELD,
  DETAILS_TRAILER,
  decodeErrorDetail,
  ERROR_DOMAIN,
  encodeErrorDetail,
  HINT_FIELD,
} from './error-detail.ts';
export type { ManifestEntry, Position } from './events.ts';
export { comparePositions, dedupId, hashDocument, hashManifest } from './events.ts';
export type {
  DatasetName,
  GuestName,
  GuestUid,
  IdNoun,
  NodeName,
  NodeUid,
  Parsed,
  PciAddress,
  SnapshotName,
  StorageId,
  Tag,
  Vmid,
} from './ids.ts';
export {
  hasControlCharacters,
  ID_PREFIXES,
  isId,
  parseAbsolutePath,
  parseDatasetName,
  parseGuestName,
  parseGuestUid,
  parseNodeName,
  parseNodeUid,
  parsePciAddress,
  parseSnapshotName,
  parseStorageId,
  parseTag,
  parseVmid,
} from './ids.ts';
export type { ImageReference } from './image-ref.ts';
export { formatImageReference, parseImageReference, pinImageReference } from './image-ref.ts';
export type { JoinToken } from './join-token.ts';
export { formatJoinToken, parseJoinToken } from './join-token.ts';
export * as limits from './limits.ts';
export { formatDuration, formatSize, parseDuration, parseSize } from './quantity.ts';
export type { OperationStateName, PlanStateName, ReservationStateName } from './states.ts';
export { hasEnded, mayMove, OPERATION_MOVES, PLAN_MOVES, RESERVATION_MOVES } from './states.ts';
export type { InventoryKind } from './subjects.ts';
export {
  AGENT_PERMISSIONS,
  EVENT_STREAM,
  eventSubject,
  HEARTBEAT_FILTER,
  heartbeatSubject,
  INVENTORY_CONSUMER,
  INVENTORY_FILTER,
  INVENTORY_KINDS,
  INVENTORY_STREAM,
  idFromToken,
  idToken,
  inboxPrefix,
  inventorySubject,
  isInventoryKind,
  MANIFEST_FILTER,
  METRICS_FILTER,
  manifestSubject,
  metricsSubject,
  nodeUidOf,
  parseInventorySubject,
  resyncSubject,
} from './subjects.ts';
export type { TaskVerdict, Upid } from './upid.ts';
export { formatUpid, parseTaskLogEnd, parseTaskStatus, parseUpid, taskLogPath } from './upid.ts';
