/** What a certificate says, read with Node's own parser: the library that makes certificates is slow to load. */
import { createHash, X509Certificate } from 'node:crypto';

/** SHA-256 of the certificate's DER, 64 lower-case hex digits. */
export function fingerprint(certificatePem: string): string {
  return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex');
}

/** SHA-256 of the public key (SPKI), 64 lower-case hex digits: the same for every certificate of one key. */
export function publicKeyHash(certificatePem: string): string {
  const der = new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex');
}

/** True when the CA issued and signed the certificate; says nothing about time. */
export function isSignedBy(certificatePem: string, caPem: string): boolean {
  const certificate = new X509Certificate(certificatePem);
  const ca = new X509Certificate(caPem);
  return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** At two thirds of the life. */
  readonly renewAt: Date;
  /** Lower-case hex. */
  readonly serial: string;
}

export function validityOf(certificatePem: string): Validity {
  const certificate = new X509Certificate(certificatePem);
  const notBefore = new Date(certificate.validFrom);
  const notAfter = new Date(certificate.validTo);
  const renewAt = new Date(notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3);
  return { notBefore, notAfter, renewAt, serial: certificate.serialNumber.toLowerCase() };
}
