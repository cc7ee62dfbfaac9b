import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { PxmError } from '../error/pxm-error.ts';
import { KEY_ALGORITHM, type PkiKey } from './keys.ts';

const MAX_REQUEST = 16 * 1024;

/** The public key of a request whose own signature is right and whose key is EC P-256. Throws PXM_INPUT_INVALID. */
export async function readRequest(requestPem: string): Promise<PkiKey> {
  const problem = 'certificate_request is not a signed PKCS#10 request with an EC P-256 key';
  if (requestPem.length > MAX_REQUEST) throw invalid(problem, undefined);
  try {
    const request = new Pkcs10CertificateRequest(requestPem);
    if (await request.verify()) {
      return await webcrypto.subtle.importKey('spki', request.publicKey.rawData, KEY_ALGORITHM, true, ['verify']);
    }
  } catch (error) {
    throw invalid(problem, error);
  }
  throw invalid('the signature of certificate_request is wrong', undefined);
}

function invalid(problems: string, cause: unknown): PxmError {
  return new PxmError('PXM_INPUT_INVALID', { count: '1', problems }, cause === undefined ? {} : { cause });
}
