-- Schema version 2: the traces that somebody has reported, which stay beyond the usual time.

-- By trace, not by request: spans of it that arrive later stay, too. No foreign key: a trace has no row of its own.
CREATE TABLE kept_trace (
  trace_id   BLOB    PRIMARY KEY CHECK (length(trace_id) = 16),
  kept_at    INTEGER NOT NULL, -- milliseconds since 1970, as kept_until
  kept_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_trace_by_time ON kept_trace (kept_at);
