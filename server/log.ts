/** The server's log: pino JSON on stdout, one line an event, with the IDs of the active span. */

import { isSpanContextValid, trace } from '@opentelemetry/api'
import { type DestinationStream, type Logger, pino } from 'pino'
import { SERVICE_SERVER } from '../names.ts'

/** What a line must never hold, should somebody hand it over: whose resume it is, what is in it, and what opens it. */
const PERSONAL = [
  ...['profile', 'posting', 'basics', 'resume', 'tex', 'body', 'detail', 'fileName', 'name', 'email', 'phone', 'owner'],
  ...['headers', 'authorization', 'cookie', 'apiKey', 'key', 'secret', 'token'],
]

/** Lines never hold bodies, headers, addresses, or a URL. Of an error they tell its class and code: messages quote. */
export function createLog(level: string, destination?: DestinationStream): Logger {
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
  return destination ? pino(options, destination) : pino(options)
}

function errorClass(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  // Where it was thrown, without the first lines: those are the message.
  const at = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return { type: error.name, ...(code ? { code } : {}), at: at?.slice(0, 5).map((line) => line.trim()) }
}
