/** The forms in which a result can be shown; "table" and "wide" are for people, the rest for programs. */
export const FORMATS = ['table', 'wide', 'json', 'yaml', 'ndjson', 'name'] as const;
export type Format = (typeof FORMATS)[number];

export function isForPeople(format: Format): boolean {
  return format === 'table' || format === 'wide';
}
