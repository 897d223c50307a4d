/**
 * From the journal to the relay. A span leaves storage only after the relay has it, or has refused it for good; what
 * waits, waits across the deaths of the worker, and so does the knowledge that the relay asked to be left alone.
 */

import type { InstrumentationScope } from '@opentelemetry/core'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-web'
import browser from 'webextension-polyfill'
import { SERVICE_EXTENSION } from '../../names.ts'
import type { EndedSpan, Journal } from './journal.ts'
import { TRACE_FLAGS } from './tracer.ts'

/** Spans a request. */
const BATCH = 200
const ANSWER_MS = 10_000
/** The wait after a failure doubles from the first to the longest; a `Retry-After` beyond that is not believed. */
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 15 * 60_000
const SCOPE: InstrumentationScope = { name: SERVICE_EXTENSION }
const STATE = 'flush'

/** What is remembered between flushes. */
interface FlushState {
  /** Failures in a row. */
  failures: number
  /** Epoch milliseconds before which the relay is left alone. */
  notBefore: number
}

type Outcome = { kind: 'taken' } | { kind: 'refused' } | { kind: 'failed'; retryAfterMs: number | undefined }

/**
 * Sends what the journal holds to `relayUrl`, unless it is too early. Resolves with the epoch milliseconds at which
 * to try again, undefined when nothing is left. Rejects only when storage cannot be read; then nothing was removed.
 */
export async function flush(
  journal: Journal,
  relayUrl: string,
  resource: Record<string, string>,
): Promise<number | undefined> {
  // Two flushes at once would send everything twice.
  return navigator.locks.request('flush', async () => {
    const spans = await journal.ended()
    if (spans.length === 0) return undefined
    const state = await readState()
    if (Date.now() < state.notBefore) return state.notBefore
    for (let from = 0; from < spans.length; from += BATCH) {
      const batch = spans.slice(from, from + BATCH)
      const outcome = await send(relayUrl, batch, resourceFromAttributes(resource))
      if (outcome.kind === 'failed') return (await waitLonger(state, outcome.retryAfterMs)).notBefore
      // Refused for good: sent again it would be refused again, and stand in the way of what comes after it.
      await journal.remove(batch)
    }
    await browser.storage.local.remove(STATE)
    return undefined
  })
}

async function send(relayUrl: string, spans: EndedSpan[], resource: Resource): Promise<Outcome> {
  const body = JsonTraceSerializer.serializeRequest(spans.map((span) => toReadableSpan(span, resource)))
  if (!body) return { kind: 'refused' }
  try {
    const response = await fetch(`${relayUrl}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body as Uint8Array<ArrayBuffer>,
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    await response.body?.cancel()
    if (response.ok) return { kind: 'taken' }
    const temporary = response.status === 429 || response.status >= 500
    return temporary ? { kind: 'failed', retryAfterMs: retryAfter(response) } : { kind: 'refused' }
  } catch {
    return { kind: 'failed', retryAfterMs: undefined }
  }
}

async function readState(): Promise<FlushState> {
  const stored = (await browser.storage.local.get(STATE))[STATE] as FlushState | undefined
  const state = stored ?? { failures: 0, notBefore: 0 }
  // A clock that was set back would otherwise keep the spans here for as long as it was ahead.
  return state.notBefore > Date.now() + LONGEST_WAIT_MS ? { ...state, notBefore: 0 } : state
}

async function waitLonger({ failures }: FlushState, asked: number | undefined): Promise<FlushState> {
  const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures)
  // Full jitter, so that browsers which lost the same relay do not come back to it together.
  const wait = asked === undefined ? backOff * (0.5 + Math.random() / 2) : Math.min(asked, LONGEST_WAIT_MS)
  const state = { failures: failures + 1, notBefore: Date.now() + wait }
  await browser.storage.local.set({ [STATE]: state })
  return state
}

/** Milliseconds of a Retry-After header, in seconds or as a date (RFC 9110, 10.2.3); undefined when there is none. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('retry-after')
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0)
}

function toReadableSpan(span: EndedSpan, resource: Resource): ReadableSpan {
  const contextOf = (spanId: string) => ({ traceId: span.traceId, spanId, traceFlags: TRACE_FLAGS })
  const [seconds, nanos] = [span.endTime[0] - span.startTime[0], span.endTime[1] - span.startTime[1]]
  return {
    ...span,
    resource,
    instrumentationScope: SCOPE,
    spanContext: () => contextOf(span.spanId),
    ...(span.parentSpanId ? { parentSpanContext: contextOf(span.parentSpanId) } : {}),
    duration: nanos < 0 ? [seconds - 1, nanos + 1e9] : [seconds, nanos],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}
