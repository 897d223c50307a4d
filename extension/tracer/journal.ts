/**
 * The journal: every span in `storage.local` from the moment it starts, one key a span. A service worker can be gone
 * between any two lines; what was written is what the next one knows.
 *
 * One key a span, as a string: a growing array costs hundreds of milliseconds a write, and parallel
 * read-modify-writes lose all but one. Not awaited but before a request leaves: on an idle machine 50 writes out of 50
 * survive a SIGKILL right after, on a busy one the last of a worker may not.
 */

import { type HrTime, type Link, type SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor, TimedEvent } from '@opentelemetry/sdk-trace-web'
import browser from 'webextension-polyfill'
import type { Dropped } from './dropped.ts'
import { LISTED } from './listed.ts'

/** A span as it lies in storage: ReadableSpan without its methods, and without the resource, which is the reader's. */
export interface JournaledSpan {
  name: string
  kind: SpanKind
  traceId: string
  spanId: string
  parentSpanId?: string
  startTime: HrTime
  /** Absent while the span is open. */
  endTime?: HrTime
  status: ReadableSpan['status']
  attributes: ReadableSpan['attributes']
  links: Link[]
  events: TimedEvent[]
  /** Which start of the worker wrote it. */
  boot: string
}

/** A span whose end is known. */
export type EndedSpan = JournaledSpan & { endTime: HrTime }

/** A trace in which nothing is open any more. */
export interface EndedTrace {
  traceId: string
  /** By their start. */
  spans: EndedSpan[]
  /** Room it takes in storage. */
  bytes: number
  /** Epoch milliseconds of the last end. */
  endedAt: number
  /** Whether any span is an error. */
  failed: boolean
}

const PREFIX = 's:'
const HEARTBEAT = 'heartbeat'
/** While a span is open: bounds the time of death, and keeps the browser from taking the worker for idle. */
const HEARTBEAT_MS = 10_000
/** How long a trace is held, and how much is: whatever is over goes, the oldest trace first. Storage has 10 MiB. */
export const HELD_MS = 24 * 60 * 60_000
const MAX_TRACES = 50
const MAX_BYTES = 4 * 1024 * 1024

export class Journal implements SpanProcessor {
  readonly #boot = crypto.randomUUID()
  readonly #open = new Map<string, ReadableSpan>()
  /** Waiting for the end of this turn of the loop, by key. */
  #pending: Record<string, string> | undefined
  /** Writes under way, so that a flush sees all that has ended. */
  readonly #writes = new Set<Promise<unknown>>()
  #heartbeat: ReturnType<typeof setInterval> | undefined
  /** IDs of spans that storage did not take. */
  readonly #unwritten = new Set<string>()

  onStart(span: ReadableSpan): void {
    this.#open.set(span.spanContext().spanId, span)
    this.#heartbeat ??= setInterval(() => this.#write({}), HEARTBEAT_MS)
    this.checkpoint(span)
  }

  onEnd(span: ReadableSpan): void {
    this.#open.delete(span.spanContext().spanId)
    if (this.#open.size === 0) {
      clearInterval(this.#heartbeat)
      this.#heartbeat = undefined
    }
    this.put({ ...this.#recordOf(span), endTime: span.endTime })
  }

  /** Writes an open span as it is now, after something was added that must not be lost. */
  checkpoint(span: ReadableSpan): void {
    this.put(this.#recordOf(span))
  }

  /** Writes a span, with no attribute that is not of the closed list. */
  put(span: JournaledSpan): void {
    const attributes = Object.fromEntries(Object.entries(span.attributes).filter(([name]) => LISTED.has(name)))
    this.#write({ [PREFIX + span.spanId]: JSON.stringify({ ...span, attributes }) })
  }

  #recordOf(span: ReadableSpan): JournaledSpan {
    const { traceId, spanId } = span.spanContext()
    const { name, kind, startTime, status, attributes, links, events } = span
    const parent = span.parentSpanContext ? { parentSpanId: span.parentSpanContext.spanId } : {}
    return { name, kind, traceId, spanId, ...parent, startTime, status, attributes, links, events, boot: this.#boot }
  }

  /** One write a turn of the loop, with the heartbeat in it: every sign of life counts. */
  #write(entries: Record<string, string>): void {
    if (this.#pending) {
      Object.assign(this.#pending, entries)
      return
    }
    this.#pending = { ...entries }
    queueMicrotask(() => {
      const batch = { ...this.#pending, [HEARTBEAT]: Date.now() }
      this.#pending = undefined
      const write = browser.storage.local
        .set(batch)
        // Storage is full or gone: the spans are lost, the run must not be.
        .catch(() => {
          for (const key of Object.keys(batch)) if (key !== HEARTBEAT) this.#unwritten.add(key)
        })
        .finally(() => this.#writes.delete(write))
      this.#writes.add(write)
    })
  }

  /** What earlier workers left open, and when the last of them was last alive, in epoch milliseconds. */
  async lost(): Promise<{ open: JournaledSpan[]; diedAt: number }> {
    const { spans, heartbeat } = await this.#read()
    const open = spans.filter((span) => span.endTime === undefined && span.boot !== this.#boot)
    const begun = open.map(({ startTime }) => toEpochMs(startTime))
    return { open, diedAt: Math.max(heartbeat, ...begun) }
  }

  /**
   * The ended traces, oldest first, after those that are over the bounds have gone; and what went, by why. Those that
   * somebody waits for (`wanted`) do not expire, and are the last to make room.
   */
  async ended(wanted: ReadonlySet<string>): Promise<{ traces: EndedTrace[]; gone: EndedTrace[]; dropped: Dropped }> {
    await this.forceFlush()
    const { spans, bytes, unreadable } = await this.#read()
    const traces = [...Map.groupBy(spans, ({ traceId }) => traceId)]
      .flatMap(([traceId, all]) => endedTrace(traceId, all, bytes))
      .sort((a, b) => a.endedAt - b.endedAt)
    const isWanted = ({ traceId }: EndedTrace) => wanted.has(traceId)
    const expired = traces.filter((trace) => trace.endedAt < Date.now() - HELD_MS && !isWanted(trace))
    const current = traces.filter((trace) => !expired.includes(trace))
    const byNeed = [...current.filter((trace) => !isWanted(trace)), ...current.filter(isWanted)]
    const held = newestWithin(MAX_BYTES, byNeed.slice(-MAX_TRACES))
    const evicted = byNeed.slice(0, byNeed.length - held.length)
    const gone = [...expired, ...evicted]
    await this.remove(gone.flatMap((trace) => trace.spans))
    if (unreadable.length > 0) await browser.storage.local.remove(unreadable)
    const unwritten = this.#unwritten.size
    this.#unwritten.clear()
    return {
      traces: held.sort((a, b) => a.endedAt - b.endedAt),
      gone,
      dropped: {
        expired: spanCount(expired),
        evicted: spanCount(evicted),
        unwritten,
        unreadable: unreadable.length,
      },
    }
  }

  /** One ended trace; undefined when nothing of it is here, or some of it is open. */
  async trace(traceId: string): Promise<EndedTrace | undefined> {
    await this.forceFlush()
    const { spans, bytes } = await this.#read()
    const own = spans.filter((span) => span.traceId === traceId)
    return own.length > 0 ? endedTrace(traceId, own, bytes)[0] : undefined
  }

  async remove(spans: readonly JournaledSpan[]): Promise<void> {
    if (spans.length > 0) await browser.storage.local.remove(spans.map((span) => PREFIX + span.spanId))
  }

  async #read() {
    const stored = await browser.storage.local.get(null)
    const spans: JournaledSpan[] = []
    const bytes = new Map<JournaledSpan, number>()
    const unreadable: string[] = []
    for (const [key, value] of Object.entries(stored)) {
      if (!key.startsWith(PREFIX)) continue
      const span = parsed(value)
      if (span) {
        spans.push(span)
        bytes.set(span, key.length + String(value).length)
      } else unreadable.push(key)
    }
    spans.sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])
    return { spans, bytes, unreadable, heartbeat: Number(stored[HEARTBEAT]) || 0 }
  }

  async forceFlush(): Promise<void> {
    // The write of this turn is made at its end.
    await Promise.resolve()
    await Promise.all(this.#writes)
  }

  async shutdown(): Promise<void> {}
}

/** Nothing while a span of it is open. */
function endedTrace(traceId: string, spans: JournaledSpan[], bytes: Map<JournaledSpan, number>): EndedTrace[] {
  const ended = spans.filter((span): span is EndedSpan => span.endTime !== undefined)
  if (ended.length < spans.length) return []
  return [
    {
      traceId,
      spans: ended,
      bytes: ended.reduce((sum, span) => sum + (bytes.get(span) ?? 0), 0),
      endedAt: Math.max(...ended.map(({ endTime }) => toEpochMs(endTime))),
      failed: ended.some(({ status }) => status.code === SpanStatusCode.ERROR),
    },
  ]
}

/** As many of the last ones as have room. */
function newestWithin(bytes: number, traces: readonly EndedTrace[]): EndedTrace[] {
  let room = bytes
  const first = traces.findLastIndex((trace) => {
    room -= trace.bytes
    return room < 0
  })
  return traces.slice(first + 1)
}

function spanCount(traces: readonly EndedTrace[]): number {
  return traces.reduce((sum, { spans }) => sum + spans.length, 0)
}

/** Nothing for an entry that is no span: something else has written there, or half of it was lost. */
function parsed(value: unknown): JournaledSpan | undefined {
  try {
    const span = JSON.parse(value as string) as JournaledSpan
    const proper = Array.isArray(span.startTime) && typeof span.traceId === 'string' && typeof span.spanId === 'string'
    return proper ? span : undefined
  } catch {
    return undefined
  }
}

function toEpochMs([seconds, nanos]: HrTime): number {
  return seconds * 1000 + nanos / 1e6
}

/** Epoch milliseconds, fractions included, as the SDK holds times. */
export function toHrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000)
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)]
}
