/**
 * Signatures of NATS' nkeys: Ed25519, the seed in base32 behind two prefix bytes and before a checksum (nats-io/nkeys
 * README). Made by Node alone: docs/adr/0019-requests-and-signatures-by-node.md.
 */
import { createPrivateKey, sign } from 'node:crypto';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const PREFIX_BYTES = 2;
const SEED_BYTES = 32;
/** PKCS#8 of an Ed25519 key up to its 32 bytes (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

function rawSeed(seed: string): Buffer {
  const bits = Array.from(seed, (letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const bytes = bits.match(/[01]{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? [];
  return Buffer.from(bytes.slice(PREFIX_BYTES, PREFIX_BYTES + SEED_BYTES));
}

/** What a client answers to the nonce of a server. */
export function nkeyProof(
  { jwt, sign: signer }: { jwt: string; sign: (message: Uint8Array) => Uint8Array },
  nonce: string,
): { jwt: string; sig: string } {
  return { jwt, sig: Buffer.from(signer(Buffer.from(nonce))).toString('base64url') };
}

/** Signs as the library would. The seed is one that the library made. */
export function nkeySigner(seed: string): (message: Uint8Array) => Uint8Array {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, rawSeed(seed)]), format: 'der', type: 'pkcs8' });
  return (message) => sign(null, message, key);
}
