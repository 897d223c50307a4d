/** From the journal to the relay, through the OTLP exporter: a span leaves storage only after the relay has it. */

import { type ExportResult, ExportResultCode, type InstrumentationScope } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-web'
import { SERVICE_EXTENSION } from '../../names.ts'
import type { EndedSpan, Journal } from './journal.ts'
import { TRACE_FLAGS } from './tracer.ts'

/** Spans a request. */
const BATCH = 200
const SCOPE: InstrumentationScope = { name: SERVICE_EXTENSION }

/**
 * Sends what the journal holds to `relayUrl`. Returns how many spans the relay took; what it did not take stays for
 * the next time. Never throws: a run does not wait for this, and does not fail by it.
 */
export async function flush(journal: Journal, relayUrl: string, resource: Record<string, string>): Promise<number> {
  // Two flushes at once would send everything twice.
  return navigator.locks.request('flush', async () => {
    const exporter = new OTLPTraceExporter({ url: `${relayUrl}/v1/traces`, timeoutMillis: 10_000 })
    let sent = 0
    try {
      const spans = await journal.ended()
      for (let from = 0; from < spans.length; from += BATCH) {
        const batch = spans.slice(from, from + BATCH)
        if (!(await send(exporter, batch, resourceFromAttributes(resource)))) break
        await journal.remove(batch)
        sent += batch.length
      }
    } catch {
      // Storage could not be read: nothing was removed, so nothing is lost.
      return sent
    } finally {
      await exporter.shutdown()
    }
    return sent
  })
}

function send(exporter: OTLPTraceExporter, spans: EndedSpan[], resource: Resource): Promise<boolean> {
  return new Promise((resolve) => {
    const done = ({ code }: ExportResult) => resolve(code === ExportResultCode.SUCCESS)
    exporter.export(
      spans.map((span) => toReadableSpan(span, resource)),
      done,
    )
  })
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
