import type { Migration } from '../migrate.ts';

/** Nodes, tokens, inventory, history, audit, positions in streams. */
export const fleet: Migration = {
  number: 1,
  name: 'fleet',
  sql: `
CREATE TABLE node (
  uid TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  address TEXT NOT NULL,
  nats_public_key TEXT NOT NULL,
  certificate_serial TEXT NOT NULL,
  certificate_expires_ms INTEGER NOT NULL,
  agent_version TEXT NOT NULL,
  joined_ms INTEGER NOT NULL,
  last_seen_ms INTEGER,
  generation INTEGER NOT NULL DEFAULT 0,
  revoked_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX node_name ON node (name) WHERE revoked_ms IS NULL;

-- Only the hash of a token's secret is kept.
CREATE TABLE token (
  hash TEXT PRIMARY KEY,
  node_name TEXT,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER,
  used_by TEXT,
  actor TEXT NOT NULL
) STRICT;

-- A deleted object stays as a tombstone for a day: its position refuses late messages.
CREATE TABLE object (
  node_uid TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  hash TEXT NOT NULL,
  observed_ms INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  document BLOB,
  PRIMARY KEY (node_uid, kind, id)
) STRICT, WITHOUT ROWID;

-- Highest position whose messages were all seen, per node. What the first generation publishes first is no change.
CREATE TABLE node_position (
  node_uid TEXT PRIMARY KEY,
  first_generation INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;

CREATE TABLE change (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  observed_ms INTEGER NOT NULL,
  recorded_ms INTEGER NOT NULL,
  node_uid TEXT NOT NULL,
  node_name TEXT NOT NULL,
  kind TEXT NOT NULL,
  object_id TEXT NOT NULL,
  object_name TEXT NOT NULL,
  action TEXT NOT NULL,
  upid TEXT NOT NULL,
  author TEXT NOT NULL,
  operation_id TEXT NOT NULL,
  fields TEXT NOT NULL,
  summary TEXT NOT NULL
) STRICT;
CREATE INDEX change_object ON change (kind, object_id, id);
CREATE INDEX change_node ON change (node_uid, id);
CREATE INDEX change_recorded ON change (recorded_ms);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  identity TEXT NOT NULL,
  method TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at_ms);

CREATE TABLE cursor (
  name TEXT PRIMARY KEY,
  stream_created TEXT NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;

-- Messages that could not be understood: kept for a person, never tried again.
CREATE TABLE parked (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  subject TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  reason TEXT NOT NULL,
  payload BLOB NOT NULL
) STRICT;
`,
};
