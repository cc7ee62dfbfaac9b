/**
 * rpc/: gRPC between the programs. mutual TLS with identities in the certificate's SAN URI, a UNIX socket for root,
 * and a TLS-only door for joining. The server wraps plain async functions with identity check, deadline, log lines
 * and error mapping; the channel does the same on the client side. This room knows no service and no role rule:
 * `authorise` is handed in.
 */
import { createHash, X509Certificate } from 'node:crypto';

export type Role = 'viewer' | 'operator' | 'admin';
const ROLES: readonly string[] = ['viewer', 'operator', 'admin'];

export interface Identity {
  kind: 'agent' | 'controller' | 'operator' | 'anonymous';
  /** Node uid, "controller", the operator's name; empty for anonymous callers of the join door. */
  name: string;
  role?: Role;
  /** Serial number of the certificate, lower-case hex; absent on the UNIX socket. */
  serial?: string;
}

export const ROOT_IDENTITY: Identity = { kind: 'operator', name: 'root', role: 'admin' };
export const ANONYMOUS: Identity = { kind: 'anonymous', name: '' };

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** pxmgr:agent:<uid>, pxmgr:controller, pxmgr:operator:<name>:<role>; anything else is nobody. */
export function parseIdentityUri(uri: string): Identity | undefined {
  const [scheme, kind, name = '', role, ...rest] = uri.split(':');
  if (scheme !== 'pxmgr' || rest.length > 0) return undefined;
  if (kind === 'controller') return uri === 'pxmgr:controller' ? { kind, name: 'controller' } : undefined;
  if (!NAME.test(name)) return undefined;
  if (kind === 'agent') return role === undefined ? { kind, name } : undefined;
  if (kind === 'operator' && role !== undefined && ROLES.includes(role)) return { kind, name, role: role as Role };
  return undefined;
}

export function identityUri(identity: Identity): string {
  if (identity.kind === 'controller') return 'pxmgr:controller';
  if (identity.kind === 'agent') return `pxmgr:agent:${identity.name}`;
  return `pxmgr:operator:${identity.name}:${identity.role ?? 'viewer'}`;
}

/** "agent:n-...", "controller", "operator:anna": the `peer` field of logs and the word in messages. */
export function identityText(identity: Identity): string {
  return identity.kind === 'controller' || identity.kind === 'anonymous'
    ? identity.kind
    : `${identity.kind}:${identity.name}`;
}

/** What a certificate says about its holder. */
export interface PeerCertificate {
  readonly identity: Identity;
  readonly notAfter: Date;
}

/** Parsing costs more than a whole call; certificates repeat on every call. */
const CACHE_MAX = 1000;
const cache = new Map<string, PeerCertificate | undefined>();

/** Identity in a certificate (DER) that TLS has already verified: exactly one SAN URI of ours. */
export function readPeerCertificate(der: Uint8Array): PeerCertificate | undefined {
  const key = createHash('sha256').update(der).digest('base64');
  if (cache.has(key)) return cache.get(key);
  const peer = parsePeerCertificate(der);
  if (cache.size >= CACHE_MAX) cache.clear();
  cache.set(key, peer);
  return peer;
}

export function identityOf(der: Uint8Array): Identity | undefined {
  return readPeerCertificate(der)?.identity;
}

function parsePeerCertificate(der: Uint8Array): PeerCertificate | undefined {
  const certificate = new X509Certificate(der);
  const uris = alternativeUris(certificate.subjectAltName ?? '').filter((value) => value.startsWith('pxmgr:'));
  const uri = uris[0];
  const identity = uris.length === 1 && uri !== undefined ? parseIdentityUri(uri) : undefined;
  if (identity === undefined) return undefined;
  const serial = certificate.serialNumber.toLowerCase();
  return { identity: { ...identity, serial }, notAfter: new Date(certificate.validTo) };
}

/** One name of the text that Node makes of the extension; a value with a comma or quote in it is a JSON string. */
const NAME_ENTRY = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/**
 * The URIs among the names. Node's own parser instead of a library: this is on the path of every program, the agent's
 * memory is counted, and no foreign word can pose as a name. A text that is not wholly understood has none.
 */
export function alternativeUris(text: string): string[] {
  const uris: string[] = [];
  NAME_ENTRY.lastIndex = 0;
  while (NAME_ENTRY.lastIndex < text.length) {
    const [, type, value = ''] = NAME_ENTRY.exec(text) ?? [];
    if (type === undefined) return [];
    if (type === 'URI') uris.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return uris;
}
