-- What the server must know after it has died. Nothing of a resume or posting, but for the
-- name of the file and the posting's terms in `ended`.

-- One row a run. Without `ended` it is under way, or was when its process died.
CREATE TABLE run (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL, -- the install that it is shown to; '' for a relay's own
  attempt INTEGER NOT NULL,
  first_id INTEGER NOT NULL, -- of the events in `ended`
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  ended TEXT -- its events as JSON
) STRICT;
CREATE INDEX run_by_age ON run (started_at);

-- One row for each message and who is to get it; it goes when it is taken.
CREATE TABLE webhook (
  id TEXT NOT NULL, -- the same at every attempt
  endpoint TEXT NOT NULL,
  body TEXT NOT NULL, -- as it is signed and sent
  run TEXT NOT NULL,
  span TEXT NOT NULL, -- the one that waited for the run; '' after a restart
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER, -- NULL: a dead letter
  reason TEXT NOT NULL DEFAULT '', -- of the last failed attempt, a code
  PRIMARY KEY (id, endpoint)
) STRICT;
CREATE INDEX webhook_by_due ON webhook (due_at);

-- What a model has cost today: one row an install, and '*' for all together.
CREATE TABLE model_use (
  day INTEGER NOT NULL, -- since 1970, UTC
  install TEXT NOT NULL,
  tokens INTEGER NOT NULL, -- used, and set aside for runs under way
  resumes INTEGER NOT NULL,
  PRIMARY KEY (day, install)
) STRICT;

-- Only endpoints of which there is something to remember.
CREATE TABLE webhook_endpoint (
  url TEXT PRIMARY KEY,
  not_before INTEGER NOT NULL DEFAULT 0,
  disabled_at INTEGER
) STRICT;
