/** The first contact: no CA is known yet, only the fingerprint in the token. */
import { createHash, X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate } from 'node:tls';
import { connect } from 'node:tls';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { splitAddress } from '@pxmgr/kit/rpc/address';

export interface FirstContact {
  /** PEM of the CA whose fingerprint the token names; the server's certificate is signed by it. */
  readonly caCertificate: string;
  /** Our address on that connection: the one by which the controller's network sees us. */
  readonly localAddress: string;
}

const LIMIT_MS = 10_000;
const MAX_CHAIN = 5;

function chainOf(leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  // The declared type promises every field; a peer without a certificate gives an empty object.
  let current: Partial<DetailedPeerCertificate> | undefined = leaf;
  while (current?.raw !== undefined && chain.length < MAX_CHAIN) {
    const certificate = new X509Certificate(current.raw);
    if (chain.some((known) => known.fingerprint256 === certificate.fingerprint256)) break;
    chain.push(certificate);
    current = current.issuerCertificate;
  }
  return chain;
}

/** The CA of the chain, when the leaf is signed by it. */
function pinnedCa(chain: readonly X509Certificate[], fingerprint: string): X509Certificate | undefined {
  const [leaf] = chain;
  const ca = chain.find((certificate) => createHash('sha256').update(certificate.raw).digest('hex') === fingerprint);
  if (leaf === undefined || ca === undefined || !ca.ca) return undefined;
  return leaf.checkIssued(ca) && leaf.verify(ca.publicKey) ? ca : undefined;
}

/**
 * Asks the server for its certificates and sends nothing. Trust begins with the fingerprint: whoever cannot show the CA
 * that the token names never sees its secret. Errors: PXM_CONTROLLER_UNREACHABLE, PXM_AUTH_SERVER_UNTRUSTED.
 */
export function fetchPinnedCa(address: string, fingerprint: string): Promise<FirstContact> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...splitAddress(address), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(new PxmError('PXM_CONTROLLER_UNREACHABLE', { address }, { cause }));
    };
    socket.setTimeout(LIMIT_MS, () => {
      fail(new Error(`no answer within ${LIMIT_MS / 1000} s`));
    });
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      const ca = pinnedCa(chainOf(socket.getPeerCertificate(true)), fingerprint);
      const localAddress = (socket.localAddress ?? '').replace(/^::ffff:/, '');
      socket.destroy();
      if (ca === undefined) reject(new PxmError('PXM_AUTH_SERVER_UNTRUSTED', { peer: address }));
      else resolve({ caCertificate: ca.toString(), localAddress });
    });
  });
}
