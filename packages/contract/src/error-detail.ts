/** Error code and fields to and from the `grpc-status-details-bin` trailer: google.rpc.Status with one ErrorInfo. */
import { ErrorInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';

export const ERROR_DOMAIN = 'pxmgr';
export const DETAILS_TRAILER = 'grpc-status-details-bin';
const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';

export interface ErrorDetail {
  readonly code: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Reserved field names that carry what google.rpc.ErrorInfo has no place for. */
export const HINT_FIELD = '_hint';
export const CAUSES_FIELD = '_causes';

export function encodeErrorDetail(grpc: number, message: string, detail: ErrorDetail): Uint8Array {
  const info = ErrorInfo.encode({ reason: detail.code, domain: ERROR_DOMAIN, metadata: { ...detail.fields } }).finish();
  return Status.encode({
    code: grpc,
    message,
    details: [{ typeUrl: ERROR_INFO_URL, value: Buffer.from(info) }],
  }).finish();
}

/** Undefined when the bytes are not ours or do not parse. */
export function decodeErrorDetail(bytes: Uint8Array): ErrorDetail | undefined {
  try {
    const status = Status.decode(bytes);
    for (const any of status.details) {
      if (any.typeUrl !== ERROR_INFO_URL) continue;
      const info = ErrorInfo.decode(any.value);
      if (info.domain === ERROR_DOMAIN) return { code: info.reason, fields: info.metadata };
    }
  } catch {
    // Foreign or cut bytes: the caller falls back to the plain gRPC status.
    return undefined;
  }
  return undefined;
}
