/** Stable, versioned envelopes for programs: raw bytes as numbers, RFC 3339 times, one name per field. */
import { stringify } from 'yaml';
import type { DetailResult, ListResult } from '../result.ts';

export const API_VERSION = 'pxmgr/v1';

function isVariant(value: object): value is { $case: string; value: unknown } {
  return '$case' in value && 'value' in value;
}

/** A message of the contract as plain JSON data: bigint to number, Date to RFC 3339, `oneof` to its chosen field. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  if (isVariant(value)) return { [value.$case]: plain(value.value) };
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => [key, plain(inner)]),
  );
}

function listEnvelope(result: ListResult): Record<string, unknown> {
  return {
    apiVersion: API_VERSION,
    kind: `${result.noun}List`,
    items: result.rows.map((row) => plain(result.json(row))),
  };
}

function detailEnvelope(result: DetailResult): Record<string, unknown> {
  return { apiVersion: API_VERSION, kind: result.noun, item: plain(result.json) };
}

export function renderJson(result: ListResult | DetailResult): string {
  return JSON.stringify(result.kind === 'list' ? listEnvelope(result) : detailEnvelope(result), null, 2);
}

export function renderYaml(result: ListResult | DetailResult): string {
  return stringify(result.kind === 'list' ? listEnvelope(result) : detailEnvelope(result)).trimEnd();
}

/** One object per line, without envelope. */
export function renderNdjson(result: ListResult | DetailResult): string {
  if (result.kind === 'detail') return JSON.stringify(plain(result.json));
  return result.rows.map((row) => JSON.stringify(plain(result.json(row)))).join('\n');
}
