/**
 * pki/: keys and certificates of the fleet's own CA. EC P-256 throughout; PEM in and out. A certificate says who
 * somebody is by a SAN URI (rpc/identity.ts); names and addresses in it are for people. Keys never leave the process
 * that made them: a node sends a signing request, and only its public key is taken from it.
 */
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import { cryptoProvider, PemConverter } from '@peculiar/x509';

cryptoProvider.set(webcrypto);

export type PkiKey = webcrypto.CryptoKey;
export type PkiKeys = webcrypto.CryptoKeyPair;

export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const;

export async function generateKeys(): Promise<PkiKeys> {
  return await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

/** PKCS#8 PEM. */
export async function exportPrivateKey(key: PkiKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${PemConverter.encode(bytes, 'PRIVATE KEY')}\n`;
}

/** Both halves from a private key PEM. */
export async function importKeys(privateKeyPem: string): Promise<PkiKeys> {
  const privateKey = createPrivateKey(privateKeyPem);
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey('pkcs8', pkcs8, KEY_ALGORITHM, true, ['sign']),
    publicKey: await subtle.importKey('spki', spki, KEY_ALGORITHM, true, ['verify']),
  };
}

/** 128 random bits, positive and without leading zero bytes (RFC 5280 4.1.2.2). */
export function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
