import type { Migration } from '../migrate.ts';

/** Evaluations, reservations, plans, operations. */
export const work: Migration = {
  number: 10,
  name: 'work',
  sql: `
CREATE TABLE evaluation (
  id TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX evaluation_at ON evaluation (at_ms);

-- The generation grows with each plan of this controller and is never given twice.
CREATE TABLE plan (
  generation INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  evaluation_id TEXT NOT NULL,
  reservation_id TEXT NOT NULL,
  body BLOB NOT NULL,
  action BLOB NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX plan_state ON plan (state, expires_ms);

-- Newest fencing token handed out for a node.
CREATE TABLE fence (
  node_uid TEXT PRIMARY KEY,
  token INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- scope: within which a vmid is unique, the cluster's name or the node's uid.
CREATE TABLE reservation (
  id TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  node_uid TEXT NOT NULL,
  node_name TEXT NOT NULL,
  vmid INTEGER NOT NULL,
  guest_uid TEXT NOT NULL,
  memory_bytes INTEGER NOT NULL,
  cpu_cores REAL NOT NULL,
  pools TEXT NOT NULL,
  plan_id TEXT NOT NULL,
  state TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  fencing_token INTEGER NOT NULL,
  end_reason TEXT NOT NULL,
  title TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX reservation_vmid ON reservation (scope, vmid) WHERE state = 'active';
CREATE INDEX reservation_state ON reservation (state, created_ms);
CREATE INDEX reservation_plan ON reservation (plan_id);

-- held: by an active reservation; settled: by the guest that came of it; past: by nobody any more.
CREATE TABLE reservation_device (
  reservation_id TEXT NOT NULL REFERENCES reservation (id) ON DELETE CASCADE,
  device TEXT NOT NULL,
  node_uid TEXT NOT NULL,
  guest_uid TEXT NOT NULL,
  vram_bytes INTEGER NOT NULL,
  exclusive INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (reservation_id, device)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reservation_device_exclusive ON reservation_device (node_uid, device) WHERE exclusive = 1 AND state <> 'past';
CREATE INDEX reservation_device_state ON reservation_device (state);

-- A vmid whose create failed is left alone for a while: something of it may still be there.
CREATE TABLE vmid_failure (
  vmid INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE operation (
  id TEXT PRIMARY KEY,
  plan_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  -- forward, undo
  phase TEXT NOT NULL,
  cancel_actor TEXT NOT NULL,
  last_seq INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX operation_state ON operation (state);

-- What was sent to the agent for a step; way: forward, undo.
CREATE TABLE operation_step (
  operation_id TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
  step INTEGER NOT NULL,
  way TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  agent_operation_id TEXT NOT NULL,
  agent_seq INTEGER NOT NULL,
  PRIMARY KEY (operation_id, step, way)
) STRICT, WITHOUT ROWID;

CREATE INDEX operation_step_agent ON operation_step (agent_operation_id);

CREATE TABLE operation_event (
  operation_id TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (operation_id, seq)
) STRICT, WITHOUT ROWID;
`,
};
