/**
 * Traces in engines that others have built and many relays share: a Collector takes what comes in, a store has all of it
 * for a time, an archive has what is kept. No relay has anything of its own, so any of them answers for all.
 *
 *     relay ─▶ Collector ─┬─ everything ─────────────────────▶ store
 *                         └─ tail sampling: failed, reported, ─▶ archive ◀─ what of it is missing ─ relay
 *                            one in a hundred
 */
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { BodyTooLarge } from '../bounded-body.ts'
import type { Log } from '../log.ts'
import { encode, spansOf, type TracesData } from '../otlp.ts'
import { scan } from '../scan/scan.ts'
import { createGathering } from '../store/gathering.ts'
import { MAX_TRACE, type StoredTrace, type TraceBounds } from '../store/look-up.ts'
import type { Stay, Terms } from '../store/retention.ts'
import type { Traces } from '../store/traces.ts'
import { StoreUnavailable } from '../store/writer-thread.ts'
import type { Collector } from './collector.ts'
import { beganAt, endedAt, hasFailed, isReport, isReported, reportOf } from './facts.ts'
import { createMending } from './mending.ts'
import type { Found, Reader, Search } from './reader.ts'

/** Traces that one search finds at most, whatever is asked for: Jaeger answers with all of each. */
const MAX_FOUND = 200
/** Traces among which the beginning of an ID is looked for, and how many are offered when it is ambiguous. */
const FIND_AMONG = 200
const MAX_CANDIDATES = 10
/** Clocks of browsers may be ahead by this. */
const AHEAD_MS = 3_600_000
/** One page asks several times for the same trace. */
const SAME_PAGE_MS = 500
/** What a search brought along is good enough for a line of a list for so long. */
const LISTED_MS = 5_000
const MAX_LISTED = 2 * MAX_FOUND
/** A report comes right after the spans that it is about, which take a moment through the Collector. */
const KEEP_WAIT_MS = 5_000
const LOOK_EVERY_MS = 200

export interface EngineParts {
  collector: Collector
  /** Has everything for `retentionMs`. */
  store: Reader
  /** Has what is kept for `keptMs`. */
  archive: Reader
  /** Puts spans into the archive. Throws StoreUnavailable. */
  copy: (data: TracesData) => Promise<void>
  terms: Pick<Terms, 'retentionMs' | 'keptMs'>
  log: Log
  now?: () => number
  /** How long a trace is waited for that is to be kept and is not there yet, milliseconds. */
  keepWaitMs?: number
}

/** All that is known of one trace. Times in milliseconds since 1970. */
interface Known {
  trace: StoredTrace
  spans: number
  beganAt: number
  endedAt: number
  failedAt: number | undefined
  reportedAt: number | undefined
  archived: boolean
}

export interface Engine extends Traces {
  /** Puts into the archive what is missing there. To be called now and then. */
  tend(): Promise<void>
}

/** Nothing is asked before the first question. */
export function createEngine(parts: EngineParts): Engine {
  const { collector, store, archive, copy, terms, log, now = Date.now, keepWaitMs = KEEP_WAIT_MS } = parts
  const mending = createMending({ store, archive, copy, retentionMs: terms.retentionMs, log, now })
  const page = new Map<string, { at: number; known: Promise<Known | undefined> }>()
  const listed = new Map<string, { at: number; data: TracesData }>()

  /** A trace is in the store, in the archive, or in parts in both: its spans go from the store one by one. */
  async function read(traceId: string, most: Readonly<TraceBounds>): Promise<Known | undefined> {
    const answers = await Promise.allSettled([store, archive].map((reader) => reader.trace(traceId)))
    const [near, far] = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined))
    const failure = answers.find((answer) => answer.status === 'rejected')?.reason
    if (failure instanceof BodyTooLarge) return tooLarge()
    const known = knownOf(traceId, [near, far], most)
    if (known) {
      known.archived = far !== undefined
      known.trace.truncated ||= (near?.partial ?? false) || (far?.partial ?? false)
    }
    // One that is down must not hide what the other has.
    if (!known && failure) throw failure
    if (failure) log.error({ err: failure }, 'one of two trace stores does not answer')
    return known
  }

  /** The same, unless it was read a moment ago. */
  function load(traceId: string): Promise<Known | undefined> {
    const at = performance.now()
    const before = page.get(traceId)
    if (before && at - before.at < SAME_PAGE_MS) return before.known
    const known = read(traceId, MAX_TRACE)
    remember(page, traceId, { at, known })
    known.catch(() => page.delete(traceId))
    return known
  }

  /** As a search has just brought it along; otherwise as it is. */
  async function forList(traceId: string): Promise<Known | undefined> {
    const before = listed.get(traceId)
    if (!before || page.has(traceId) || performance.now() - before.at > LISTED_MS) return load(traceId)
    return knownOf(traceId, [before.data], MAX_TRACE)
  }

  async function search(wanted: Omit<Search, 'from' | 'limit'> & { from?: number; limit: number }): Promise<Found[]> {
    const from = Math.max(wanted.from ?? 0, now() - terms.retentionMs)
    const to = Math.min(wanted.to, now() + AHEAD_MS)
    if (to <= from) return []
    const found = await store.search({ ...wanted, from, to, limit: Math.min(wanted.limit, MAX_FOUND) })
    const at = performance.now()
    for (const { traceId, data } of found) if (data) remember(listed, traceId, { at, data })
    return found
  }

  async function present(traceId: string): Promise<Known | undefined> {
    const until = performance.now() + keepWaitMs
    for (;;) {
      const known = await read(traceId, MAX_TRACE)
      if (known || performance.now() >= until) return known
      await delay(LOOK_EVERY_MS)
    }
  }

  const newest = `${MAX_FOUND} newest runs`
  return {
    shared: true,
    limits: `Runs are in ${store.name}: this list is of the ${newest}, by when they began, and an ID must be whole unless its run is one of these.`,

    append: collector.hand,
    check: collector.check,

    async find(prefix) {
      if (prefix.length === 32) {
        return (await load(prefix)) ? { kind: 'found', traceId: prefix } : { kind: 'unknown' }
      }
      const found = await search({ to: Number.POSITIVE_INFINITY, limit: FIND_AMONG })
      const candidates = found
        .map(({ traceId }) => traceId)
        .filter((traceId) => traceId.startsWith(prefix))
        .sort()
      const [traceId] = candidates
      if (traceId === undefined) return { kind: 'unknown' }
      if (candidates.length === 1) return { kind: 'found', traceId }
      return { kind: 'ambiguous', candidates: candidates.slice(0, MAX_CANDIDATES) }
    },

    async trace(traceId, most) {
      if (!most) return (await load(traceId))?.trace ?? { resourceSpans: [], truncated: false }
      const { trace } = (await forList(traceId)) ?? {}
      if (!trace) return { resourceSpans: [], truncated: false }
      const { trace: some, add } = createGathering(traceId, most.spans)
      add(trace)
      return { ...some, truncated: some.truncated || trace.truncated }
    },

    async recent(limit, before = Number.POSITIVE_INFINITY) {
      const found = await search({ to: before, limit })
      return found.map(({ traceId, startedAt }) => ({ traceId, lastSeen: startedAt }))
    },

    async failed(from, to, limit) {
      const found = await search({ from, to, limit, only: 'failed' })
      return found.map(({ traceId, startedAt }) => ({ traceId, at: startedAt }))
    },

    /** Engines do not tell when something came: it is taken for when it ended. */
    async arrivals(traceId) {
      const known = await load(traceId)
      return { requests: known?.spans ?? 0, lastAt: Math.min(known?.endedAt ?? 0, now()) }
    },

    async stay(traceId) {
      const known = await forList(traceId)
      return known && stayOf(known, terms)
    },

    async keep(traceId) {
      const known = await present(traceId)
      if (!known) return { kind: 'unknown' }
      const at = now()
      const before = known.reportedAt
      if (before !== undefined && before + terms.keptMs > at) return { kind: 'kept', until: before + terms.keptMs }
      const report = reportOf(traceId, at)
      const body = encode(report, 'protobuf')
      const { traces } = scan(body, 'protobuf')
      await collector.hand({ encoding: 'protobuf', body: gzipSync(body), traces })
      page.delete(traceId)
      listed.delete(traceId)
      // Told and safe. The rest is done again with the next round when it fails now.
      await copyNow(traceId, report)
      return { kind: 'kept', until: at + terms.keptMs }
    },

    tend: mending.tend,
  }

  async function copyNow(traceId: string, report: TracesData): Promise<void> {
    try {
      const data = await store.trace(traceId)
      const resourceSpans = [...(data?.resourceSpans ?? []), ...report.resourceSpans]
      await mending.mendTrace(traceId, { resourceSpans })
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      log.error({ err: error.cause ?? error }, 'reported trace not copied yet')
    }
  }
}

/** What spans of a trace tell; undefined when there are none. Reports are read, and not shown: they are no step of a run. */
function knownOf(
  traceId: string,
  some: readonly (TracesData | undefined)[],
  most: Readonly<TraceBounds>,
): Known | undefined {
  const { trace, add } = createGathering(traceId, most.spans)
  for (const data of some) if (data) add(data)
  const all = [...spansOf(trace)]
  const [reports, spans] = [all.filter(isReport), all.filter((span) => !isReport(span))]
  if (spans.length === 0) return undefined
  const failed = spans.filter(hasFailed)
  return {
    trace: reports.length > 0 ? withoutReports(trace) : trace,
    spans: spans.length,
    beganAt: beganAt(spans),
    endedAt: endedAt(spans),
    failedAt: failed.length > 0 ? endedAt(failed) : undefined,
    reportedAt: reports.length > 0 ? endedAt(reports) : all.some(isReported) ? endedAt(spans) : undefined,
    archived: false,
  }
}

function withoutReports({ resourceSpans, truncated }: StoredTrace): StoredTrace {
  const rest = resourceSpans.flatMap(({ scopeSpans = [], ...resource }) => {
    const left = scopeSpans
      .map((scope) => ({ ...scope, spans: (scope.spans ?? []).filter((span) => !isReport(span)) }))
      .filter(({ spans }) => spans.length > 0)
    return left.length > 0 ? [{ ...resource, scopeSpans: left }] : []
  })
  return { resourceSpans: rest, truncated }
}

function stayOf(known: Known, { retentionMs, keptMs }: EngineParts['terms']): Stay {
  const { reportedAt, failedAt, beganAt, archived } = known
  if (reportedAt !== undefined) return { kept: 'report', until: reportedAt + keptMs }
  if (failedAt !== undefined) return { kept: 'error', until: failedAt + keptMs }
  return { kept: false, until: beganAt + (archived ? keptMs : retentionMs) }
}

/** Of a trace that is too large to be read, nothing is known but that it is there. */
function tooLarge(): Known {
  const trace: StoredTrace = { resourceSpans: [], truncated: true }
  return { trace, spans: 0, beganAt: 0, endedAt: 0, failedAt: undefined, reportedAt: undefined, archived: false }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > MAX_LISTED && oldest !== undefined) map.delete(oldest)
}
