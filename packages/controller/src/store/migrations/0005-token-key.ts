import type { Migration } from '../migrate.ts';

/** Whose key a used token let in: the same node may ask again when the answer got lost, nobody else. */
export const tokenKey: Migration = {
  number: 5,
  name: 'token key',
  sql: `
ALTER TABLE token ADD COLUMN used_key TEXT;
`,
};
