/**
 * Ended spans in `storage.local`, one key a span: a growing array costs hundreds of milliseconds a write, and
 * parallel read-modify-writes lose all but one. Un-awaited writes survive the death of the worker.
 */

import { type HrTime, type Link, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-web'
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
  endTime: HrTime
  status: ReadableSpan['status']
  attributes: ReadableSpan['attributes']
  links: Link[]
}

const PREFIX = 's:'
/** Spans kept at most while the relay can't be reached; about 100 runs. The oldest go first. */
const MAX_SPANS = 2_000

export class Journal implements SpanProcessor {
  /** Writes under way, so that a flush sees all that has ended. */
  readonly #writes = new Set<Promise<void>>()

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    const { traceId, spanId } = span.spanContext()
    this.#write({
      name: span.name,
      kind: span.kind,
      traceId,
      spanId,
      ...(span.parentSpanContext ? { parentSpanId: span.parentSpanContext.spanId } : {}),
      startTime: span.startTime,
      endTime: span.endTime,
      status: span.status,
      attributes: span.attributes,
      links: span.links,
    })
  }

  adopt(traceId: string, span: HopSpan): void {
    this.#write({
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
    })
  }

  #write(span: JournaledSpan): void {
    const attributes = Object.entries(span.attributes).filter(([name]) => isListed(name))
    const listed = { ...span, attributes: Object.fromEntries(attributes) }
    const write = browser.storage.local
      .set({ [PREFIX + span.spanId]: JSON.stringify(listed) })
      // Storage is full or gone: the span is lost, the run must not be.
      .catch(() => undefined)
      .finally(() => this.#writes.delete(write))
    this.#writes.add(write)
  }

  /** Everything that has ended and not been removed, oldest first. Trims the journal to its bound. */
  async read(): Promise<JournaledSpan[]> {
    await Promise.all(this.#writes)
    const stored = await browser.storage.local.get(null)
    const spans = Object.entries(stored)
      .filter(([key]) => key.startsWith(PREFIX))
      .map(([, value]) => JSON.parse(value as string) as JournaledSpan)
      .sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])
    const surplus = spans.slice(0, Math.max(0, spans.length - MAX_SPANS))
    if (surplus.length > 0) await this.remove(surplus)
    return spans.slice(surplus.length)
  }

  async remove(spans: readonly JournaledSpan[]): Promise<void> {
    await browser.storage.local.remove(spans.map((span) => PREFIX + span.spanId))
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#writes)
  }

  async shutdown(): Promise<void> {}
}

function toHrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000)
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)]
}
