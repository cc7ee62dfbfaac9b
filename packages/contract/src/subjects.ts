/** NATS subjects, streams and consumers: the only place that knows their spelling. */

export const INVENTORY_KINDS = [
  'node',
  'container',
  'vm',
  'storage',
  'dataset',
  'template',
  'image',
  'gpu',
  'usb',
  'network',
] as const;
export type InventoryKind = (typeof INVENTORY_KINDS)[number];

export function isInventoryKind(text: string): text is InventoryKind {
  return (INVENTORY_KINDS as readonly string[]).includes(text);
}

/** Current state of every object; one message per subject. */
export const INVENTORY_STREAM = 'PXINV';
export const EVENT_STREAM = 'PXEV';
export const INVENTORY_CONSUMER = 'controller';
export const INVENTORY_FILTER = 'px.inv.>';
export const MANIFEST_FILTER = 'px.man.*';
export const HEARTBEAT_FILTER = 'px.hb.*';
export const METRICS_FILTER = 'px.met.*';

/** Ids hold characters that subjects cannot ("/", ".", ":"); base64url makes one token of them. */
export function idToken(id: string): string {
  return Buffer.from(id, 'utf8').toString('base64url');
}

export function idFromToken(token: string): string {
  return Buffer.from(token, 'base64url').toString('utf8');
}

export function inventorySubject(nodeUid: string, kind: InventoryKind, id: string): string {
  return `px.inv.${nodeUid}.${kind}.${idToken(id)}`;
}

export function parseInventorySubject(
  subject: string,
): { nodeUid: string; kind: InventoryKind; id: string } | undefined {
  const [px, inv, nodeUid, kind, token, ...rest] = subject.split('.');
  if (
    px !== 'px' ||
    inv !== 'inv' ||
    nodeUid === undefined ||
    kind === undefined ||
    token === undefined ||
    rest.length > 0
  )
    return undefined;
  return isInventoryKind(kind) ? { nodeUid, kind, id: idFromToken(token) } : undefined;
}

export function manifestSubject(nodeUid: string): string {
  return `px.man.${nodeUid}`;
}

export function heartbeatSubject(nodeUid: string): string {
  return `px.hb.${nodeUid}`;
}

export function metricsSubject(nodeUid: string): string {
  return `px.met.${nodeUid}`;
}

export function eventSubject(nodeUid: string, type: string): string {
  return `px.ev.${nodeUid}.${type}`;
}

/** The node uid of px.man.X, px.hb.X, px.met.X, px.ev.X.type. */
export function nodeUidOf(subject: string): string | undefined {
  const parts = subject.split('.');
  return parts[0] === 'px' && parts.length >= 3 ? parts[2] : undefined;
}

/** Commands that the bus carries: only the wish that a view be published again. */
export function resyncSubject(nodeUid: string): string {
  return `px.cmd.${nodeUid}.resync`;
}

/** Inbox prefix of an agent: its permission template expands only whole tokens. */
export function inboxPrefix(nodeUid: string): string {
  return `_INBOX.${nodeUid}`;
}

/** What an agent may publish and subscribe; `{{name()}}` is the node uid (nats-server scoped signing keys). */
export const AGENT_PERMISSIONS = {
  publish: ['px.inv.{{name()}}.>', 'px.man.{{name()}}', 'px.ev.{{name()}}.>', 'px.hb.{{name()}}', 'px.met.{{name()}}'],
  subscribe: ['px.cmd.{{name()}}.>', '_INBOX.{{name()}}.>'],
} as const;
