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
  if (typeof a !== 'string' || typeof f !== 'string' || typeof s !== 'string' || typeof e !== 'number')
    return undefined;
  if (!/^[0-9a-f]{64}$/.test(f) || s.length < 16) return undefined;
  return {
    address: a,
    caFingerprint: f,
    secret: s,
    expiresAt: new Date(e * 1000),
    nodeName: typeof n === 'string' ? n : undefined,
  };
}
