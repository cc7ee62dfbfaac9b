/**
 * Every failure a user can reach: code, gRPC status, exit code, whether the caller may try again, text, hint.
 * `{name}` is replaced by the field of that name. A code that is removed goes to RETIRED_CODES and is never reused.
 */

/** gRPC status numbers (grpc/grpc doc/statuscodes.md). */
export const GRPC = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** never = the same call fails again; caller = safe to repeat with back-off; state = after the named state changed. */
export type Retry = 'never' | 'caller' | 'state';

interface Family {
  readonly grpc: number;
  readonly exit: number;
  readonly retry: Retry;
}

const INPUT: Family = { grpc: GRPC.INVALID_ARGUMENT, exit: 2, retry: 'never' };
const ABSENT: Family = { grpc: GRPC.NOT_FOUND, exit: 3, retry: 'never' };
const TAKEN: Family = { grpc: GRPC.ALREADY_EXISTS, exit: 4, retry: 'never' };
const STATE: Family = { grpc: GRPC.FAILED_PRECONDITION, exit: 4, retry: 'state' };
const RACE: Family = { grpc: GRPC.ABORTED, exit: 4, retry: 'caller' };
const CANNOT: Family = { grpc: GRPC.UNIMPLEMENTED, exit: 4, retry: 'never' };
const WHO: Family = { grpc: GRPC.UNAUTHENTICATED, exit: 5, retry: 'never' };
const FORBIDDEN: Family = { grpc: GRPC.PERMISSION_DENIED, exit: 5, retry: 'never' };
const REACH: Family = { grpc: GRPC.UNAVAILABLE, exit: 6, retry: 'caller' };
const SLOW: Family = { grpc: GRPC.DEADLINE_EXCEEDED, exit: 6, retry: 'state' };
const ROOM: Family = { grpc: GRPC.RESOURCE_EXHAUSTED, exit: 7, retry: 'state' };
const FAULT: Family = { grpc: GRPC.INTERNAL, exit: 1, retry: 'never' };
const STOPPED: Family = { grpc: GRPC.CANCELLED, exit: 130, retry: 'never' };

export interface ErrorRow extends Family {
  readonly message: string;
  readonly hint: string;
}

function row(family: Family, message: string, hint = ''): ErrorRow {
  return { ...family, message, hint };
}

export const ERROR_TABLE = {
  // input wrong
  PXM_INPUT_INVALID: row(INPUT, 'the request has {count} problem(s): {problems}', 'correct the named fields and run the command again; nothing was changed'),
  PXM_CONFIG_INVALID: row(INPUT, 'configuration of {program} has {count} problem(s): {problems}', 'run "{program} config check" after correcting the named keys'),
  PXM_CONFIG_UNREADABLE: row(INPUT, 'configuration file {path} cannot be read: {reason}', 'check the path and its permissions, or leave out --config to use the defaults'),
  PXM_USAGE: row(INPUT, '{problem}', 'see "{command} --help"'),
  PXM_VMID_OUT_OF_RANGE: row(INPUT, 'vmid {vmid} is not a whole number from 100 to 999999999', 'leave it out to get a free one'),
  PXM_NAME_INVALID: row(INPUT, '{what} "{name}" is not a valid name: {reason}', 'use letters, digits and inner hyphens'),
  PXM_SIZE_INVALID: row(INPUT, '{what} "{text}" is not a size: {reason}', 'write a number with a unit, e.g. 512MiB or 8GiB'),
  PXM_IMAGE_REF_INVALID: row(INPUT, 'image reference "{reference}" is not valid: {reason}', 'write host/path:tag or host/path@sha256:..., e.g. docker.io/library/nginx:1.27'),
  PXM_MOUNT_INVALID: row(INPUT, 'mount "{text}" is not valid: {reason}', 'write SOURCE:TARGET[:ro], SOURCE being a host path, a dataset or a size'),
  PXM_TOKEN_MALFORMED: row(INPUT, 'the join token is not complete', 'copy the whole line that "pxmgr node token create" printed; it begins with pxj1.'),
  PXM_FILE_NOT_FOUND: row(INPUT, 'file {path} does not exist', 'check the path'),
  PXM_IMAGE_REJECTED: row(INPUT, 'image {reference} cannot become a container: {problems}', 'nothing was created; the image has to be rebuilt, or another tag used'),
  // not there
  PXM_GUEST_NOT_FOUND: row(ABSENT, 'no guest {guest} is known{where}', 'see "pxmgr container list"'),
  PXM_NODE_NOT_FOUND: row(ABSENT, 'no node {node} is in the fleet', 'see "pxmgr node list"'),
  PXM_STORAGE_NOT_FOUND: row(ABSENT, 'storage {storage} does not exist on {node}', 'see "pxmgr node get {node}"'),
  PXM_DATASET_NOT_FOUND: row(ABSENT, 'dataset {dataset} does not exist on {node}', 'see "pxmgr dataset list"'),
  PXM_SNAPSHOT_NOT_FOUND: row(ABSENT, 'snapshot {snapshot} of guest {vmid} does not exist', 'see "pct listsnapshot {vmid}" on the node'),
  PXM_TEMPLATE_NOT_FOUND: row(ABSENT, 'template {template} is not on {node}', 'see "pveam list" on the node, or name another node'),
  PXM_IMAGE_NOT_FOUND: row(ABSENT, 'image {reference} is not in its registry', 'check name and tag; a private registry also answers so without credentials'),
  PXM_IMAGE_PLATFORM_MISSING: row(ABSENT, 'image {reference} has no build for {platform}; it has {available}', 'choose another tag or another node'),
  PXM_IMAGE_NOT_PULLED: row(ABSENT, 'image {digest} is not on {node}', 'pull it first: pxmgr image pull'),
  PXM_DEVICE_NOT_FOUND: row(ABSENT, 'device {device} is not on {node}', 'see "pxmgr device list"'),
  PXM_OPERATION_NOT_FOUND: row(ABSENT, 'no operation {operation} is known', 'see "pxmgr operation list"'),
  PXM_PLAN_NOT_FOUND: row(ABSENT, 'no plan {plan} is known', 'plans are kept for a day; make a new one'),
  PXM_EVALUATION_NOT_FOUND: row(ABSENT, 'no placement explanation {id} is known', 'run "pxmgr place explain" with a spec to make a new one'),
  PXM_CHANGE_NOT_FOUND: row(ABSENT, 'no change {change} is recorded', 'see "pxmgr change list"'),
  PXM_OBJECT_NOT_FOUND: row(ABSENT, 'no {kind} {key} is known', 'see "pxmgr {kind} list"'),
  // taken
  PXM_VMID_TAKEN: row(TAKEN, 'vmid {vmid} is taken by {owner}', 'leave the vmid out to get a free one'),
  PXM_NODE_NAME_TAKEN: row(TAKEN, 'a node named {node} is already in the fleet', 'remove it first: pxmgr node leave {node}'),
  PXM_DATASET_EXISTS: row(TAKEN, 'dataset {dataset} already exists', 'choose another name'),
  PXM_TOKEN_USED: row(TAKEN, 'this join token was already used', 'make a new one: pxmgr node token create'),
  PXM_ALREADY_RUNNING: row(TAKEN, '{program} already runs here (process {pid})', 'stop it first, or give this one another state directory'),
  // wrong state
  PXM_GUEST_LOCKED: row(STATE, 'container {vmid} on {node} is locked ({lock})', 'wait for the task that holds the lock; "pct unlock" only if no such task runs'),
  PXM_GUEST_RUNNING: row(STATE, 'container {vmid} on {node} is running', 'shut it down first, or use --force where the command has it'),
  PXM_GUEST_NOT_RUNNING: row(STATE, 'container {vmid} on {node} is not running', 'start it first: pxmgr container start {vmid}'),
  PXM_GUEST_PROTECTED: row(STATE, 'container {vmid} on {node} is protected', 'remove the protection first: pct set {vmid} --protection 0'),
  PXM_GUEST_FOREIGN: row(STATE, 'container {vmid} on {node} is not the one meant: expected uid {expected}, found {found}', 'it was replaced or made by somebody else; look at it before doing anything to it'),
  PXM_GUEST_AMBIGUOUS: row(STATE, '{key} names {count} guests: {matches}', 'use the vmid, or add --node'),
  PXM_GUEST_TEMPLATE: row(STATE, 'container {vmid} on {node} is a template and cannot run', 'clone it and start the clone'),
  PXM_START_FAILED: row(STATE, 'container {vmid} on {node} did not start', 'see its log: pxmgr operation get {operation}'),
  PXM_NOT_READY: row(STATE, 'container {vmid} on {node} runs, but was not ready within {seconds} s: {probe}', 'it was left running; look at it with "pxmgr container exec"'),
  PXM_SHUTDOWN_TIMEOUT: row(STATE, 'container {vmid} on {node} did not stop within {seconds} s', 'use --force, or "pxmgr container stop"'),
  PXM_NO_QUORUM: row(STATE, 'node {node} is cut off from its cluster (no quorum); nothing may be changed on it', 'restore the cluster network first'),
  PXM_DATASET_BUSY: row(STATE, 'dataset {dataset} is busy', 'stop what uses it and try again'),
  PXM_STORAGE_DISABLED: row(STATE, 'storage {storage} on {node} is disabled or not available there', 'enable it in the storage configuration'),
  PXM_OPERATION_ENDED: row(STATE, 'operation {operation} has already ended ({state})', ''),
  PXM_PLAN_NOT_OPEN: row(STATE, 'plan {plan} is {state} and cannot be applied', 'make a new plan'),
  PXM_TOKEN_NODE_MISMATCH: row(STATE, 'this join token is for node {expected}, not for {node}', 'make one for this node: pxmgr node token create --node {node}'),
  PXM_NOT_JOINED: row(STATE, 'this agent has not joined a fleet yet', 'run "pxmgr-agent join TOKEN" with a token from "pxmgr node token create"'),
  PXM_ALREADY_JOINED: row(STATE, 'this agent already belongs to the fleet as {node} ({uid})', 'use --force to join anew; the old identity should be revoked'),
  PXM_UNDO_INCOMPLETE: row(STATE, 'operation {operation} failed and could not be undone completely: {left}', 'remove what is named by hand; "pxmgr operation get {operation}" shows the commands'),
  PXM_VERIFY_FAILED: row(STATE, 'container {vmid} on {node} is not as ordered: {difference}', 'it was undone; see "pxmgr operation get"'),
  // lost a race
  PXM_PLAN_STALE: row(RACE, 'plan {plan} no longer fits: {reason}', 'make a new plan and apply it'),
  PXM_GENERATION_OLD: row(RACE, 'node {node} has already seen generation {seen}; this order has {generation}', 'the controller will plan anew'),
  PXM_CONFIG_DIGEST_CHANGED: row(RACE, 'the configuration of container {vmid} was changed by somebody else meanwhile', 'run the command again'),
  // the node cannot
  PXM_CAPABILITY_MISSING: row(CANNOT, 'node {node} cannot do this: {capability} needs {needs}', 'update the node, or choose another one'),
  PXM_CONTRACT_MISMATCH: row(CANNOT, '{peer} speaks contract {theirs}, this program {ours}', 'update the older of the two'),
  // who are you
  PXM_AUTH_CERTIFICATE_REQUIRED: row(WHO, '{peer} refused us: it wants a certificate of its fleet', 'give --ca, --cert and --key, or use the UNIX socket on the controller host'),
  PXM_AUTH_SERVER_UNTRUSTED: row(WHO, 'the certificate of {peer} is not from our fleet', 'check the address, or the ca_file of this context'),
  PXM_AUTH_EXPIRED: row(WHO, 'the certificate for {peer} has expired', 'renew it; an agent that was away too long must join again'),
  PXM_AUTH_REVOKED: row(WHO, 'identity {identity} was revoked', 'a node can join again with a new token'),
  PXM_TOKEN_INVALID: row(WHO, 'the join token is not known', 'make a new one: pxmgr node token create'),
  PXM_TOKEN_EXPIRED: row(WHO, 'the join token expired at {at}', 'make a new one: pxmgr node token create'),
  // not allowed
  PXM_FORBIDDEN: row(FORBIDDEN, '{identity} may not call {method}', 'ask for a certificate with role {role}'),
  PXM_IMAGE_PULL_DENIED: row(FORBIDDEN, 'registry {registry} refused {reference}: authentication required', 'put credentials for {registry} into the registry_auth_file of the agents'),
  PXM_IMAGE_POLICY: row(FORBIDDEN, 'image {reference} is rejected by the signature policy', 'see the policy file of the agent'),
  PXM_NOT_ROOT: row(FORBIDDEN, '{program} must run as root: {reason}', 'start it as root, or through its systemd unit'),
  PXM_FILE_DENIED: row(FORBIDDEN, 'no permission for {path}', 'check owner and mode'),
  // out of reach
  PXM_NODE_UNREACHABLE: row(REACH, 'the agent on {node} does not answer', 'check the host and "systemctl status pxmgr-agent" on it'),
  PXM_CONTROLLER_UNREACHABLE: row(REACH, 'no controller answers at {address}', 'check that it runs, and the --controller address of this context'),
  PXM_NODE_DOWN: row(REACH, 'node {node} is {presence}; last heard of {seen}', 'nothing was sent to it; try again when it is back'),
  PXM_NATS_DOWN: row(REACH, 'the message bus at {url} does not answer', 'see the controller log'),
  PXM_REGISTRY_UNREACHABLE: row(REACH, 'registry {registry} cannot be reached: {reason}', 'check its address; a plain-HTTP registry must be listed in insecure_registries of the agents'),
  PXM_REGISTRY_LIMIT: row(REACH, 'registry {registry} limits requests at present', 'wait, or log in to it'),
  PXM_PVE_UNREACHABLE: row(REACH, 'the Proxmox API at {address} does not answer', 'check pveproxy on the node'),
  PXM_PVE_REFUSED: row(FORBIDDEN, 'the Proxmox API at {address} refused the request: {reason}', 'check the token and its privileges'),
  PXM_LOCK_TIMEOUT: row(REACH, 'the lock {lock} stayed taken for {seconds} s', 'another task works on the same guest; try again'),
  PXM_INTERRUPTED: row(REACH, 'operation {operation} was interrupted by a restart of the agent on {node}; what it had made was removed', 'order it again'),
  PXM_SHUTTING_DOWN: row(REACH, '{program} is shutting down', 'try again in a moment'),
  // too slow
  PXM_COMMAND_TIMEOUT: row(SLOW, '{tool} did not end within {seconds} s and was stopped', 'see the operation log; a dead storage makes tools hang'),
  PXM_DEADLINE_EXCEEDED: row(SLOW, '{peer} did not answer in time', 'it may still be working; see "pxmgr operation list"'),
  PXM_CONFIRM_TIMEOUT: row(SLOW, 'guest {vmid} on {node} did not appear in the inventory within {seconds} s', 'check that the agent on {node} publishes: pxmgr selftest'),
  // no room
  PXM_PLACEMENT_INFEASIBLE: row(ROOM, 'no node can take {name}: {summary}', 'see every reason with "pxmgr place explain {evaluation}"'),
  PXM_STORAGE_FULL: row(ROOM, 'storage {storage} on {node} has no room: {needed} needed, {available} free', 'free space, or choose another storage'),
  PXM_DISK_FULL: row(ROOM, 'no space left for {path}', 'free space on the file system it lies on'),
  PXM_QUEUE_FULL: row(ROOM, 'node {node} has {count} operations waiting', 'try again when some have ended'),
  PXM_VMID_EXHAUSTED: row(ROOM, 'no free vmid from {first} to {last}', 'widen vmid_first and vmid_last of the controller'),
  // our bug, foreign failure
  PXM_INTERNAL: row(FAULT, 'internal error', 'this is a bug of pxmgr; please report it with the log lines around it'),
  PXM_COMMAND_FAILED: row(FAULT, '{tool} failed{status}', 'the text above is from the tool itself'),
  PXM_COMMAND_NOT_FOUND: row(FAULT, 'program {tool} is not installed on this host', 'install it; "pxmgr selftest" lists what is needed'),
  PXM_NATS_START_FAILED: row(FAULT, 'nats-server did not start', 'install Debian package nats-server, or set nats_url to an existing server'),
  PXM_DATABASE_CORRUPT: row(FAULT, 'database {path} is damaged: {reason}', 'restore a backup; the inventory itself comes back from the agents'),
  PXM_LISTEN_FAILED: row(FAULT, 'cannot listen on {address}: {reason}', 'another program uses it, or the address is not of this machine'),
  // stopped by the user
  PXM_CANCELLED: row(STOPPED, '{what} was cancelled', ''),
  PXM_PARTIAL: row({ grpc: GRPC.ABORTED, exit: 8, retry: 'never' }, '{failed} of {total} nodes failed', 'each is named above'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** Codes of earlier releases; never reused. */
export const RETIRED_CODES: readonly string[] = [];

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}

/** The row of a code, with its wide type (the literal types of the table are for ErrorCode only). */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_TABLE[code];
}

/** Fill a template; a missing field stays visible as `{name}` so that a test finds it. */
export function fillTemplate(template: string, fields: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => fields[name] ?? whole);
}
