/** The server's log: pino JSON on stdout, one line an event, with the IDs of the active span; what is of a run goes to the relay, too. */

import { isSpanContextValid, trace } from '@opentelemetry/api'
import { logs, SeverityNumber } from '@opentelemetry/api-logs'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import { SERVICE_SERVER } from '../names.ts'

/** What a line must never hold, should somebody hand it over: whose resume it is, what is in it, and what opens it. */
const PERSONAL = [
  ...['profile', 'posting', 'basics', 'resume', 'tex', 'body', 'detail', 'fileName', 'name', 'email', 'phone', 'owner'],
  ...['headers', 'authorization', 'cookie', 'apiKey', 'key', 'secret', 'token'],
]

/** Lines never hold bodies, headers, addresses, or a URL. Of an error they tell its class and code: messages quote. */
export function createLog(level: string, out: DestinationStream = toRelay(destination(1))): Logger {
  const options = {
    level,
    base: { service: SERVICE_SERVER },
    mixin() {
      const active = trace.getActiveSpan()?.spanContext()
      return active && isSpanContextValid(active) ? { trace_id: active.traceId, span_id: active.spanId } : {}
    },
    redact: { paths: PERSONAL.flatMap((key) => [key, `*.${key}`]), remove: true },
    serializers: { err: errorClass },
  }
  return pino(options, out)
}

const SEVERITIES: Record<number, SeverityNumber> = {
  30: SeverityNumber.INFO,
  40: SeverityNumber.WARN,
  50: SeverityNumber.ERROR,
  60: SeverityNumber.FATAL,
}

/**
 * The console shows a run's lines beside its spans, so they take the spans' way, in batches that nobody waits for. Not by
 * pino's instrumentation: that would send every line, and before anything personal has been taken out of it.
 */
function toRelay(out: DestinationStream): DestinationStream {
  const records = logs.getLogger(SERVICE_SERVER)
  return {
    write(line) {
      out.write(line)
      if (!line.includes('"trace_id":"')) return
      const { level, time, msg, service: _, trace_id: _traceId, span_id: _spanId, ...attributes } = JSON.parse(line)
      const severityNumber = SEVERITIES[level]
      // Written where it is said, so the active context is the line's: the record has its trace and span from there.
      if (severityNumber) records.emit({ severityNumber, timestamp: time, body: msg, attributes })
    },
  }
}

function errorClass(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  // Where it was thrown, without the first lines: those are the message.
  const at = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return { type: error.name, ...(code ? { code } : {}), at: at?.slice(0, 5).map((line) => line.trim()) }
}
