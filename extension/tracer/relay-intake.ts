/** What is said to the relay about traces: the spans of some, and that one is to be kept. */

import type { InstrumentationScope } from '@opentelemetry/core'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-web'
import { SERVICE_EXTENSION } from '../../names.ts'
import { fetchAsInstall } from '../relay-access.ts'
import type { EndedSpan } from './journal.ts'
import { TRACE_FLAGS } from './tracer.ts'

const ANSWER_MS = 10_000
const SCOPE: InstrumentationScope = { name: SERVICE_EXTENSION }

/** `refused` is for good: sent again it would be refused again. */
export type Outcome = { kind: 'taken' } | { kind: 'refused' } | Failed
/** `retryAfterMs` when the relay said how long to stay away. */
export interface Failed {
  kind: 'failed'
  retryAfterMs?: number
}

/** Attributes of the resource. */
export type ResourceAttributes = Record<string, string | number>

/** The body of POST /v1/traces for these spans: OTLP JSON. */
export function requestBody(spans: readonly EndedSpan[], attributes: ResourceAttributes): Uint8Array<ArrayBuffer> {
  const resource = resourceFromAttributes(attributes)
  const readable = spans.map((span) => toReadableSpan(span, resource))
  return JsonTraceSerializer.serializeRequest(readable) as Uint8Array<ArrayBuffer>
}

/** Refused is only what the relay itself calls malformed or too large. Never rejects. */
export function sendSpans(
  relayUrl: string,
  spans: readonly EndedSpan[],
  attributes: ResourceAttributes,
): Promise<Outcome> {
  const isRefusal = async ({ status }: Response) => status === 400 || status === 413
  return post(`${relayUrl}/v1/traces`, isRefusal, requestBody(spans, attributes))
}

/** Asks the relay to keep what it has of a trace beyond its day. Refused when it has nothing of it. Never rejects. */
export function askToKeep(relayUrl: string, traceId: string): Promise<Outcome> {
  const isRefusal = async (response: Response) => {
    const body: unknown = response.status === 404 ? await response.json().catch(() => undefined) : undefined
    // Anybody can answer 404; what is missing there may be the relay.
    return (body as { error?: { code?: unknown } } | undefined)?.error?.code === 'trace_not_found'
  }
  return post(`${relayUrl}/traces/${traceId}/keep`, isRefusal)
}

async function post(
  url: string,
  isRefusal: (response: Response) => Promise<boolean>,
  body?: Uint8Array<ArrayBuffer>,
): Promise<Outcome> {
  try {
    const response = await fetchAsInstall(url, {
      method: 'POST',
      ...(body ? { headers: { 'content-type': 'application/json' }, body } : {}),
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const refused = !response.ok && (await isRefusal(response))
    if (!response.bodyUsed) await response.body?.cancel()
    if (response.ok) return { kind: 'taken' }
    // All else may be another's answer: a wrong address, a portal that wants a sign-in first.
    return refused ? { kind: 'refused' } : { kind: 'failed', ...retryAfter(response) }
  } catch {
    return { kind: 'failed' }
  }
}

/** Of a Retry-After header, in seconds or as a date (RFC 9110, 10.2.3). */
function retryAfter(response: Response): { retryAfterMs?: number } {
  const value = response.headers.get('retry-after')
  if (!value) return {}
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? {} : { retryAfterMs: Math.max(ms, 0) }
}

function toReadableSpan(span: EndedSpan, resource: ReadableSpan['resource']): ReadableSpan {
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
