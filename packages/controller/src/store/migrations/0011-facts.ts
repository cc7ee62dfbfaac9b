import type { Migration } from '../migrate.ts';

/** Explanations as a position in a log of what the fleet looked like, instead of words for every node. */
export const facts: Migration = {
  number: 11,
  name: 'facts',
  sql: `
-- A row holds \`steps\` steps from \`position\` on: what changed between two decisions. A base holds the whole fleet in one step.
CREATE TABLE placement_facts (
  position INTEGER PRIMARY KEY,
  steps INTEGER NOT NULL,
  base INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX placement_facts_base ON placement_facts (position) WHERE base = 1;

-- Nobody asks by plan; each index is paid for by every placement.
DROP INDEX reservation_plan;

-- NULL: the body holds the words itself.
ALTER TABLE evaluation ADD COLUMN facts INTEGER;
-- JSON of who had the asked vmid; empty when none was asked.
ALTER TABLE evaluation ADD COLUMN vmid_owners TEXT NOT NULL DEFAULT '';
`,
};
