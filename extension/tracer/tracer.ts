/**
 * The extension's tracer: the OpenTelemetry SDK, minus everything that a service worker breaks. No global provider, no
 * context manager (it forgets at the first `await`), no batch processor (it forgets with the worker): parents are
 * passed explicitly, and every span is in the journal from its start.
 */

import {
  type Attributes,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { BasicTracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace-web'
import {
  ATTR_ERROR_TYPE,
  ATTR_FAILURE_CODE,
  ATTR_SESSION_ID,
  ATTR_WORKER_RESUMES,
  EVENT_WORKER_RESUMED,
  EVENT_WORKER_TERMINATED,
  SERVICE_EXTENSION,
} from '../../names.ts'
import type { RunFailure } from '../run-failure.ts'
import { type Journal, type JournaledSpan, toHrTime } from './journal.ts'
import { SpanIds } from './span-ids.ts'

/** W3C Trace Context level 2: sampled and random. Everything is recorded; what is kept is decided behind. */
export const TRACE_FLAGS = 0x03

export interface SpanOptions {
  kind?: SpanKind
  /** Epoch milliseconds; now when absent. */
  startTime?: number
  attributes?: Attributes
}

export class Tracer {
  readonly #tracer: OtelTracer
  readonly #journal: Journal
  /** Goes into every span that is started, and into the baggage. */
  sessionId: string
  readonly #ids = new SpanIds()

  constructor(journal: Journal, sessionId: string) {
    this.#journal = journal
    this.sessionId = sessionId
    // Not WebTracerProvider: all it adds is what `register()` would install, and nothing here is global.
    const provider = new BasicTracerProvider({ spanProcessors: [journal], idGenerator: this.#ids })
    this.#tracer = provider.getTracer(SERVICE_EXTENSION)
  }

  /** Starts a span under the given parent, or a trace of its own without one. The caller ends it. */
  start(name: string, parent: Span | undefined, { kind, startTime, attributes }: SpanOptions = {}): Span {
    const context = parent ? trace.setSpan(ROOT_CONTEXT, parent) : ROOT_CONTEXT
    return this.#tracer.startSpan(
      name,
      {
        kind: kind ?? SpanKind.INTERNAL,
        root: parent === undefined,
        attributes: { [ATTR_SESSION_ID]: this.sessionId, ...attributes },
        ...(startTime === undefined ? {} : { startTime }),
      },
      context,
    )
  }

  /**
   * Takes up a span that a worker which has died had open: the same IDs, start, attributes and events, and two more
   * events that say what happened. `diedAt` in epoch milliseconds.
   */
  restart(lost: JournaledSpan, diedAt: number): Span {
    const { traceId, spanId, parentSpanId, name, kind, startTime, links, events } = lost
    const parent = { traceId, spanId: parentSpanId ?? '', traceFlags: TraceFlags.SAMPLED }
    const context = parentSpanId ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT
    const resumes = Number(lost.attributes[ATTR_WORKER_RESUMES] ?? 0) + 1
    const attributes = { ...lost.attributes, [ATTR_WORKER_RESUMES]: resumes }
    const span = this.#ids.pinned({ traceId, spanId }, () =>
      this.#tracer.startSpan(name, { kind, startTime, links, attributes, root: !parentSpanId }, context),
    )
    for (const event of events) span.addEvent(event.name, event.attributes, event.time)
    span.addEvent(EVENT_WORKER_TERMINATED, diedAt)
    span.addEvent(EVENT_WORKER_RESUMED)
    this.checkpoint(span)
    return span
  }

  /** Ends a span that cannot be taken up, at the last time its worker is known to have been alive. */
  abandon(lost: JournaledSpan, diedAt: number): void {
    this.#journal.put({
      ...lost,
      endTime: toHrTime(diedAt),
      status: { code: SpanStatusCode.ERROR },
      attributes: { ...lost.attributes, [ATTR_ERROR_TYPE]: 'service_worker_terminated' },
    })
  }

  /** Makes what was added to an open span survive the worker. */
  checkpoint(span: Span): void {
    this.#journal.checkpoint(span as Span & ReadableSpan)
  }

  /**
   * Resolves when all spans are in storage as they are now: before a request leaves, so that nobody else ever tells of
   * a span that has died unwritten.
   */
  written(): Promise<void> {
    return this.#journal.forceFlush()
  }

  /**
   * Headers that carry the span to the next hop (W3C Trace Context, W3C Baggage). `waiting` names the span that
   * lasts until the asked-for work is done, when that is longer than the request: the server hangs its stages there.
   */
  headers(span: Span, waiting?: Span): Record<string, string> {
    return {
      traceparent: traceparentOf(span),
      ...(waiting ? { tracestate: `passats=p:${waiting.spanContext().spanId}` } : {}),
      baggage: `${ATTR_SESSION_ID}=${this.sessionId}`,
    }
  }
}

/** `00-<trace>-<span>-03`, W3C Trace Context. */
function traceparentOf(span: Span): string {
  const { traceId, spanId } = span.spanContext()
  return `00-${traceId}-${spanId}-${TRACE_FLAGS.toString(16).padStart(2, '0')}`
}

/**
 * Marks a span as failed: the code, and the class of what nobody foresaw. A message might quote a page or a profile.
 * What the person has cancelled is no error: it has the code and nothing else, and is sampled like what worked.
 */
export function markFailed(span: Span, { body, cause }: RunFailure): void {
  if (body.code === 'cancelled') {
    span.setAttribute(ATTR_FAILURE_CODE, body.code)
    return
  }
  const unforeseen = body.code === 'internal' && cause instanceof Error ? cause.name : undefined
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.setAttributes({ [ATTR_FAILURE_CODE]: body.code, [ATTR_ERROR_TYPE]: unforeseen ?? body.code })
}
