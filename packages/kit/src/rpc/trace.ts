import { randomBytes } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';

/** W3C trace context: version 00, 16 bytes trace id, 8 bytes span id, flags. */
const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's trace id, or a fresh one. */
export function traceIdFrom(metadata: Metadata): string {
  const value = metadata.get('traceparent')[0];
  const id = typeof value === 'string' ? TRACEPARENT.exec(value)?.[1] : undefined;
  return id === undefined || /^0+$/.test(id) ? randomBytes(16).toString('hex') : id;
}

export function traceparent(traceId: string): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
}
