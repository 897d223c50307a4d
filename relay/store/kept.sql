-- What outlives the hours: the kept traces with their spans, and how far everyone who reads an outbox has come.

-- The marks of the hours, copied. No foreign key from the spans: either may come first.
CREATE TABLE mark (
  trace_id BLOB    NOT NULL CHECK (length(trace_id) = 16),
  reason   TEXT    NOT NULL CHECK (reason IN ('error', 'report')),
  at       INTEGER NOT NULL, -- milliseconds since 1970, as every time here
  until    INTEGER NOT NULL,
  PRIMARY KEY (trace_id, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX mark_by_end ON mark (until);

-- The spans of a kept trace, cut out of the request that they came in. File and request say which that was.
CREATE TABLE kept_request (
  trace_id    BLOB    NOT NULL CHECK (length(trace_id) = 16),
  file        INTEGER NOT NULL,
  request_id  INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  encoding    TEXT    NOT NULL CHECK (encoding IN ('json', 'protobuf')),
  body        BLOB    NOT NULL, -- gzipped
  UNIQUE (trace_id, file, request_id)
) STRICT;

-- The last row of the outboxes that each reader is done with.
CREATE TABLE cursor (
  reader TEXT    PRIMARY KEY,
  file   INTEGER NOT NULL,
  seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a backend has refused for good. Ids are never used again: somebody may have noted one.
CREATE TABLE dead_letter (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  destination TEXT    NOT NULL,
  refused_at  INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  reason      TEXT    NOT NULL, -- the beginning of the answer
  encoding    TEXT    NOT NULL CHECK (encoding IN ('json', 'protobuf')),
  spans       INTEGER NOT NULL,
  body        BLOB    NOT NULL  -- gzipped
) STRICT;
