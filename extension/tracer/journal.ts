/**
 * The journal: every span in `storage.local` from the moment it starts, one key a span. A service worker can be gone
 * between any two lines; what was written is what the next one knows.
 *
 * One key a span, as a string: a growing array costs hundreds of milliseconds a write, and parallel
 * read-modify-writes lose all but one. Never awaited: 50 un-awaited writes out of 50 survive a SIGKILL right after.
 */

import { type HrTime, type Link, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor, TimedEvent } from '@opentelemetry/sdk-trace-web'
import browser from 'webextension-polyfill'
import { isListed } from '../../closed-list.ts'
import { ATTR_ERROR_TYPE } from '../../names.ts'
import type { HopSpan } from './envelope.ts'

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

const PREFIX = 's:'
const HEARTBEAT = 'heartbeat'
/** While a span is open: bounds the time of death, and keeps the browser from taking the worker for idle. */
const HEARTBEAT_MS = 10_000
/** Spans kept at most while the relay can't be reached; about 100 runs. The oldest traces go first. */
const MAX_SPANS = 2_000

export class Journal implements SpanProcessor {
  readonly #boot = crypto.randomUUID()
  readonly #open = new Map<string, ReadableSpan>()
  /** Waiting for the end of this turn of the loop, by key. */
  #pending: Record<string, string> | undefined
  /** Writes under way, so that a flush sees all that has ended. */
  readonly #writes = new Set<Promise<unknown>>()
  #heartbeat: ReturnType<typeof setInterval> | undefined

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

  /** Takes over a span that a content script recorded. */
  adopt(traceId: string, span: HopSpan): void {
    this.put({
      name: span.name,
      kind: span.kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
      traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId,
      startTime: toHrTime(span.startTime),
      endTime: toHrTime(span.endTime),
      status: { code: span.errorType ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes: { ...span.attributes, ...(span.errorType ? { [ATTR_ERROR_TYPE]: span.errorType } : {}) },
      links: [],
      events: [],
      boot: this.#boot,
    })
  }

  /** Writes a span, with no attribute that is not of the closed list. */
  put(span: JournaledSpan): void {
    const attributes = Object.fromEntries(Object.entries(span.attributes).filter(([name]) => isListed(name)))
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
        .catch(() => undefined)
        .finally(() => this.#writes.delete(write))
      this.#writes.add(write)
    })
  }

  /** What earlier workers left open, and when the last of them was last alive, in epoch milliseconds. */
  async lost(): Promise<{ open: JournaledSpan[]; diedAt: number }> {
    const { spans, heartbeat } = await this.#read()
    const open = spans.filter((span) => span.endTime === undefined && span.boot !== this.#boot)
    const begun = open.map(({ startTime: [seconds, nanos] }) => seconds * 1000 + nanos / 1e6)
    return { open, diedAt: Math.max(heartbeat, ...begun) }
  }

  /** The spans of traces in which nothing is open any more, oldest first. Trims the journal to its bound. */
  async ended(): Promise<EndedSpan[]> {
    await this.forceFlush()
    const { spans } = await this.#read()
    const running = new Set(spans.filter(({ endTime }) => endTime === undefined).map(({ traceId }) => traceId))
    const ended = spans.filter((span): span is EndedSpan => !running.has(span.traceId))
    const surplus = wholeTraces(ended, ended.length - MAX_SPANS)
    if (surplus.length > 0) await this.remove(surplus)
    return ended.slice(surplus.length)
  }

  async remove(spans: readonly JournaledSpan[]): Promise<void> {
    await browser.storage.local.remove(spans.map((span) => PREFIX + span.spanId))
  }

  async #read(): Promise<{ spans: JournaledSpan[]; heartbeat: number }> {
    const stored = await browser.storage.local.get(null)
    const spans = Object.entries(stored).flatMap(([key, value]) => (key.startsWith(PREFIX) ? parsed(value) : []))
    spans.sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])
    const byTrace = [...Map.groupBy(spans, ({ traceId }) => traceId).values()].flat()
    return { spans: byTrace, heartbeat: Number(stored[HEARTBEAT]) || 0 }
  }

  async forceFlush(): Promise<void> {
    // The write of this turn is made at its end.
    await Promise.resolve()
    await Promise.all(this.#writes)
  }

  async shutdown(): Promise<void> {}
}

/** The first spans, `count` at least, up to the end of a trace: half of one would be a riddle to whoever looks it up. */
function wholeTraces(spans: readonly EndedSpan[], count: number): EndedSpan[] {
  if (count <= 0) return []
  const lastId = spans[count - 1]?.traceId
  const end = spans.findIndex(({ traceId }, index) => index >= count && traceId !== lastId)
  return spans.slice(0, end < 0 ? spans.length : end)
}

/** Nothing for an entry that is no span: something else has written there. */
function parsed(value: unknown): JournaledSpan[] {
  try {
    const span = JSON.parse(value as string) as JournaledSpan
    return Array.isArray(span.startTime) && typeof span.traceId === 'string' ? [span] : []
  } catch {
    return []
  }
}

/** Epoch milliseconds, fractions included, as the SDK holds times. */
export function toHrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000)
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)]
}
