/** The hindsight store: every request of the last hours, found by trace ID, and the outbox of the forwarder. */
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import { BodyTooLarge } from './bounded-body.ts'
import { decode, type Encoding, type TracesData } from './otlp.ts'
import { createRetention, type Keeping, type Terms } from './retention.ts'
import { MAX_MARKS, weigh } from './weight.ts'

/** Each file leads from one schema version to the next, the first from an empty file to 1; none changes afterwards. */
const SCHEMA = ['./store.sql', './kept-trace.sql']
/** Requests waiting for the next commit; more than this means the disk does not keep up. ≈ 2 s of peak. */
const MAX_PENDING = 1_000
/** What one look-up reads and answers with, at most. A run is a few dozen small requests; only a forged one has more. */
const MAX_TRACE = { requests: 1_000, bytes: 32 * 1024 * 1024, marks: MAX_MARKS, spans: 20_000 }
/** Traces offered when a prefix is ambiguous. */
const MAX_CANDIDATES = 10
/** How far back the list of recent traces looks, in requests. */
const RECENT_REQUESTS = 500

/** A request to keep: body gzipped, and the traces it has spans of (32 lower-case hex digits each). */
export interface NewRequest {
  encoding: Encoding
  body: Uint8Array
  traceIds: Iterable<string>
}
/** A request as stored. */
export interface StoredRequest {
  id: number
  encoding: Encoding
  body: Uint8Array
}
/** What a full ID or a prefix stands for. */
export type Match =
  | { kind: 'found'; traceId: string }
  | { kind: 'ambiguous'; candidates: string[] }
  | { kind: 'unknown' }
/** A trace seen lately; times in milliseconds since 1970. */
export interface RecentTrace {
  traceId: string
  firstSeen: number
  lastSeen: number
}
/** The spans of a trace; `truncated` when there are more than one look-up may read. */
export interface StoredTrace extends TracesData {
  truncated: boolean
}
/** The store cannot write now (disk full, locked, too much waiting). Sending again later may succeed. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable'
}

export type Store = ReturnType<typeof openStore>

interface Pending {
  request: NewRequest
  resolve: () => void
  reject: (error: Error) => void
}

/**
 * Opens or creates the store, and brings an older one up to date. Throws when the file is no database, cannot be
 * written, or has a schema version that is none of its own: its message then names the path, because guessing at a way back could
 * lose what people were promised is kept.
 */
export function openStore(path: string, terms: Terms, now: () => number = Date.now) {
  mkdirSync(dirname(path), { recursive: true })
  const db = openDatabase(path)
  const insertRequest = db.prepare('INSERT INTO request (received_at, encoding, body) VALUES (?, ?, ?)')
  const insertTrace = db.prepare('INSERT OR IGNORE INTO trace_request (trace_id, request_id) VALUES (?, ?)')
  const byPrefix = db.prepare('SELECT DISTINCT trace_id FROM trace_request WHERE trace_id BETWEEN ? AND ? LIMIT ?')
  const byTrace = db.prepare(
    `SELECT encoding, body FROM trace_request JOIN request ON request.id = request_id
     WHERE trace_id = ? ORDER BY request_id`,
  )
  const recentTraces = db.prepare(
    `SELECT trace_id, max(received_at) AS last_seen,
       (SELECT min(first.received_at) FROM trace_request t JOIN request first ON first.id = t.request_id
        WHERE t.trace_id = trace_request.trace_id) AS first_seen
     FROM (SELECT id, received_at FROM request ORDER BY id DESC LIMIT ${RECENT_REQUESTS}) latest
     JOIN trace_request ON request_id = latest.id
     GROUP BY trace_id ORDER BY last_seen DESC, trace_id LIMIT ?`,
  )
  const after = db.prepare('SELECT id, encoding, body FROM request WHERE id > ? ORDER BY id LIMIT 1')
  const readCursor = db.prepare('SELECT request_id FROM forward_cursor WHERE destination = ?')
  const writeCursor = db.prepare(
    `INSERT INTO forward_cursor (destination, request_id) VALUES (?, ?)
     ON CONFLICT (destination) DO UPDATE SET request_id = excluded.request_id`,
  )
  const retention = createRetention(db, terms, now)

  let pending: Pending[] = []

  /** Everything that came in since the last turn of the loop, in one transaction: an fsync for all, not one each. */
  function commit(): void {
    const batch = pending
    pending = []
    if (batch.length === 0) return
    try {
      db.exec('BEGIN IMMEDIATE')
      for (const { request } of batch) {
        const { lastInsertRowid } = insertRequest.run(now(), request.encoding, request.body)
        for (const traceId of request.traceIds) insertTrace.run(Buffer.from(traceId, 'hex'), lastInsertRowid)
      }
      db.exec('COMMIT')
    } catch (cause) {
      if (db.isOpen && db.isTransaction) db.exec('ROLLBACK')
      for (const { reject } of batch) reject(new StoreUnavailable('The store cannot write.', { cause }))
      return
    }
    for (const { resolve } of batch) resolve()
  }

  return {
    /** Resolves when the request is on disk. Rejects with {@link StoreUnavailable}; then nothing of it was kept. */
    append(request: NewRequest): Promise<void> {
      if (!db.isOpen) return Promise.reject(new StoreUnavailable('The store is closed.'))
      if (pending.length >= MAX_PENDING) return Promise.reject(new StoreUnavailable('Too many requests are waiting.'))
      return new Promise((resolve, reject) => {
        pending.push({ request, resolve, reject })
        if (pending.length === 1) setImmediate(commit)
      })
    },

    /** What a trace ID, or its first 8 or more digits, stands for. `prefix` is lower-case hex, at most 32 digits. */
    find(prefix: string): Match {
      const from = Buffer.from(prefix.padEnd(32, '0'), 'hex')
      const to = Buffer.from(prefix.padEnd(32, 'f'), 'hex')
      const ids = byPrefix.all(from, to, MAX_CANDIDATES).map((row) => hex(row.trace_id))
      const [traceId] = ids
      if (traceId === undefined) return { kind: 'unknown' }
      return ids.length === 1 ? { kind: 'found', traceId } : { kind: 'ambiguous', candidates: ids }
    },

    /**
     * The spans of a trace as OTLP JSON, in order of arrival. A span that arrived twice appears once, as it first
     * came: senders repeat themselves when an answer got lost, and nobody may overwrite what was told before.
     */
    trace(traceId: string): StoredTrace {
      const trace: StoredTrace = { resourceSpans: [], truncated: false }
      const left = { ...MAX_TRACE }
      const seen = new Set<string>()
      const isNew = (span: { traceId: string; spanId: string }) => {
        if (span.traceId !== traceId || seen.has(span.spanId)) return false
        if (seen.size === MAX_TRACE.spans) {
          trace.truncated = true
          return false
        }
        seen.add(span.spanId)
        return true
      }
      // Row by row: all bodies at once would be in memory before the first is counted.
      for (const row of byTrace.iterate(Buffer.from(traceId, 'hex'))) {
        const data = left.requests > 0 ? spend(row.body as Uint8Array, row.encoding as Encoding, left) : undefined
        for (const resourceSpans of data?.resourceSpans ?? []) {
          const scopeSpans = (resourceSpans.scopeSpans ?? [])
            .map((scope) => ({ ...scope, spans: (scope.spans ?? []).filter(isNew) }))
            .filter(({ spans }) => spans.length > 0)
          if (scopeSpans.length > 0) trace.resourceSpans.push({ ...resourceSpans, scopeSpans })
        }
        trace.truncated ||= data === undefined
        if (trace.truncated) break
      }
      return trace
    },

    /** The traces that got spans last, newest first. */
    recent(limit: number): RecentTrace[] {
      return recentTraces.all(limit).map((row) => ({
        traceId: hex(row.trace_id),
        firstSeen: Number(row.first_seen),
        lastSeen: Number(row.last_seen),
      }))
    },

    /** The first request that came after `id`, if there is one. */
    nextAfter(id: number): StoredRequest | undefined {
      const row = after.get(id)
      if (!row) return undefined
      return { id: Number(row.id), encoding: row.encoding as Encoding, body: row.body as Uint8Array }
    },

    /** The last request that `destination` has answered for; 0 before the first. */
    cursor(destination: string): number {
      return Number(readCursor.get(destination)?.request_id ?? 0)
    },

    /** Remembers, before it returns, that `destination` is done with all requests up to `id`. */
    advance(destination: string, id: number): void {
      writeCursor.run(destination, id)
    },

    stay: retention.stay,
    expire: retention.expire,

    /** Keeps a trace, as retention does. Throws {@link StoreUnavailable}; then it is not kept. */
    keep(traceId: string): Keeping {
      try {
        return retention.keep(traceId)
      } catch (cause) {
        throw new StoreUnavailable('The store cannot write.', { cause })
      }
    },

    /** Throws when the store cannot take a write now. */
    check(): void {
      db.exec('BEGIN IMMEDIATE; ROLLBACK')
    },

    /** Commits what waits and closes the file. Safe to call twice. */
    close(): void {
      commit()
      if (db.isOpen) db.close()
    },
  }
}

/** Decodes a stored body and takes what that costs from `left`. Undefined when there is not enough left. */
function spend(body: Uint8Array, encoding: Encoding, left: typeof MAX_TRACE): TracesData | undefined {
  try {
    const inflated = gunzipSync(body, { maxOutputLength: Math.max(left.bytes, 1) })
    left.requests -= 1
    left.bytes -= inflated.length
    left.marks -= weigh(inflated, encoding, left.marks)
    return decode(inflated, encoding)
  } catch (error) {
    if (error instanceof RangeError || error instanceof BodyTooLarge) return undefined
    throw error
  }
}

function hex(blob: unknown): string {
  return Buffer.from(blob as Uint8Array).toString('hex')
}

function openDatabase(path: string): DatabaseSync {
  // The time-out blocks the event loop, and only a backup or a second relay by mistake would hold the lock: short.
  const db = new DatabaseSync(path, { timeout: 100, enableForeignKeyConstraints: true })
  try {
    // synchronous=FULL: in WAL mode NORMAL would answer before the log is on disk.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
    if (version < 0 || version > SCHEMA.length) {
      throw new Error(
        `The store ${path} has schema version ${version}, and this relay needs ${SCHEMA.length}. ` +
          'Move the file away, or set RELAY_STORE to another path.',
      )
    }
    if (version < SCHEMA.length) {
      const steps = SCHEMA.slice(version).map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'))
      db.exec(`BEGIN; ${steps.join('\n')} PRAGMA user_version = ${SCHEMA.length}; COMMIT`)
    }
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
