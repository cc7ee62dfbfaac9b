/** Every number that is a rule, with its source. */

/** `pve-vmid`: proxmox/pve-common src/PVE/JSONSchema.pm. */
export const VMID_MIN = 100;
export const VMID_MAX = 999_999_999;
/** `pve-snapshot-name` is 2 to 40 characters: proxmox/pve-common src/PVE/JSONSchema.pm. */
export const SNAPSHOT_NAME_MIN = 2;
export const SNAPSHOT_NAME_MAX = 40;
/** RFC 1035 label and the Linux limit for a host name; Proxmox accepts more but the guest breaks. */
export const HOSTNAME_LABEL_MAX = 63;
export const HOSTNAME_MAX = 64;
/** `pve-storage-id`: letter first, at least 2: proxmox/pve-common src/PVE/JSONSchema.pm. */
export const STORAGE_ID_MIN = 2;
export const STORAGE_ID_MAX = 100;
/** `memory` minimum of a container in MiB: proxmox/pve-container src/PVE/LXC/Config.pm. */
export const CONTAINER_MEMORY_MIN_BYTES = 16 * 1024 * 1024;
/** `cores` range of a container: proxmox/pve-container src/PVE/LXC/Config.pm. */
export const CONTAINER_CORES_MAX = 8192;
/** Highest index of netN; mpN, devN and unusedN: proxmox/pve-container src/PVE/LXC/Config.pm. */
export const NET_INDEX_MAX = 31;
export const MOUNT_INDEX_MAX = 255;
export const DEVICE_INDEX_MAX = 255;
/** Ids above are not in the default map (100000, 65536) of unprivileged containers. */
export const GUEST_ID_MAX = 65_535;
/** ZFS_MAX_DATASET_NAME_LEN minus room for a snapshot name: openzfs/zfs include/sys/fs/zfs.h. */
export const DATASET_NAME_MAX = 200;
/** `ostemplate` is at most 255 characters in total: proxmox/pve-container src/PVE/API2/LXC.pm. */
export const VOLUME_ID_MAX = 255;
/** Repository names: opencontainers/distribution-spec spec.md allows 255 with the host. */
export const IMAGE_REFERENCE_MAX = 255;
/** Largest NATS payload by default is 1 MiB: nats-io/nats-server server/const.go; headers need room. */
export const EVENT_MAX_BYTES = 900 * 1024;
/** Largest gRPC message in either direction. */
export const RPC_MAX_BYTES = 16 * 1024 * 1024;
/** Rows of one list answer. */
export const PAGE_SIZE_DEFAULT = 1000;
export const PAGE_SIZE_MAX = 10_000;
/** Rows of a list that grows for ever: history, audit, operations. */
export const HISTORY_ROWS_DEFAULT = 50;
export const HISTORY_ROWS_MAX = 1000;
/** Heartbeat and presence (seconds). */
export const HEARTBEAT_SECONDS = 5;
export const SUSPECT_AFTER_SECONDS = 15;
export const DOWN_AFTER_SECONDS = 30;
/** Manifest of an agent's view (seconds, plus jitter). */
export const MANIFEST_SECONDS = 30;
/** Certificates of agents live this long and are renewed at two thirds. */
export const AGENT_CERTIFICATE_DAYS = 30;
/** A join token lives this long unless said otherwise. */
export const JOIN_TOKEN_SECONDS = 900;
export const JOIN_TOKEN_MAX_SECONDS = 86_400;
