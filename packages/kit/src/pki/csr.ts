/** Signing requests (PKCS#10, RFC 2986), made by Node alone: docs/adr/0019-requests-and-signatures-by-node.md. */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';

export interface SigningRequest {
  /** PKCS#10 PEM. */
  readonly request: string;
  readonly privateKey: string;
}

/** Tags of DER (X.690 8.1.2). */
const SEQUENCE = 0x30;
const SET = 0x31;
const UTF8_STRING = 0x0c;
const BIT_STRING = 0x03;
/** Whole elements: version 0, the name attribute commonName (2.5.4.3), ecdsa-with-SHA256 (1.2.840.10045.4.3.2), no attributes. */
const VERSION = Buffer.from('020100', 'hex');
const COMMON_NAME = Buffer.from('0603550403', 'hex');
const ECDSA_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex');
const NO_ATTRIBUTES = Buffer.from('a000', 'hex');

function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(length < 128 ? [tag, length] : [tag, ...long]), content]);
}

function requestOf(commonName: string, key: KeyObject): Buffer {
  const attribute = element(SEQUENCE, COMMON_NAME, element(UTF8_STRING, Buffer.from(commonName)));
  const name = element(SEQUENCE, element(SET, attribute));
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = element(SEQUENCE, VERSION, name, publicKey, NO_ATTRIBUTES);
  // The first byte of a bit string counts its unused bits.
  return element(SEQUENCE, info, ECDSA_SHA256, element(BIT_STRING, Buffer.of(0), sign('sha256', info, key)));
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** A signing request with a fresh EC P-256 key, or for an existing one (renewal may keep it). */
export async function createCsr(options: { commonName: string; privateKey?: string }): Promise<SigningRequest> {
  const key =
    options.privateKey === undefined
      ? (await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })).privateKey
      : createPrivateKey(options.privateKey);
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { request: pem(requestOf(options.commonName, key)), privateKey };
}
