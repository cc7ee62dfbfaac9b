/** Failures that lie with the caller: input, names, identity, rights. */
import { ABSENT, type ErrorRow, FORBIDDEN, INPUT, row, STOPPED, TAKEN, WHO } from './error-families.ts';

export const CALLER_ROWS = {
  // input wrong
  PXM_INPUT_INVALID: row(
    INPUT,
    'the request has {count} problem(s): {problems}',
    'correct the named fields and run the command again; nothing was changed',
  ),
  PXM_CONFIG_INVALID: row(
    INPUT,
    'configuration of {program} has {count} problem(s): {problems}',
    'run "{program} config check" after correcting the named keys',
  ),
  PXM_CONFIG_UNREADABLE: row(
    INPUT,
    'configuration file {path} cannot be read: {reason}',
    'check the path and its permissions, or leave out --config to use the defaults',
  ),
  PXM_USAGE: row(INPUT, '{problem}', 'see "{command} --help"'),
  PXM_NAME_INVALID: row(
    INPUT,
    '{what} "{name}" is not a valid name: {reason}',
    'use letters, digits and inner hyphens',
  ),
  PXM_IMAGE_REF_INVALID: row(
    INPUT,
    'image reference "{reference}" is not valid: {reason}',
    'write host/path:tag or host/path@sha256:..., e.g. docker.io/library/nginx:1.27',
  ),
  PXM_TOKEN_MALFORMED: row(
    INPUT,
    'the join token is not complete',
    'copy the whole line that "pxmgr node token create" printed; it begins with pxj1.',
  ),
  PXM_IMAGE_REJECTED: row(
    INPUT,
    'image {reference} cannot become a container: {problems}',
    'nothing was created; the image has to be rebuilt, or another tag used',
  ),
  // not there
  PXM_GUEST_NOT_FOUND: row(ABSENT, 'no guest {guest} is known{where}', 'see "pxmgr container list"'),
  PXM_NODE_NOT_FOUND: row(ABSENT, 'no node {node} is in the fleet', 'see "pxmgr node list"'),
  PXM_OPERATOR_NOT_FOUND: row(
    ABSENT,
    'no operator {operator} has a certificate that is valid',
    'see "pxmgr operator list --all"',
  ),
  PXM_STORAGE_NOT_FOUND: row(
    ABSENT,
    'storage {storage} does not exist on {node}',
    'see "pxmgr storage list --node {node}"',
  ),
  PXM_DATASET_NOT_FOUND: row(ABSENT, 'dataset {dataset} does not exist on {node}', 'see "pxmgr dataset list"'),
  PXM_SNAPSHOT_NOT_FOUND: row(
    ABSENT,
    'snapshot {snapshot} of guest {vmid} does not exist',
    'see "pxmgr container snapshot list {vmid}"',
  ),
  PXM_TEMPLATE_NOT_FOUND: row(
    ABSENT,
    'template {template} is not on {node}',
    'see "pveam list" on the node, or name another node',
  ),
  PXM_IMAGE_NOT_FOUND: row(
    ABSENT,
    'image {reference} is not in its registry',
    'check name and tag; a private registry also answers so without credentials',
  ),
  PXM_IMAGE_PLATFORM_MISSING: row(
    ABSENT,
    'image {reference} has no build for {platform}; it has {available}',
    'choose another tag or another node',
  ),
  PXM_IMAGE_NOT_PULLED: row(ABSENT, 'image {digest} is not on {node}', 'pull it first: pxmgr image pull'),
  PXM_DEVICE_NOT_FOUND: row(ABSENT, 'device {device} is not on {node}', 'see "pxmgr device list"'),
  PXM_DEVICE_NOT_ATTACHED: row(
    ABSENT,
    'container {vmid} on {node} has no device {device}',
    'see what it has: pxmgr container get {vmid}',
  ),
  PXM_OPERATION_NOT_FOUND: row(ABSENT, 'no operation {operation} is known', 'see "pxmgr operation list"'),
  PXM_PLAN_NOT_FOUND: row(ABSENT, 'no plan {plan} is known', 'plans are kept for a day; make a new one'),
  PXM_EVALUATION_NOT_FOUND: row(
    ABSENT,
    'no placement explanation {id} is known',
    'run "pxmgr place explain" with a spec to make a new one',
  ),
  PXM_CHANGE_NOT_FOUND: row(ABSENT, 'no change {change} is recorded', 'see "pxmgr change list"'),
  PXM_OBJECT_NOT_FOUND: row(ABSENT, 'no {kind} {key} is known', 'see "pxmgr {kind} list"'),
  // taken
  PXM_VMID_TAKEN: row(TAKEN, 'vmid {vmid} is taken by {owner}', 'leave the vmid out to get a free one'),
  PXM_SNAPSHOT_EXISTS: row(
    TAKEN,
    'container {vmid} on {node} already has a snapshot {snapshot}',
    'choose another name, or destroy that one first: pxmgr container snapshot destroy {vmid} {snapshot}',
  ),
  PXM_DEVICE_ATTACHED: row(TAKEN, 'container {vmid} on {node} already has {device}', 'there is nothing to do'),
  PXM_NODE_NAME_TAKEN: row(
    TAKEN,
    'a node named {node} is already in the fleet',
    'remove it first: pxmgr node leave {node}',
  ),
  PXM_TOKEN_USED: row(TAKEN, 'this join token was already used', 'make a new one: pxmgr node token create'),
  PXM_ALREADY_RUNNING: row(
    TAKEN,
    '{program} already runs here (process {pid})',
    'stop it first, or give this one another state directory',
  ),
  // who are you
  PXM_AUTH_CERTIFICATE_REQUIRED: row(
    WHO,
    '{peer} refused us: it wants a certificate of its fleet',
    'give --ca, --cert and --key, or use the UNIX socket on the controller host',
  ),
  PXM_AUTH_SERVER_UNTRUSTED: row(
    WHO,
    'the certificate of {peer} is not from our fleet',
    'check the address and the CA certificate (ca_file)',
  ),
  PXM_AUTH_EXPIRED: row(
    WHO,
    'the certificate for {peer} has expired',
    'renew it; an agent that was away too long must join again',
  ),
  PXM_AUTH_REVOKED: row(
    WHO,
    'identity {identity} was revoked',
    'a node can join again with a new token; an operator needs a new certificate: pxmgr operator create',
  ),
  PXM_TOKEN_INVALID: row(WHO, 'the join token is not known', 'make a new one: pxmgr node token create'),
  PXM_TOKEN_EXPIRED: row(WHO, 'the join token expired at {at}', 'make a new one: pxmgr node token create'),
  // not allowed
  PXM_FORBIDDEN: row(FORBIDDEN, '{identity} may not call {method}', 'ask for a certificate with role {role}'),
  PXM_IMAGE_PULL_DENIED: row(
    FORBIDDEN,
    'registry {registry} refused {reference}: authentication required',
    'put credentials for {registry} into the registry_auth_file of the agents',
  ),
  PXM_IMAGE_POLICY: row(
    FORBIDDEN,
    'image {reference} is rejected by the signature policy',
    'see the policy file of the agent',
  ),
  PXM_NOT_ROOT: row(FORBIDDEN, '{program} must run as root: {reason}', 'start it as root, or through its systemd unit'),
  PXM_FILE_DENIED: row(FORBIDDEN, 'no permission for {path}', 'check owner and mode'),
  // stopped by the user
  PXM_CANCELLED: row(STOPPED, '{what} was cancelled', ''),
} as const satisfies Record<string, ErrorRow>;
