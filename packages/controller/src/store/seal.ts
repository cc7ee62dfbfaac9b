import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * Values that a plan must hold until it is carried out, and that nobody may read in the database or a copy of it:
 * AES-256-GCM with a key that lies in a file of its own.
 */
export interface Seal {
  close(text: string): Buffer;
  /** Undefined when it was closed with another key, or is damaged. */
  open(sealed: Uint8Array): string | undefined;
}

export const SEAL_KEY_BYTES = 32;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function createSeal(key: Uint8Array): Seal {
  return {
    close: (text) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce);
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]);
    },
    open: (sealed) => {
      try {
        const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES));
        decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        const body = sealed.subarray(NONCE_BYTES + TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch {
        // The tag does not fit: another key, or damaged.
        return undefined;
      }
    },
  };
}
