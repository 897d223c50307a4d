/** Look-ups across the hours and what was kept beyond them. */
import type { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import { BodyTooLarge } from '../bounded-body.ts'
import { decode, type Encoding, type TracesData } from '../otlp.ts'
import { MAX_MARKS } from '../scan/limits.ts'
import { slice } from '../scan/scan.ts'
import { tracesIn } from '../scan/trace-list.ts'
import { weigh } from '../weight.ts'
import { createGathering } from './gathering.ts'
import { endOf, type HourName } from './hour-files.ts'
import { type HourReader, hex, type StoredRequest } from './hour-reader.ts'
import type { Mark, Reason } from './marks.ts'
import type { Stay } from './retention.ts'

/** What one look-up reads and answers with, at most. A run is a few dozen small requests; only a forged one has more. */
export const MAX_TRACE: TraceBounds = { requests: 1_000, bytes: 32 * 1024 * 1024, marks: MAX_MARKS, spans: 20_000 }
/** Traces offered when a prefix is ambiguous. */
const MAX_CANDIDATES = 10
/** How far back the list of recent traces looks, in requests. */
const RECENT_REQUESTS = 500

/** What a full ID or a prefix stands for. */
export type Match =
  | { kind: 'found'; traceId: string }
  | { kind: 'ambiguous'; candidates: string[] }
  | { kind: 'unknown' }
/** A trace seen lately; milliseconds since 1970. */
export interface RecentTrace {
  traceId: string
  lastSeen: number
}
/** How much of a trace is read; `bytes` and `marks` (objects, lists and fields) after decompression. */
export interface TraceBounds {
  requests: number
  bytes: number
  marks: number
  spans: number
}
/** A trace in which something failed, and when that was first told, milliseconds since 1970. */
export interface FailedTrace {
  traceId: string
  at: number
}
/** Of how many requests a trace is, and when the last came, milliseconds since 1970. */
export interface Arrivals {
  requests: number
  lastAt: number
}
/** The spans of a trace; `truncated` when there are more than one look-up may read. */
export interface StoredTrace extends TracesData {
  truncated: boolean
}

export interface LookUpParts {
  keptDb: DatabaseSync
  /** Names of the hours that are here, oldest first. */
  names: () => HourName[]
  /** What `read` finds in each hour, oldest first. An hour that turns out to be damaged is left out. */
  each: <T>(read: (hour: HourReader, name: HourName) => Iterable<T>) => Generator<T>
  /** The same, newest first. */
  eachBackwards: <T>(read: (hour: HourReader, name: HourName) => Iterable<T>) => Generator<T>
  windowMs: number
  /** How long a trace is kept in which something failed. */
  keptMs: number
}

export function createLookUp({ keptDb, names, each, eachBackwards, windowMs, keptMs }: LookUpParts) {
  const keptBetween = keptDb.prepare(
    'SELECT DISTINCT trace_id FROM kept_request WHERE trace_id BETWEEN ? AND ? ORDER BY trace_id LIMIT ?',
  )
  const keptRequests = keptDb.prepare(
    `SELECT file, request_id, received_at, encoding, body FROM kept_request WHERE trace_id = ?
     ORDER BY file, request_id`,
  )
  const keptMarks = keptDb.prepare('SELECT reason, until FROM mark WHERE trace_id = ?')
  const keptArrivals = keptDb.prepare(
    'SELECT file, count(*) AS requests, max(received_at) AS at FROM kept_request WHERE trace_id = ? GROUP BY file',
  )
  // By the end, which is in an index, and is as much later for all of them.
  const failures = keptDb.prepare(
    `SELECT trace_id, at FROM mark WHERE until >= ? AND until < ? AND reason = 'error' ORDER BY until DESC LIMIT ?`,
  )
  const keptFirst = keptDb.prepare('SELECT min(received_at) AS at FROM kept_request WHERE trace_id = ?')

  /** Those that are only kept any more, and then those of the hours: together each once, in order of arrival. */
  function* requestsOf(traceId: string): Generator<Pick<StoredRequest, 'encoding' | 'body'>> {
    const here = new Set(names().map(({ file }) => file))
    for (const row of keptRequests.iterate(Buffer.from(traceId, 'hex'))) {
      if (here.has(Number(row.file))) continue
      yield { encoding: row.encoding as Encoding, body: row.body as Uint8Array }
    }
    yield* each((hour) => hour.requestsOf(traceId, MAX_TRACE.requests + 1))
  }

  function firstSeen(traceId: string): { at: number; file: number | undefined } | undefined {
    const kept = keptFirst.get(Buffer.from(traceId, 'hex'))?.at
    if (kept !== null && kept !== undefined) return { at: Number(kept), file: undefined }
    for (const found of each((hour, { file }) => [{ at: hour.firstSeen(traceId), file }])) {
      if (found.at !== undefined) return { at: found.at, file: found.file }
    }
    return undefined
  }

  function markOf(traceId: string): Mark {
    const mark: Mark = { error: 0, report: 0 }
    const kept = keptMarks.all(Buffer.from(traceId, 'hex')) as unknown as { reason: Reason; until: number }[]
    for (const { reason, until } of [...kept, ...each((hour) => hour.marksOf(traceId))]) {
      mark[reason] = Math.max(mark[reason], until)
    }
    return mark
  }

  return {
    /** What a trace ID, or its first 8 or more digits, stands for. `prefix` is lower-case hex, at most 32 digits. */
    find(prefix: string): Match {
      const from = prefix.padEnd(32, '0')
      const to = prefix.padEnd(32, 'f')
      const ids = new Set(
        keptBetween
          .all(Buffer.from(from, 'hex'), Buffer.from(to, 'hex'), MAX_CANDIDATES)
          .map(({ trace_id }) => hex(trace_id)),
      )
      for (const id of eachBackwards((hour) => hour.traces(from, to, MAX_CANDIDATES))) ids.add(id)
      const candidates = [...ids].sort().slice(0, MAX_CANDIDATES)
      const [traceId] = candidates
      if (traceId === undefined) return { kind: 'unknown' }
      return candidates.length === 1 ? { kind: 'found', traceId } : { kind: 'ambiguous', candidates }
    },

    /** The spans of a trace as OTLP JSON, in order of arrival. */
    trace(traceId: string, most: Readonly<TraceBounds> = MAX_TRACE): StoredTrace {
      const { trace, add } = createGathering(traceId, most.spans)
      const left = { ...most }
      // Row by row: all bodies at once would be in memory before the first is counted.
      for (const { body, encoding } of requestsOf(traceId)) {
        const data = left.requests > 0 ? spend(traceId, body, encoding, left) : undefined
        if (data) add(data)
        trace.truncated ||= data === undefined
        if (trace.truncated) break
      }
      return trace
    },

    /** The traces that got spans last, newest first; `before` (milliseconds since 1970) leaves out what came since. */
    recent(limit: number, before = Number.POSITIVE_INFINITY): RecentTrace[] {
      const lastSeen = new Map<string, number>()
      let left = RECENT_REQUESTS
      for (const { receivedAt, traces } of eachBackwards((hour) => (left > 0 ? hour.latest(left, before) : []))) {
        left -= 1
        for (const [id] of tracesIn(traces)) {
          if (lastSeen.size === RECENT_REQUESTS) break
          if (!lastSeen.has(id)) lastSeen.set(id, receivedAt)
        }
      }
      return [...lastSeen]
        .sort(([idA, a], [idB, b]) => b - a || (idA < idB ? -1 : 1))
        .slice(0, limit)
        .map(([traceId, at]) => ({ traceId, lastSeen: at }))
    },

    /**
     * The traces in which something failed, first told at or after `from` and before `to`, newest first. They come from the
     * database of what is kept, which has them a moment after the answer.
     */
    failed(from: number, to: number, limit: number): FailedTrace[] {
      return failures
        .all(from + keptMs, to + keptMs, limit)
        .map((row) => ({ traceId: hex(row.trace_id), at: Number(row.at) }))
    },

    /** How much of a trace has come: for those who wait for more, without reading any of it. */
    arrivals(traceId: string): Arrivals {
      const here = new Set(names().map(({ file }) => file))
      const kept = keptArrivals
        .all(Buffer.from(traceId, 'hex'))
        .filter(({ file }) => !here.has(Number(file)))
        .map(({ requests, at }) => ({ requests: Number(requests), lastAt: Number(at) }))
      const all = [...kept, ...each((hour) => [hour.arrivals(traceId, MAX_TRACE.requests)])]
      return {
        requests: all.reduce((sum, { requests }) => sum + requests, 0),
        lastAt: Math.max(0, ...all.map(({ lastAt }) => lastAt)),
      }
    },

    /** Until when a trace stays whole: its first request goes first. Undefined when nothing of it is here. */
    stay(traceId: string, at: number): Stay | undefined {
      const first = firstSeen(traceId)
      if (!first) return undefined
      const { error, report } = markOf(traceId)
      if (report > at && report >= error) return { kept: 'report', until: report }
      if (error > at) return { kept: 'error', until: error }
      return { kept: false, until: first.file === undefined ? at : endOf(names(), first.file, windowMs) }
    },

    markOf,
  }
}

/**
 * Decodes what a stored body has of a trace, and takes what that costs from `left`. Undefined when there is not enough
 * left.
 */
function spend(traceId: string, body: Uint8Array, encoding: Encoding, left: TraceBounds): TracesData | undefined {
  try {
    const inflated = gunzipSync(body, { maxOutputLength: Math.max(left.bytes, 1) })
    left.requests -= 1
    left.bytes -= inflated.length
    // Cut out first: of a busy service's request a trace has a few spans in hundreds, and decoding all costs ten times as much.
    const own = slice(inflated, encoding, (id) => id === traceId)
    if (!own) return { resourceSpans: [] }
    left.marks -= weigh(own, encoding, left.marks)
    return decode(own, encoding)
  } catch (error) {
    if (error instanceof RangeError || error instanceof BodyTooLarge) return undefined
    throw error
  }
}
