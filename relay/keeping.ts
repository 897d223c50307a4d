/** POST /traces/{id}/keep: somebody has reported a run, so its trace stays longer than the others. */
import { type Context, Hono } from 'hono'
import { RunId } from '../server/contract.ts'
import { BodyTooLarge, readBounded } from './bounded-body.ts'
import { retryAfter } from './ingest.ts'
import type { Log } from './log.ts'
import type { Traces } from './store/traces.ts'
import { StoreUnavailable } from './store/writer-thread.ts'

/** Nothing of a body is used, so that this is only what may be thrown away. */
const MAX_BODY_BYTES = 4 * 1024

export interface KeepingParts {
  store: Traces
  /** Makes the relay's own spans part of the store: they may be all there is of a trace. */
  flushSpans: () => Promise<void>
  /** Called when a trace is kept, and so is due. */
  onKept: () => void
  log: Log
}

/** The route. Like look-ups it is not traced: it would add to the trace that it is about, after the run has ended. */
export function createKeeping({ store, flushSpans, onKept, log }: KeepingParts): Hono {
  const keeping = new Hono()

  keeping.post('/traces/:id/keep', async (c) => {
    const traceId = c.req.param('id')
    if (!RunId.is(traceId)) return refuse(c, 400, 'trace_id_malformed', MALFORMED)
    try {
      await readBounded(c.req.raw, MAX_BODY_BYTES)
      await flushSpans()
      const result = await store.keep(traceId)
      if (result.kind === 'kept') {
        onKept()
        return c.json({ traceId, keptUntil: new Date(result.until).toISOString() })
      }
      return refuse(c, 404, 'trace_not_found', NOT_FOUND)
    } catch (error) {
      if (error instanceof BodyTooLarge) return refuse(c, 413, 'request_too_large', 'Send no body: none is needed.')
      if (c.req.raw.signal.aborted) return refuse(c, 400, 'body_incomplete', 'Send no body: this one ended early.')
      if (!(error instanceof StoreUnavailable)) throw error
      log.error({ err: error.cause ?? error }, 'trace not kept')
      c.header('retry-after', retryAfter(error))
      return refuse(c, 503, 'store_unavailable', 'The relay cannot write now. Try again later.')
    }
  })
  return keeping
}

const MALFORMED = 'Send the whole trace ID: 32 digits from 0 to 9 and a to f, in lower case, not all 0.'
const NOT_FOUND = 'Nothing of this trace is here. Send its spans to /v1/traces first, then keep it.'

function refuse(c: Context, status: 400 | 404 | 413 | 503, code: string, message: string): Response {
  return c.json({ error: { code, message } }, status)
}
