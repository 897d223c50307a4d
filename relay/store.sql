-- Schema version 1: log, index and outbox of the relay in one database. PRAGMA user_version holds the version.

-- One row a request, its body gzipped and otherwise as it arrived. Never reused ids: the forward cursor is one.
CREATE TABLE request (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  received_at INTEGER NOT NULL, -- milliseconds since 1970
  encoding    TEXT    NOT NULL CHECK (encoding IN ('json', 'protobuf')),
  body        BLOB    NOT NULL
) STRICT;

-- Which requests hold spans of which trace. No row a span: measured, that costs five times the time and the space.
CREATE TABLE trace_request (
  trace_id   BLOB    NOT NULL CHECK (length(trace_id) = 16),
  request_id INTEGER NOT NULL REFERENCES request (id) ON DELETE CASCADE,
  PRIMARY KEY (trace_id, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_request_by_request ON trace_request (request_id);

-- The last request that each destination has answered for.
CREATE TABLE forward_cursor (
  destination TEXT    PRIMARY KEY,
  request_id  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
