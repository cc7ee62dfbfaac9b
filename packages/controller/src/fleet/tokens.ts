import { createHash, randomBytes } from 'node:crypto';
import { formatJoinToken, limits, parseNodeName } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { registerSecret } from '@pxmgr/kit/log/redact';
import type { TokenRecord, TokenUser } from '../domain/token.ts';

/** Durable side. */
export interface TokenRecords {
  insert(token: Omit<TokenRecord, 'usedAt' | 'usedBy'>): void;
  find(hash: string): TokenRecord | undefined;
  /** True for exactly one user per token, as often as that one asks. */
  use(hash: string, at: Date, user: TokenUser): boolean;
}

export interface TokenOrder {
  /** Empty = any. */
  readonly nodeName: string;
  /** 0 = the default. */
  readonly ttlSeconds: number;
  readonly actor: string;
}

export interface NewToken {
  readonly token: string;
  readonly expiresAt: Date;
  readonly nodeName: string;
}

export interface TokensOptions {
  readonly records: TokenRecords;
  readonly clock: Clock;
  /** host:port of the join listener, and the CA that a joining agent must find there. */
  readonly joinAddress: () => string;
  readonly caFingerprint: string;
}

/** One-time join tokens. Only hashes are kept; the text exists once, in the answer. */
export class Tokens {
  readonly #options: TokensOptions;

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  /** Errors: PXM_INPUT_INVALID. */
  create(order: TokenOrder): NewToken {
    checkOrder(order);
    const { records, clock, joinAddress, caFingerprint } = this.#options;
    const secret = randomBytes(24).toString('base64url');
    registerSecret(secret);
    const createdAt = clock.now();
    // Whole seconds, as the token text carries them.
    const expiresAt = new Date(
      (Math.floor(createdAt.getTime() / 1000) + (order.ttlSeconds || limits.JOIN_TOKEN_SECONDS)) * 1000,
    );
    const nodeName = order.nodeName === '' ? undefined : order.nodeName;
    records.insert({ hash: hashSecret(secret), nodeName, createdAt, expiresAt, actor: order.actor });
    return {
      token: formatJoinToken({ address: joinAddress(), caFingerprint, secret, expiresAt, nodeName }),
      expiresAt,
      nodeName: order.nodeName,
    };
  }

  /**
   * Looks without using it up. A node that it let in may ask again: the answer may have been lost on its way. Errors:
   * PXM_TOKEN_INVALID, PXM_TOKEN_USED, PXM_TOKEN_EXPIRED, PXM_TOKEN_NODE_MISMATCH.
   */
  check(secret: string, { nodeUid, nodeName }: { readonly nodeUid: string; readonly nodeName: string }): TokenRecord {
    const token = this.#options.records.find(hashSecret(secret));
    if (token === undefined) throw new PxmError('PXM_TOKEN_INVALID');
    if (token.usedAt !== undefined && token.usedBy?.nodeUid !== nodeUid) throw new PxmError('PXM_TOKEN_USED');
    if (token.expiresAt <= this.#options.clock.now())
      throw new PxmError('PXM_TOKEN_EXPIRED', { at: token.expiresAt.toISOString() });
    if (token.nodeName !== undefined && token.nodeName !== nodeName)
      throw new PxmError('PXM_TOKEN_NODE_MISMATCH', { expected: token.nodeName, node: nodeName });
    return token;
  }

  /** Uses it up. Errors: PXM_TOKEN_USED when somebody was faster, or asks again with another key. */
  use(token: TokenRecord, user: TokenUser): void {
    if (!this.#options.records.use(token.hash, this.#options.clock.now(), user)) throw new PxmError('PXM_TOKEN_USED');
  }
}

function checkOrder(order: TokenOrder): void {
  const problems: string[] = [];
  const name = order.nodeName === '' ? undefined : parseNodeName(order.nodeName);
  if (name?.ok === false) problems.push(`node_name ${name.reason}`);
  if (order.ttlSeconds > limits.JOIN_TOKEN_MAX_SECONDS)
    problems.push(`ttl_seconds must be at most ${String(limits.JOIN_TOKEN_MAX_SECONDS)}`);
  if (problems.length > 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

/** The secret has 192 random bits: a plain hash is enough, there is nothing to guess. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
