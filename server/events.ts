/** A run's events as Server-Sent Events (WHATWG HTML, 9.2): replayed from `Last-Event-ID`, then live. */

import { trace } from '@opentelemetry/api'
import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { METRICS } from '../metric-names.ts'
import { counter, gauge, histogram } from '../metrics.ts'
import { ATTR_SSE_CLOSE_REASON, ATTR_SSE_EVENTS_SENT, ATTR_SSE_LAST_EVENT_ID, ATTR_SSE_RESUMED } from '../names.ts'
import type { KnownRun } from './runs.ts'

const connections = gauge(METRICS.sseConnections)
const events = counter(METRICS.sseEvents)
const openFor = histogram(METRICS.sseDuration)

/** Clients come back after this time, milliseconds. */
const RETRY_MS = 2_000
/** A silent connection gets a comment this often: proxies and undici close what is silent for too long. */
const HEARTBEAT_MS = 15_000

/**
 * Streams the run's events, from the one after `Last-Event-ID`. The HTTP server span lasts as long as the stream
 * does; it says how many events went out and why the stream ended.
 */
export function streamEvents(c: Context, run: KnownRun, shutdown: AbortSignal): Response {
  const span = trace.getActiveSpan()
  const lastEventId = Number(/^\d{1,6}$/.exec(c.req.header('last-event-id') ?? '')?.[0] ?? 0)
  span?.setAttributes({
    [ATTR_SSE_RESUMED]: lastEventId > 0,
    [ATTR_SSE_EVENTS_SENT]: 0,
    // Until something else is known: when the client leaves, the span has ended before anything here hears of it.
    [ATTR_SSE_CLOSE_REASON]: 'client_disconnected',
    ...(lastEventId > 0 ? { [ATTR_SSE_LAST_EVENT_ID]: String(lastEventId) } : {}),
  })
  c.header('X-Accel-Buffering', 'no')
  c.header('Cache-Control', 'no-store')
  // Nobody would read the stream, and so it would never end.
  if (c.req.method === 'HEAD') return c.body(null, 200, { 'Content-Type': 'text/event-stream' })
  return streamSSE(c, async (stream) => {
    // streamSSE swallows write errors, so the end of the connection is taken from the request itself.
    const gone = new AbortController()
    stream.onAbort(() => gone.abort())
    const stop = AbortSignal.any([gone.signal, shutdown])
    const heartbeat = setInterval(() => stream.write(': still here\n\n'), HEARTBEAT_MS)
    let sent = 0
    const openedAt = performance.now()
    connections.add({}, 1)
    try {
      await stream.write(`retry: ${RETRY_MS}\n\n`)
      for await (const { id, event } of run.after(lastEventId, stop)) {
        await stream.writeSSE({ id: String(id), data: JSON.stringify(event) })
        sent++
        events.add({ event: event.type })
        span?.setAttribute(ATTR_SSE_EVENTS_SENT, sent)
      }
    } finally {
      clearInterval(heartbeat)
      const reason = shutdown.aborted ? 'server_shutdown' : 'finished'
      if (!gone.signal.aborted) span?.setAttribute(ATTR_SSE_CLOSE_REASON, reason)
      connections.add({}, -1)
      const labels = { close_reason: gone.signal.aborted ? 'client_disconnected' : reason }
      openFor.observe(labels, (performance.now() - openedAt) / 1_000, run.id)
    }
  })
}
