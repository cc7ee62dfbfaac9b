import { createHash, createHmac } from 'node:crypto';

/** Hides values but shows whether they are the same. Keyed, so that short secrets cannot be found by trying. */
export type Mask = (value: string) => string;

export function createMask(secret: string): Mask {
  const key = createHash('sha256').update('pxmgr config values\0').update(secret).digest();
  return (value) => `hmac:${createHmac('sha256', key).update(value).digest('hex').slice(0, 16)}`;
}
