-- One hour of the store: log, index, marks and outbox in one file, so that one transaction holds all that a request
-- causes, and one unlink takes all of it away.

-- One row a request, its body gzipped and otherwise as it arrived. The body comes last: what stands before it is read
-- without it.
CREATE TABLE request (
  id          INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL, -- milliseconds since 1970, as every time here
  encoding    TEXT    NOT NULL CHECK (encoding IN ('json', 'protobuf')),
  traces      BLOB    NOT NULL CHECK (length(traces) % 20 = 0), -- 16 bytes of ID, then 2 * spans + (1 if one failed)
  body        BLOB    NOT NULL
) STRICT;

-- Which requests hold spans of which trace, up to and with the request in `indexed`; what came later says it itself.
-- No row a span: measured, that costs five times the time and the space.
CREATE TABLE trace_request (
  trace_id   BLOB    NOT NULL CHECK (length(trace_id) = 16),
  request_id INTEGER NOT NULL,
  spans      INTEGER NOT NULL,
  PRIMARY KEY (trace_id, request_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE indexed (request_id INTEGER NOT NULL) STRICT;
INSERT INTO indexed VALUES (0);

-- The traces that became due within this hour, and why. Those of the ratio need no mark: their ID says it.
CREATE TABLE mark (
  trace_id BLOB    NOT NULL CHECK (length(trace_id) = 16),
  reason   TEXT    NOT NULL CHECK (reason IN ('error', 'report')),
  at       INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  PRIMARY KEY (trace_id, reason)
) STRICT, WITHOUT ROWID;

-- What is due, in the order in which it became so: the spans of a trace in this file's request, and with `earlier` also
-- those in everything that was stored before it, in older files too. Read by cursor, never deleted from.
CREATE TABLE outbox (
  seq        INTEGER PRIMARY KEY,
  trace_id   BLOB    NOT NULL CHECK (length(trace_id) = 16),
  request_id INTEGER NOT NULL, -- 0 before the first
  earlier    INTEGER NOT NULL CHECK (earlier IN (0, 1)),
  forward    INTEGER NOT NULL CHECK (forward IN (0, 1)), -- for the backend
  keep       INTEGER NOT NULL CHECK (keep IN (0, 1))     -- for the database of what is kept
) STRICT;
