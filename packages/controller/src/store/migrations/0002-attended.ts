import type { Migration } from '../migrate.ts';

/** Until when a controller listened to its nodes: silence after that is its own. */
export const attended: Migration = {
  number: 2,
  name: 'attended',
  sql: `
CREATE TABLE attended (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  until_ms INTEGER NOT NULL
) STRICT;
`,
};
