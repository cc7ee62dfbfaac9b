import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { CAUSES_FIELD, DETAILS_TRAILER, encodeErrorDetail, HINT_FIELD } from '@pxmgr/contract';
import { stripControl } from '../log/redact.ts';
import { toProblem, toPxmError } from './to-problem.ts';

/** Trailers must stay far below the 64 KiB that HTTP/2 peers accept by default. */
const MAX_FIELD = 1000;
const MAX_FIELDS = 24;

/** Any error as grpc-js wants it thrown: status of the code, message as details, code and fields in the trailer. */
export function toServiceError(error: unknown): ServiceError {
  const pxm = toPxmError(error);
  const problem = toProblem(pxm);
  const details = clip(wellFormed(problem.message));
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(problem.fields).slice(0, MAX_FIELDS)) fields[name] = clip(value);
  if (problem.hint !== '') fields[HINT_FIELD] = clip(problem.hint);
  if (problem.causes.length > 0) fields[CAUSES_FIELD] = JSON.stringify(problem.causes.map(clip));
  const metadata = new Metadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(encodeErrorDetail(pxm.row.grpc, details, { code: pxm.code, fields })));
  const code: number = pxm.row.grpc;
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the numbers of the table are gRPC's own
  return Object.assign(new Error(details, { cause: error }), { code, details, metadata });
}

function clip(text: string): string {
  return text.length > MAX_FIELD ? `${text.slice(0, MAX_FIELD)}...` : text;
}

/** grpc-js percent-encodes the message with encodeURI, which throws on lone surrogates. */
function wellFormed(text: string): string {
  return stripControl(text);
}
