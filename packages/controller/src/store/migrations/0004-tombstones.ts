import type { Migration } from '../migrate.ts';

/** What is gone is found without reading what is there. */
export const tombstones: Migration = {
  number: 4,
  name: 'tombstones',
  sql: `
CREATE INDEX object_gone ON object (observed_ms) WHERE deleted = 1;
`,
};
