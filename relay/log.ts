/** The relay's log: pino JSON on stdout, one line an event, with the IDs of the active span. */
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { type DestinationStream, type Logger, pino } from 'pino'
import { SERVICE_RELAY } from '../names.ts'

export type Log = Logger

/**
 * Lines never hold bodies, headers, addresses, or a URL's query. A mixin instead of pino's auto-instrumentation: these
 * five lines do not depend on how modules are loaded.
 */
export function createLog(level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { service: SERVICE_RELAY },
    mixin() {
      const active = trace.getActiveSpan()?.spanContext()
      return active && isSpanContextValid(active) ? { trace_id: active.traceId, span_id: active.spanId } : {}
    },
  }
  return destination ? pino(options, destination) : pino(options)
}
