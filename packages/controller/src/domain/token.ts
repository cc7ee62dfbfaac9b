/** A join token as kept: the hash of its secret, never the secret. */
export interface TokenRecord {
  readonly hash: string;
  /** Undefined = any node may use it. */
  readonly nodeName: string | undefined;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedAt: Date | undefined;
  readonly usedBy: TokenUser | undefined;
  readonly actor: string;
}

/** Whom a token let in. */
export interface TokenUser {
  readonly nodeUid: string;
  /** SHA-256 of the public key that was certified. */
  readonly key: string;
}
