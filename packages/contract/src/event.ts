/** Door to the generated messages that travel over NATS. */
export {
  Cause,
  GuestMetrics,
  HeartbeatMessage,
  InventoryMessage,
  KindManifest,
  ManifestMessage,
  MetricsMessage,
  StorageMetrics,
} from './gen/pxmgr/event/v1/event.ts';
