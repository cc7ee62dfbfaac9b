import { Metadata } from '@grpc/grpc-js';
import { CAUSES_FIELD, DETAILS_TRAILER, decodeErrorDetail, type ErrorCode, GRPC, HINT_FIELD } from '@pxmgr/contract';
import { messageOf } from './chain.ts';
import { PxmError } from './pxm-error.ts';
import { fromProblem } from './to-problem.ts';

/** Who was called: `peer` is the word users know it by; `unreachable` is the code for "nobody answers there". */
export interface Where {
  peer: string;
  unreachable?: Extract<ErrorCode, 'PXM_NODE_UNREACHABLE' | 'PXM_CONTROLLER_UNREACHABLE'>;
}

/**
 * A failed call as PxmError. Our trailer wins; without it the status decides, and for UNAVAILABLE the text: grpc-js
 * reports a refused TLS handshake as UNAVAILABLE with OpenSSL's or Node's words, and users would hunt a network fault.
 */
export function fromServiceError(error: unknown, where: Where): PxmError {
  if (error instanceof PxmError) return error;
  if (!isServiceError(error)) return new PxmError('PXM_INTERNAL', {}, { cause: error });
  return fromTrailer(error) ?? fromStatusCode(error, where);
}

interface ServiceErrorLike extends Error {
  code: number;
  details: string;
  metadata: Metadata;
}

function isServiceError(error: unknown): error is ServiceErrorLike {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error &&
    'metadata' in error &&
    error.metadata instanceof Metadata
  );
}

function fromTrailer(error: ServiceErrorLike): PxmError | undefined {
  const bytes = error.metadata.get(DETAILS_TRAILER)[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  const detail = decodeErrorDetail(bytes);
  if (detail === undefined) return undefined;
  const { [HINT_FIELD]: hint = '', [CAUSES_FIELD]: causes = '[]', ...fields } = detail.fields;
  return fromProblem({ code: detail.code, message: error.details, hint, fields, causes: parseCauses(causes) });
}

function parseCauses(json: string): string[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
  } catch {
    // A clipped list: the causes are an extra, the error itself stands without them.
    return [];
  }
}

/**
 * What grpc-js calls INTERNAL, CANCELLED or RESOURCE_EXHAUSTED when the connection under a call broke: no route any more, a
 * record that TLS cannot read, a reset without a reason (grpc-js build/src/subchannel-call.js). Of the two connection
 * errors that it knows by name it makes UNAVAILABLE. "Cancelled on client" is our own.
 */
const BROKEN = /^(?:\d+ [A-Z_]+: )?(?:Received RST_STREAM|Call cancelled$|Bandwidth exhausted|Write error: )/;

function fromStatusCode(error: ServiceErrorLike, where: Where): PxmError {
  const { peer } = where;
  const text = plainDetails(error.details);
  const cause = text === '' ? undefined : new Error(text);
  if (BROKEN.test(error.details)) return unavailable(error.details, where, cause);
  switch (error.code) {
    case GRPC.CANCELLED:
      return new PxmError('PXM_CANCELLED', { what: `the call to ${peer}` }, { cause });
    case GRPC.DEADLINE_EXCEEDED:
      return new PxmError(tlsRefusal(error.details) ?? 'PXM_DEADLINE_EXCEEDED', { peer }, { cause });
    case GRPC.UNIMPLEMENTED:
      return unknownCall(where, cause);
    case GRPC.UNAVAILABLE:
      return unavailable(error.details, where, cause);
    default:
      return new PxmError('PXM_INTERNAL', { peer }, { cause, detail: `${peer} answered status ${String(error.code)}` });
  }
}

/** An older program, or another port of the same one: both know only some of our calls. */
function unknownCall({ peer, unreachable }: Where, cause: Error | undefined): PxmError {
  const fields = { node: peer, capability: 'this call', needs: 'a newer version' };
  if (unreachable !== 'PXM_CONTROLLER_UNREACHABLE') return new PxmError('PXM_CAPABILITY_MISSING', fields, { cause });
  return new PxmError('PXM_CAPABILITY_MISSING', fields, {
    cause,
    message: `${peer} does not know this call`,
    hint: 'check the port (the join port serves only nodes that join), or update the older program',
  });
}

/** A status text without what grpc-js and OpenSSL wrap around the one thing that is worth reading; may be empty. */
export function plainDetails(details: string): string {
  const text = messageOf(details)
    .replace(/\.?\s*Resolution note:[\s\S]*$/, '')
    .replace(/^(?:\d+ [A-Z_]+: )?No connection established\.?\s*/, '')
    .replace(/^Last error: /, '')
    .replace(/^Received RST_STREAM with code \d+ triggered by internal client error: /, '')
    .replace(/^Error: /, '')
    .replace(/\s*\(\d{4}-\d\d-\d\dT[\d:.]+Z\)/, '')
    .replace(/[0-9A-F]{8,}:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+):[\s\S]*$/, 'TLS: $1')
    .trim();
  return text === 'Failed to connect' ? '' : text;
}

function unavailable(details: string, where: Where, cause: Error | undefined): PxmError {
  const { peer } = where;
  const refusal = tlsRefusal(details);
  if (refusal !== undefined) return new PxmError(refusal, { peer }, { cause });
  return new PxmError(where.unreachable ?? 'PXM_NODE_UNREACHABLE', { node: peer, address: peer }, { cause });
}

export type Refusal = 'PXM_AUTH_CERTIFICATE_REQUIRED' | 'PXM_AUTH_SERVER_UNTRUSTED' | 'PXM_AUTH_EXPIRED';

/** The first row that matches decides. Alerts are what the server said about us, the rest is what we found in its certificate. */
const REFUSALS: readonly (readonly [RegExp, Refusal])[] = [
  [
    /alert certificate expired|CERT_HAS_EXPIRED|certificate has expired|certificate is not yet valid|CERT_NOT_YET_VALID/i,
    'PXM_AUTH_EXPIRED',
  ],
  [
    /alert (?:certificate required|unknown ca|bad certificate|certificate unknown|handshake failure|access denied)/i,
    'PXM_AUTH_CERTIFICATE_REQUIRED',
  ],
  [
    /sslv3_alert_bad_certificate|tlsv1[13]?_alert_(?:unknown_ca|certificate_required)/i,
    'PXM_AUTH_CERTIFICATE_REQUIRED',
  ],
  [
    /self-signed certificate|unable to (?:verify|get)|UNABLE_TO_(?:VERIFY|GET)|SELF_SIGNED_CERT|DEPTH_ZERO/i,
    'PXM_AUTH_SERVER_UNTRUSTED',
  ],
  [
    /certificate signature failure|invalid CA certificate|CERT_(?:SIGNATURE_FAILURE|UNTRUSTED|REJECTED)|INVALID_(?:CA|PURPOSE)/i,
    'PXM_AUTH_SERVER_UNTRUSTED',
  ],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames|is not the expected peer/i,
    'PXM_AUTH_SERVER_UNTRUSTED',
  ],
];

/** The meaning of a TLS failure text, or undefined when the text is about something else. */
export function tlsRefusal(details: string): Refusal | undefined {
  return REFUSALS.find(([pattern]) => pattern.test(details))?.[1];
}
