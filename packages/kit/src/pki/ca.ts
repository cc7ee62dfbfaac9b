import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { exportPrivateKey, generateKeys, importKeys, type PkiKey, randomSerial, SIGNING_ALGORITHM } from './keys.ts';
import { readRequest } from './request.ts';

/** Certificate and private key, both PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface CaOptions {
  commonName: string;
  /** Default 3650. */
  days?: number;
  now?: Date;
}

/** Who the certificate is for. The subject of a signing request is never looked at. */
export interface Subject {
  /** SAN URI, e.g. pxmgr:agent:n-...; see rpc/identity.ts. */
  uri: string;
  commonName?: string;
  dns?: readonly string[];
  ips?: readonly string[];
  days: number;
  now?: Date;
}

const DAY_MS = 86_400_000;
/** Clocks of a fleet differ; a certificate is valid a little before it was made. */
const SKEW_MS = 5 * 60_000;

/** A self-signed CA that may sign leaves only. */
export async function createCa(options: CaOptions): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const now = (options.now ?? new Date()).getTime();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [options.commonName] }],
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(now + (options.days ?? 3650) * DAY_MS),
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), privateKey: await exportPrivateKey(keys.privateKey) };
}

/** A certificate for the public key of a signing request. Throws PXM_INPUT_INVALID when the request is not sound. */
export async function signCsr(ca: KeyedCertificate, requestPem: string, subject: Subject): Promise<string> {
  return await sign(ca, await readRequest(requestPem), subject);
}

/** Key and certificate in one step, for identities that live beside the CA (the controller itself, operators). */
export async function issueCertificate(ca: KeyedCertificate, subject: Subject): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  return { certificate: await sign(ca, keys.publicKey, subject), privateKey: await exportPrivateKey(keys.privateKey) };
}

async function sign(ca: KeyedCertificate, publicKey: PkiKey, subject: Subject): Promise<string> {
  const issuer = new X509Certificate(ca.certificate);
  const { privateKey } = await importKeys(ca.privateKey);
  const now = (subject.now ?? new Date()).getTime();
  const names: JsonGeneralName[] = [
    { type: 'url', value: subject.uri },
    ...(subject.dns ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(subject.ips ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: [{ CN: [subject.commonName ?? subject.uri] }],
    issuer: issuer.subjectName,
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(Math.min(now + subject.days * DAY_MS, issuer.notAfter.getTime())),
    publicKey,
    signingKey: privateKey,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth], false),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer, false),
    ],
  });
  return pem(certificate);
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
