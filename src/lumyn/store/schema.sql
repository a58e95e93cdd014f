-- The SQLite schema, version 1. Everything but its own layout is append-only: triggers refuse UPDATE and DELETE, which
-- stops accidents; the hash chain over `seq` makes deliberate edits evident.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- seq is store-wide: the four journal tables share one counter, so their union, ordered by seq, is the history.
CREATE TABLE decisions (
  seq         INTEGER PRIMARY KEY,
  decision_id TEXT NOT NULL UNIQUE,
  created_at  TEXT NOT NULL,
  tenant_id   TEXT,
  action_type TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  policy_hash TEXT NOT NULL,
  record      TEXT NOT NULL,
  leaf        BLOB NOT NULL,
  chain       BLOB NOT NULL
) STRICT;

CREATE TABLE decision_events (
  seq         INTEGER PRIMARY KEY,
  event_id    TEXT NOT NULL UNIQUE,
  decision_id TEXT NOT NULL,
  body        TEXT NOT NULL,
  leaf        BLOB NOT NULL,
  chain       BLOB NOT NULL
) STRICT;
CREATE INDEX decision_events_of ON decision_events (decision_id, seq);

-- tenant_key is '' where there is no tenant; a tenant id is never empty.
CREATE TABLE memory_items (
  seq         INTEGER PRIMARY KEY,
  memory_id   TEXT NOT NULL UNIQUE,
  tenant_key  TEXT NOT NULL,
  action_type TEXT NOT NULL,
  body        TEXT NOT NULL,
  leaf        BLOB NOT NULL,
  chain       BLOB NOT NULL
) STRICT;
CREATE INDEX memory_items_of ON memory_items (tenant_key, action_type, seq);

CREATE TABLE policy_snapshots (
  seq         INTEGER PRIMARY KEY,
  policy_hash TEXT NOT NULL UNIQUE,
  body        TEXT NOT NULL,
  leaf        BLOB NOT NULL,
  chain       BLOB NOT NULL
) STRICT;

CREATE TABLE idempotency_keys (
  tenant_key     TEXT NOT NULL,
  request_id     TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  decision_seq   INTEGER NOT NULL REFERENCES decisions (seq),
  PRIMARY KEY (tenant_key, request_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER meta_no_update BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER meta_no_delete BEFORE DELETE ON meta BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER events_no_update BEFORE UPDATE ON decision_events BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON decision_events BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER memory_no_update BEFORE UPDATE ON memory_items BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER memory_no_delete BEFORE DELETE ON memory_items BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER policies_no_update BEFORE UPDATE ON policy_snapshots BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER policies_no_delete BEFORE DELETE ON policy_snapshots BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER keys_no_update BEFORE UPDATE ON idempotency_keys BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER keys_no_delete BEFORE DELETE ON idempotency_keys BEGIN SELECT RAISE(ABORT, 'append-only'); END;
