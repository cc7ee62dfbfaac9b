/** Failures that lie with the fleet: states, races, reach, room, and faults of ours or of foreign tools. */
import { CANNOT, type ErrorRow, FAULT, FORBIDDEN, RACE, REACH, ROOM, row, SLOW, STATE } from './error-families.ts';

export const FLEET_ROWS = {
  // wrong state
  PXM_GUEST_LOCKED: row(
    STATE,
    'container {vmid} on {node} is locked ({lock})',
    'wait for the task that holds the lock; "pct unlock" only if no such task runs',
  ),
  PXM_GUEST_RUNNING: row(
    STATE,
    'container {vmid} on {node} is running',
    'shut it down first: pxmgr container shutdown {vmid}, or give --force where the command has it',
  ),
  PXM_GUEST_NOT_RUNNING: row(
    STATE,
    'container {vmid} on {node} is not running',
    'start it first: pxmgr container start {vmid}',
  ),
  PXM_GUEST_PROTECTED: row(
    STATE,
    'container {vmid} on {node} is protected',
    'remove the protection first: pct set {vmid} --protection 0',
  ),
  PXM_GUEST_FOREIGN: row(
    STATE,
    'container {vmid} on {node} is not the one meant: expected uid {expected}, found {found}',
    'it was replaced or made by somebody else; look at it before doing anything to it',
  ),
  PXM_GUEST_MOVED: row(
    STATE,
    'container {vmid} is no longer on {node}: it was moved to {target}',
    'nothing was done to it on {target}; give the order again when "pxmgr container list" shows it there',
  ),
  PXM_GUEST_AMBIGUOUS: row(STATE, '{key} names {count} guests: {matches}', 'say which one with --node, or use a vmid'),
  PXM_GUEST_TEMPLATE: row(
    STATE,
    'container {vmid} on {node} is a template and cannot run',
    'clone it and start the clone',
  ),
  PXM_CLONE_UNSUPPORTED: row(
    STATE,
    'container {vmid} on {node} cannot be cloned like this: {reasons}',
    'directories and devices of the node have to be taken off its mounts first; what cannot be linked can be copied: --full',
  ),
  PXM_SNAPSHOT_UNSUPPORTED: row(
    STATE,
    'container {vmid} on {node} cannot have snapshots: {reasons}',
    'every mount must be a volume on a storage of type zfspool, btrfs, lvmthin or rbd',
  ),
  PXM_SNAPSHOT_NOT_NEWEST: row(
    STATE,
    'container {vmid} on {node} cannot go back to snapshot {snapshot}: newer is {blocking}',
    'what is newer has to be destroyed first: pxmgr container snapshot destroy {vmid} NAME',
  ),
  PXM_SNAPSHOT_INCOMPLETE: row(
    STATE,
    'snapshot {snapshot} of container {vmid} on {node} is not whole: {reason}',
    'nobody can go back to it; remove it with pxmgr container snapshot destroy {vmid} {snapshot}',
  ),
  PXM_SNAPSHOT_IN_USE: row(
    STATE,
    'snapshot {snapshot} of container {vmid} on {node} cannot be destroyed: {reasons}',
    'release the holds with "zfs release", or destroy the clones first',
  ),
  PXM_START_FAILED: row(
    STATE,
    'container {vmid} on {node} did not start',
    'see its log: pxmgr operation get {operation}',
  ),
  PXM_NOT_READY: row(
    STATE,
    'container {vmid} on {node} runs, but was not ready within {seconds} s: {probe}',
    'it was left running; look at it with "pxmgr container exec"',
  ),
  PXM_SHUTDOWN_TIMEOUT: row(
    STATE,
    'container {vmid} on {node} did not stop within {seconds} s',
    'it was told to and may still do so; to end it at once use --force, or "pxmgr container stop"',
  ),
  PXM_NO_QUORUM: row(
    STATE,
    'node {node} is cut off from its cluster (no quorum); nothing may be changed on it',
    'see what it sees with "pvecm status" on it, and bring the network of the cluster back; new containers go to other nodes meanwhile',
  ),
  PXM_DATASET_BUSY: row(STATE, 'dataset {dataset} is busy', 'stop what uses it and try again'),
  PXM_STORAGE_DISABLED: row(
    STATE,
    'storage {storage} on {node} is disabled or not available there',
    'enable it in the storage configuration',
  ),
  PXM_OPERATION_ENDED: row(STATE, 'operation {operation} has already ended ({state})', ''),
  PXM_PLAN_NOT_OPEN: row(STATE, 'plan {plan} is {state} and cannot be applied', 'make a new plan'),
  PXM_TOKEN_NODE_MISMATCH: row(
    STATE,
    'this join token is for node {expected}, not for {node}',
    'make one for this node: pxmgr node token create --node {node}',
  ),
  PXM_NOT_JOINED: row(
    STATE,
    'this agent has not joined a fleet yet',
    'run "pxmgr-agent join TOKEN" with a token from "pxmgr node token create"',
  ),
  PXM_ALREADY_JOINED: row(
    STATE,
    'this agent already belongs to the fleet as {node} ({uid})',
    'use --force to join anew; the old identity should be revoked',
  ),
  PXM_UNDO_INCOMPLETE: row(
    STATE,
    'operation {operation} failed and could not be undone completely: {left}',
    'remove what is named by hand; "pxmgr operation get {operation}" shows the commands',
  ),
  PXM_VERIFY_FAILED: row(
    STATE,
    'container {vmid} on {node} is not as ordered: {difference}',
    'it was undone; see "pxmgr operation get"',
  ),
  PXM_HOOK_MISSING: row(
    STATE,
    'the hook {path} that such a container needs at each start is not on {node}',
    'restart pxmgr-agent there: it installs the file, and its log says why when it cannot',
  ),
  // lost a race
  PXM_PLAN_STALE: row(RACE, 'plan {plan} no longer fits: {reason}', 'make a new plan and apply it'),
  PXM_GENERATION_OLD: row(
    RACE,
    'node {node} has already seen generation {seen}; this order has {generation}',
    'the controller will plan anew',
  ),
  PXM_CONFIG_DIGEST_CHANGED: row(
    RACE,
    'the configuration of container {vmid} was changed by somebody else meanwhile',
    'run the command again',
  ),
  // the node cannot
  PXM_CAPABILITY_MISSING: row(
    CANNOT,
    'node {node} cannot do this: {capability} needs {needs}',
    'update the node, or choose another one',
  ),
  PXM_CONTRACT_MISMATCH: row(
    CANNOT,
    '{peer} speaks contract {theirs}, this program {ours}',
    'update the older of the two',
  ),
  // out of reach
  PXM_STORAGE_SILENT: row(
    REACH,
    '{what} does not answer',
    'see its server and the network to it; what lies elsewhere on the node is not affected',
  ),
  PXM_NODE_UNREACHABLE: row(
    REACH,
    'the agent on {node} does not answer',
    'check the host and "systemctl status pxmgr-agent" on it',
  ),
  PXM_INVENTORY_UNREAD: row(
    REACH,
    'the agent on {node} has not read its inventory yet ({kind})',
    'it has just started: try again in a moment; if that does not help, "pxmgr node get {node}" names what it cannot read',
  ),
  PXM_CONTROLLER_UNREACHABLE: row(
    REACH,
    'no controller answers at {address}',
    'check that it runs, and its address (--controller, or controller in the settings)',
  ),
  PXM_NODE_DOWN: row(
    REACH,
    'node {node} is {presence}; last heard of {seen}',
    'nothing was sent to it; try again when it is back',
  ),
  PXM_NATS_DOWN: row(REACH, 'the message bus at {url} does not answer', 'see the controller log'),
  PXM_REGISTRY_UNREACHABLE: row(
    REACH,
    'registry {registry} cannot be reached: {reason}',
    'check its address; a plain-HTTP registry must be listed in insecure_registries of the agents',
  ),
  PXM_REGISTRY_LIMIT: row(REACH, 'registry {registry} limits requests at present', 'wait, or log in to it'),
  PXM_PVE_UNREACHABLE: row(REACH, 'the Proxmox API at {address} does not answer', 'check pveproxy on the node'),
  PXM_PVE_REFUSED: row(
    FORBIDDEN,
    'the Proxmox API at {address} refused the request: {reason}',
    'check the token and its privileges',
  ),
  PXM_LOCK_TIMEOUT: row(
    REACH,
    'the lock {lock} stayed taken for {seconds} s',
    'another task works on the same guest; try again',
  ),
  PXM_INTERRUPTED: row(
    REACH,
    'operation {operation} was interrupted by a restart of the agent on {node}; what it had made was removed',
    'order it again',
  ),
  PXM_SHUTTING_DOWN: row(REACH, '{program} is shutting down', 'try again in a moment'),
  // too slow
  PXM_COMMAND_TIMEOUT: row(
    SLOW,
    '{tool} did not end within {seconds} s{where} and was stopped ({purpose})',
    'see the operation log; a dead storage makes tools hang',
  ),
  PXM_DEADLINE_EXCEEDED: row(
    SLOW,
    '{peer} did not answer in time',
    'it may still be working; see "pxmgr operation list"',
  ),
  PXM_CONFIRM_TIMEOUT: row(
    SLOW,
    'guest {vmid} on {node} did not appear in the inventory within {seconds} s',
    'check that the agent on {node} publishes: pxmgr selftest',
  ),
  // no room
  PXM_PLACEMENT_INFEASIBLE: row(
    ROOM,
    'no node can take {name}: {summary}',
    'see every reason with "pxmgr place explain {evaluation}"',
  ),
  PXM_DEVICE_UNAVAILABLE: row(
    ROOM,
    'node {node} cannot give it to container {vmid}: {reasons}',
    'see who uses what with "pxmgr device list", and what is promised with "pxmgr reservation list"',
  ),
  PXM_SIZE_UNAVAILABLE: row(
    ROOM,
    'container {vmid} cannot be that large on {node}: {reasons}',
    'less is always taken; what is used and reserved is in "pxmgr node get {node}"',
  ),
  PXM_STORAGE_FULL: row(
    ROOM,
    'storage {storage} on {node} has no room: {needed} needed, {available} free',
    'free space, or choose another storage',
  ),
  PXM_DISK_FULL: row(ROOM, 'no space left for {path}', 'free space on the file system it lies on'),
  PXM_QUEUE_FULL: row(ROOM, 'node {node} has {count} operations waiting', 'try again when some have ended'),
  PXM_VMID_EXHAUSTED: row(
    ROOM,
    'no free vmid from {first} to {last}',
    'widen vmid_first and vmid_last of the controller',
  ),
  // our bug, foreign failure
  PXM_INTERNAL: row(FAULT, 'internal error', 'this is a bug of pxmgr; please report it with the log lines around it'),
  PXM_COMMAND_FAILED: row(FAULT, '{tool} failed{status}', 'the text above is from the tool itself'),
  PXM_COMMAND_NOT_FOUND: row(
    FAULT,
    'program {tool} is not installed on this host',
    'install it; "pxmgr selftest" lists what is needed',
  ),
  PXM_NATS_START_FAILED: row(
    FAULT,
    'nats-server did not start',
    'install Debian package nats-server, or set nats_url to an existing server',
  ),
  PXM_DATABASE_CORRUPT: row(
    FAULT,
    'database {path} is damaged: {reason}',
    'restore a backup; the inventory itself comes back from the agents',
  ),
  PXM_STATE_NEWER: row(
    STATE,
    'what lies in {path} was written by a newer release (format {found}, this one knows {known})',
    'install that release again; nothing was changed',
  ),
  PXM_DISK_FAILED: row(
    FAULT,
    'the disk under {path} does not take what is written',
    'see the kernel log (dmesg) and the health of the disk; what was asked is safe to ask again',
  ),
  PXM_STATE_DAMAGED: row(
    FAULT,
    '{path} is damaged: {reason}',
    'restore it from a backup; an agent can join anew instead: pxmgr-agent join --force TOKEN',
  ),
  PXM_LISTEN_FAILED: row(
    FAULT,
    'cannot listen on {address}: {reason}',
    'another program uses it, or the address is not of this machine',
  ),
} as const satisfies Record<string, ErrorRow>;
