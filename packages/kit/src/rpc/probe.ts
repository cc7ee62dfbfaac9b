import { X509Certificate } from 'node:crypto';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { messageOf } from '../error/chain.ts';
import { type Refusal, tlsRefusal } from '../error/from-status.ts';
import { PxmError } from '../error/pxm-error.ts';
import { fingerprint, isSignedBy } from '../pki/certificate.ts';
import { SERVER_NAME, splitAddress } from './address.ts';
import type { TlsMaterial } from './tls.ts';

const PROBE_MS = 3000;

/**
 * Why a server does not talk to us, when gRPC only says that no connection came about. Node.js checks the client
 * certificate after the handshake and then closes without an alert, so a foreign certificate looks like a network
 * fault; here a handshake that succeeds and is closed without a byte is recognised as a refusal of our certificate.
 */
export async function probeRefusal(address: string, tls: TlsMaterial): Promise<Refusal | undefined> {
  if (tls.cert !== undefined && new Date(new X509Certificate(tls.cert).validTo) <= new Date())
    return 'PXM_AUTH_EXPIRED';
  return await new Promise((resolve) => {
    let hasHandshake = false;
    const socket = dial(address, { ...tls, checked: true });
    const done = (answer: Refusal | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_MS, () => {
      done(undefined);
    });
    socket.once('secureConnect', () => {
      hasHandshake = true;
    });
    // An HTTP/2 server that accepts us speaks first (SETTINGS).
    socket.once('data', () => {
      done(undefined);
    });
    socket.once('error', (error: Error) => {
      done(
        tlsRefusal(`${error.message} ${'code' in error ? String(error.code) : ''}`) ??
          (hasHandshake ? 'PXM_AUTH_CERTIFICATE_REQUIRED' : undefined),
      );
    });
    socket.once('close', () => {
      done(hasHandshake ? 'PXM_AUTH_CERTIFICATE_REQUIRED' : undefined);
    });
  });
}

/**
 * The CA certificate of a server nobody has vouched for yet, checked against the fingerprint in the join token: the
 * server must send it, and its own certificate must be signed by it. PXM_AUTH_SERVER_UNTRUSTED otherwise.
 */
export async function fetchCaCertificate(address: string, caFingerprint: string): Promise<string> {
  const chain = await presentedChain(address);
  const [leaf] = chain;
  const ca = chain.find((certificate) => fingerprint(certificate) === caFingerprint.toLowerCase());
  if (leaf === undefined || ca === undefined || !isSignedBy(leaf, ca))
    throw new PxmError('PXM_AUTH_SERVER_UNTRUSTED', { peer: address });
  return ca;
}

function presentedChain(address: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = dial(address, { checked: false });
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(new PxmError('PXM_CONTROLLER_UNREACHABLE', { address }, { cause: error, detail: messageOf(error) }));
    };
    socket.setTimeout(PROBE_MS, () => {
      fail(new Error('no answer'));
    });
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      resolve(pemChain(socket));
      socket.destroy();
    });
  });
}

function pemChain(socket: TLSSocket): string[] {
  const chain: string[] = [];
  const seen = new Set<string>();
  // Node.js links each certificate to its issuer; a self-signed one links to itself.
  for (
    let current: PeerCertificate | undefined = socket.getPeerCertificate(true);
    current?.raw !== undefined && !seen.has(current.fingerprint256);
    current = issuerOf(current)
  ) {
    seen.add(current.fingerprint256);
    chain.push(new X509Certificate(current.raw).toString());
  }
  return chain;
}

function issuerOf(certificate: PeerCertificate): PeerCertificate | undefined {
  return 'issuerCertificate' in certificate
    ? (certificate.issuerCertificate as PeerCertificate | undefined)
    : undefined;
}

function dial(address: string, options: { ca?: string; cert?: string; key?: string; checked: boolean }): TLSSocket {
  const { host, port } = splitAddress(address);
  return connect({
    host,
    port,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ALPNProtocols: ['h2'],
    servername: SERVER_NAME,
    rejectUnauthorized: options.checked,
    checkServerIdentity: () => undefined,
  });
}
