/** A run that is looked at while it goes on: an event whenever more of it has come. */
import type { Context } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import type { Traces } from '../store/traces.ts'

/** How often the store is asked; nothing of the trace is read for it. */
const EVERY_MS = 1_000
/** Who still looks after that loads the page again. */
const LONGEST_MS = 10 * 60_000
/** A comment so often, so that nobody in between takes the stream for dead. */
const HEARTBEAT_EVERY = 15
const MAX_STREAMS = 100

export interface Live {
  store: Traces
  flushSpans: () => Promise<void>
  /** Aborted when the relay stops. */
  shutdown: AbortSignal
}

export function createLive({ store, flushSpans, shutdown }: Live) {
  let streams = 0

  async function watch(stream: SSEStreamingApi, traceId: string, isHere: () => boolean): Promise<void> {
    let seen = (await store.arrivals(traceId)).requests
    for (let tick = 1; tick * EVERY_MS <= LONGEST_MS; tick += 1) {
      await pause(EVERY_MS, shutdown)
      if (stream.aborted || shutdown.aborted || !isHere()) return
      await flushSpans()
      const { requests } = await store.arrivals(traceId)
      if (requests !== seen) await stream.writeSSE({ event: 'changed', data: String(requests) })
      else if (tick % HEARTBEAT_EVERY === 0) await stream.write(':\n\n')
      seen = requests
    }
  }

  /** The stream of a trace that is here. `isHere` tells whether whoever looks may still. */
  return (c: Context, traceId: string, isHere: () => boolean): Response => {
    if (streams >= MAX_STREAMS) {
      c.header('retry-after', '10')
      return c.json(
        { error: { code: 'too_many_watch', message: 'Too many pages follow runs. Load this one again.' } },
        503,
      )
    }
    streams += 1
    return streamSSE(c, async (stream) => {
      try {
        await watch(stream, traceId, isHere)
        await stream.writeSSE({ event: 'over', data: '' })
      } finally {
        streams -= 1
      }
    })
  }
}

/** So long, or until the relay stops. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
