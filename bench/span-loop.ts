/** Runs in the extension's service worker: the spans of run after run, by the extension's tracer and by none. */

import { ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { Journal } from '../extension/tracer/journal.ts'
import { type SpanOptions, Tracer } from '../extension/tracer/tracer.ts'
import { ATTR_PDF_SIZE, ATTR_POSTING_SOURCE, ATTR_STAGE, SPAN_DELIVER, SPAN_RUN } from '../names.ts'

/** The root among them. As many as background records of a run itself. */
const SPANS_PER_TRACE = 10

export interface SpanTimes {
  /** Microseconds a span on the worker's thread, from its start until its last write is with the browser. */
  tracer: number
  /** Microseconds a span of the same loop with OpenTelemetry's own tracer that does nothing. */
  noop: number
  /** Milliseconds from there until the browser has acknowledged the last of the writes. */
  acknowledged: number
}

interface Starter {
  start(name: string, parent: Span | undefined, options?: SpanOptions): Span
  checkpoint(span: Span): void
}

const journal = new Journal()
const tracer = new Tracer(journal, crypto.randomUUID())

// What `trace` hands out while nothing is registered; parents are passed as the extension's tracer passes them.
const nothing = trace.getTracer('none')
const noop: Starter = {
  start: (name, parent, { kind, attributes } = {}) => {
    const options = { ...(kind === undefined ? {} : { kind }), attributes: { ...attributes } }
    return nothing.startSpan(name, options, parent ? trace.setSpan(ROOT_CONTEXT, parent) : ROOT_CONTEXT)
  },
  checkpoint: () => undefined,
}

/** So many traces of each; storage is as empty afterwards as it was before. */
async function timeSpans({ traces, noopTraces }: { traces: number; noopTraces: number }): Promise<SpanTimes> {
  const withNoop = await perSpan(noop, noopTraces)
  const withTracer = await perSpan(tracer, traces)
  const written = performance.now()
  await journal.forceFlush()
  const acknowledged = performance.now() - written
  await journal.remove((await journal.ended(new Set())).traces.flatMap(({ spans }) => spans))
  return { tracer: withTracer, noop: withNoop, acknowledged }
}

async function perSpan(starter: Starter, traces: number): Promise<number> {
  const begun = performance.now()
  for (let index = 0; index < traces; index++) await oneTrace(starter)
  return ((performance.now() - begun) * 1_000) / (traces * SPANS_PER_TRACE)
}

/**
 * Nothing but microtasks lies between two steps, so what passes is this thread's own work; and each step's write is
 * made by itself, as in a run, in which steps are far apart.
 */
async function oneTrace(starter: Starter): Promise<void> {
  const root = starter.start(SPAN_RUN, undefined, { startTime: Date.now() })
  await Promise.resolve()
  for (let child = 1; child < SPANS_PER_TRACE; child++) {
    const span = starter.start(SPAN_DELIVER, root, { attributes: { [ATTR_STAGE]: 'deliver' } })
    await Promise.resolve()
    span.setAttribute(ATTR_PDF_SIZE, 40_000)
    span.end()
    await Promise.resolve()
  }
  root.setAttribute(ATTR_POSTING_SOURCE, 'json-ld')
  starter.checkpoint(root)
  await Promise.resolve()
  root.end()
  await Promise.resolve()
}

Object.assign(globalThis, { timeSpans })
