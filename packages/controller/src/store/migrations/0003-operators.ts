import type { Migration } from '../migrate.ts';

/** Certificates of operators: only those in this table open a door, so each of them can be taken back. */
export const operators: Migration = {
  number: 3,
  name: 'operators',
  sql: `
CREATE TABLE operator (
  serial TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  revoked_ms INTEGER,
  created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`,
};
