import { parseNodeName } from './ids.ts';

/** The one-time token: "pxj1." and base64url of JSON {a: join address, f: CA fingerprint, s: secret, e: expiry, n?: node name}. */
export interface JoinToken {
  /** host:port of the join listener. */
  readonly address: string;
  /** SHA-256 of the CA certificate's DER, hex. */
  readonly caFingerprint: string;
  readonly secret: string;
  readonly expiresAt: Date;
  readonly nodeName: string | undefined;
}

const PREFIX = 'pxj1.';
/** host:port or [v6]:port. */
const ADDRESS = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):\d{1,5}$/;
/** Hex. */
const FINGERPRINT = /^[0-9a-f]{64}$/;
/** base64url. */
const SECRET = /^[A-Za-z0-9_-]{16,}$/;

export function formatJoinToken(token: JoinToken): string {
  const body = {
    a: token.address,
    f: token.caFingerprint,
    s: token.secret,
    e: Math.floor(token.expiresAt.getTime() / 1000),
    n: token.nodeName,
  };
  return PREFIX + Buffer.from(JSON.stringify(body), 'utf8').toString('base64url');
}

function readBody(text: string): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined;
  } catch {
    // Not JSON: the caller tells the user that the token is not whole.
    return undefined;
  }
}

/** Undefined when it is not a whole token. */
export function parseJoinToken(text: string): JoinToken | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const body = readBody(text.trim().slice(PREFIX.length));
  if (body === undefined) return undefined;
  const { a, f, s, e, n } = body;
  if (!fits(a, ADDRESS) || !fits(f, FINGERPRINT) || !fits(s, SECRET)) return undefined;
  const expiresAt = new Date(Number.isInteger(e) ? Number(e) * 1000 : Number.NaN);
  const nodeName = typeof n === 'string' && parseNodeName(n).ok ? n : undefined;
  if (Number.isNaN(expiresAt.getTime()) || nodeName !== n) return undefined;
  return { address: a, caFingerprint: f, secret: s, expiresAt, nodeName };
}

function fits(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}
