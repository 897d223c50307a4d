/** One hour's file, read: by the look-ups, by those who copy what is due, and by the writer itself. */
import type { DatabaseSync } from 'node:sqlite'
import type { Encoding } from '../otlp.ts'
import { isDamage } from './database.ts'
import type { Reason } from './marks.ts'
import type { Part, Tail } from './tail.ts'

/** Where a request is stored. */
export interface RequestPlace {
  file: number
  request: number
}
/** A request as stored, its body gzipped. */
export interface StoredRequest extends RequestPlace {
  receivedAt: number
  encoding: Encoding
  body: Uint8Array
}
/** A row of the outbox. */
export interface Entry extends RequestPlace {
  seq: number
  traceId: string
  /** Everything of the trace that was stored before this request, too. */
  earlier: boolean
  forward: boolean
  keep: boolean
}
/** Until when a trace is marked, and why. */
export interface MarkRow {
  reason: Reason
  until: number
}

/** An hour's file has turned out to be damaged. */
export class DamagedHour extends Error {
  override name = 'DamagedHour'
  readonly file: number
  constructor(file: number, cause: unknown) {
    super('An hour of the store is damaged.', { cause })
    this.file = file
  }
}

/**
 * Every statement stays prepared: a look-up asks all files, and most know nothing of the trace. All of it throws
 * {@link DamagedHour}, and what else SQLite throws.
 */
export function createHourReader(db: DatabaseSync, file: number, tail: Tail) {
  const firstTrace = db.prepare(
    'SELECT trace_id FROM trace_request WHERE trace_id BETWEEN ? AND ? ORDER BY trace_id LIMIT 1',
  )
  const nextTrace = db.prepare(
    'SELECT trace_id FROM trace_request WHERE trace_id > ? AND trace_id <= ? ORDER BY trace_id LIMIT 1',
  )
  const one = db.prepare('SELECT id AS request_id, received_at, encoding, body FROM request WHERE id = ?')
  const indexed = db.prepare(
    'SELECT request_id, spans FROM trace_request WHERE trace_id = ? AND request_id <= ? ORDER BY request_id LIMIT ?',
  )
  const spansOf = db.prepare('SELECT spans FROM trace_request WHERE trace_id = ? AND request_id = ?')
  const receivedAt = db.prepare('SELECT received_at FROM request WHERE id = ?')
  const latest = db.prepare('SELECT received_at, traces FROM request WHERE id <= ? ORDER BY id DESC LIMIT ?')
  const lastId = db.prepare('SELECT max(id) AS id FROM request')
  const marks = db.prepare('SELECT reason, until FROM mark WHERE trace_id = ?')
  const allMarks = db.prepare('SELECT trace_id, reason, until FROM mark')
  const entries = db.prepare('SELECT * FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?')
  const unforwarded = db.prepare(
    `SELECT total(spans) AS spans FROM outbox JOIN trace_request USING (trace_id)
     WHERE seq > ? AND forward = 1
       AND CASE earlier WHEN 0 THEN trace_request.request_id = outbox.request_id
                        ELSE trace_request.request_id <= outbox.request_id END`,
  )
  const lateForward = db.prepare('SELECT trace_id FROM outbox WHERE seq > ? AND earlier = 1 AND forward = 1')
  const lateKeep = db.prepare('SELECT trace_id FROM outbox WHERE seq > ? AND earlier = 1 AND keep = 1')
  const spansOfTrace = db.prepare('SELECT total(spans) AS spans FROM trace_request WHERE trace_id = ?')
  const lastEntry = db.prepare('SELECT max(seq) AS seq FROM outbox')
  const uncopied = db.prepare('SELECT DISTINCT trace_id FROM outbox WHERE seq > ? AND keep = 1')

  const toRequest = (row: Record<string, unknown>): StoredRequest => ({
    file,
    request: Number(row.request_id),
    receivedAt: Number(row.received_at),
    encoding: row.encoding as Encoding,
    body: row.body as Uint8Array,
  })

  /** Where spans of a trace are, in order of arrival. What was moved into the index a moment ago may still be in the tail. */
  function partsOf(traceId: string, upTo: number, limit: number): Part[] {
    const rows = indexed.all(Buffer.from(traceId, 'hex'), upTo, limit)
    const parts = rows.map((row) => ({ request: Number(row.request_id), spans: Number(row.spans) }))
    for (const part of tail.of(traceId)) {
      if (parts.length === limit || part.request > upTo) break
      if (part.request > (parts.at(-1)?.request ?? 0)) parts.push(part)
    }
    return parts
  }

  /** The last request that came before a time. They are numbered as they came, so a few are looked at, not all. */
  function lastBefore(before: number): number {
    let [low, high] = [0, Number(lastId.get()?.id ?? 0)]
    if (before === Number.POSITIVE_INFINITY) return high
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (Number(receivedAt.get(middle)?.received_at ?? 0) < before) low = middle
      else high = middle - 1
    }
    return low
  }

  const reader = {
    /** When the first request with spans of a trace came; undefined when none did. */
    firstSeen(traceId: string): number | undefined {
      const [first] = partsOf(traceId, Number.MAX_SAFE_INTEGER, 1)
      const row = first && receivedAt.get(first.request)
      return row && Number(row.received_at)
    },

    /** At most `limit` trace IDs between two, both included. One seek each, however many requests a trace has. */
    traces(from: string, to: string, limit: number): string[] {
      const end = Buffer.from(to, 'hex')
      const found = tail.between(from, to)
      const inTail = new Set(found)
      let row = firstTrace.get(Buffer.from(from, 'hex'), end)
      while (row) {
        const id = row.trace_id as Uint8Array
        if (!inTail.has(hex(id))) found.push(hex(id))
        if (found.length >= limit + inTail.size) break
        row = nextTrace.get(id, end)
      }
      return found.sort().slice(0, limit)
    },

    /** The first so many requests with spans of a trace, in order of arrival, each read when it is asked for. */
    *requestsOf(traceId: string, limit: number): Generator<StoredRequest> {
      for (const { request } of partsOf(traceId, Number.MAX_SAFE_INTEGER, limit)) {
        const row = one.get(request)
        if (row) yield toRequest(row)
      }
    },

    request(id: number): StoredRequest | undefined {
      const row = one.get(id)
      return row && toRequest(row)
    },

    /** How many spans of a trace a request has. */
    spansIn(traceId: string, request: number): number {
      const row = spansOf.get(Buffer.from(traceId, 'hex'), request)
      return Number(row?.spans ?? tail.of(traceId).find((part) => part.request === request)?.spans ?? 0)
    },

    /** The same as numbers, for those who read one after another with something else in between. */
    requestIdsOf: (traceId: string, upTo: number, limit: number) =>
      partsOf(traceId, upTo, limit).map(({ request }) => request),

    /** The newest requests that came before a time, newest first: when each came, and the traces it has spans of. */
    latest(limit: number, before: number): { receivedAt: number; traces: Uint8Array }[] {
      return latest
        .all(lastBefore(before), limit)
        .map((row) => ({ receivedAt: Number(row.received_at), traces: row.traces as Uint8Array }))
    },

    /** How many requests, `limit` at most, have spans of a trace, and when the last of them came; 0 for never. */
    arrivals(traceId: string, limit: number): { requests: number; lastAt: number } {
      const parts = partsOf(traceId, Number.MAX_SAFE_INTEGER, limit)
      const last = parts.at(-1)
      return { requests: parts.length, lastAt: last ? Number(receivedAt.get(last.request)?.received_at ?? 0) : 0 }
    },

    /** The number of the newest request; 0 before the first. */
    lastRequest: () => Number(lastId.get()?.id ?? 0),

    /** Every mark, row by row. */
    *marks(): Generator<MarkRow & { traceId: string }> {
      for (const row of allMarks.iterate()) {
        yield { traceId: hex(row.trace_id), reason: row.reason as Reason, until: Number(row.until) }
      }
    },

    marksOf(traceId: string): MarkRow[] {
      return marks
        .all(Buffer.from(traceId, 'hex'))
        .map((row) => ({ reason: row.reason as Reason, until: Number(row.until) }))
    },

    /** What became due after `seq`. */
    outbox(seq: number, limit: number): Entry[] {
      return entries.all(seq, limit).map((row) => ({
        file,
        seq: Number(row.seq),
        traceId: hex(row.trace_id),
        request: Number(row.request_id),
        earlier: row.earlier === 1,
        forward: row.forward === 1,
        keep: row.keep === 1,
      }))
    },

    /** The number of the last row of the outbox; 0 before the first. They count up by one. */
    lastEntry: () => Number(lastEntry.get()?.seq ?? 0),

    /** Spans for a backend, and traces to be kept, in this file's requests that became due in this file after `seq`. */
    unforwardedSpans: (seq: number) => Number(unforwarded.get(seq)?.spans ?? 0),
    uncopiedTraces: (seq: number): string[] => uncopied.all(seq).map((row) => hex(row.trace_id)),

    /** Traces that became due in this file after `seq` with everything of them in the files before it. */
    dueLate: (seq: number, what: 'forward' | 'keep'): string[] =>
      (what === 'forward' ? lateForward : lateKeep).all(seq).map((row) => hex(row.trace_id)),
    /** How many spans of a trace are in the index of this file. */
    spansOf: (traceId: string) => Number(spansOfTrace.get(Buffer.from(traceId, 'hex'))?.spans ?? 0),
  }

  function* guardRows(rows: Generator<unknown>): Generator<unknown> {
    try {
      yield* rows
    } catch (error) {
      throw isDamage(error) ? new DamagedHour(file, error) : error
    }
  }
  const guard =
    (read: (...args: never[]) => unknown) =>
    (...args: never[]) => {
      try {
        const result = read(...args)
        return result instanceof Iterator ? guardRows(result as Generator<unknown>) : result
      } catch (error) {
        throw isDamage(error) ? new DamagedHour(file, error) : error
      }
    }
  return Object.fromEntries(Object.entries(reader).map(([name, read]) => [name, guard(read)])) as typeof reader
}

export type HourReader = ReturnType<typeof createHourReader>

export function hex(blob: unknown): string {
  return Buffer.from(blob as Uint8Array).toString('hex')
}
