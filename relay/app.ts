/** The relay's front door: who may call from where, and which part answers what. */
import type { HttpBindings } from '@hono/node-server'
import { context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { Hono, type MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import type { Breaker } from '../breaker.ts'
import { measured, routeOf } from '../http-metrics.ts'
import { RunId } from '../server/contract.ts'
import { REQUEST_ID_HEADER } from '../server/relay-contract.ts'
import { type Access, callerOf } from './access/access.ts'
import { Refused } from './access/refusal.ts'
import { type Console, createConsole } from './console/console.ts'
import { type Accept, createIngest } from './ingest.ts'
import { createKeeping } from './keeping.ts'
import type { Log } from './log.ts'
import { createLogIntake } from './log-intake.ts'
import type { Logbook } from './logbook.ts'
import { admit, isExtension } from './origin.ts'
import { createProxy, type Deadlines } from './proxy.ts'
import { identified, requestIdOf } from './request-id.ts'
import { answerStatus, isExport } from './rpc-status.ts'
import { createRunTimings, failedHere } from './run-timings.ts'
import type { Traces } from './store/traces.ts'
import { TIMINGS_HEADER } from './timings-contract.ts'
import type { TraceStore } from './trace-store.ts'

export interface Parts {
  access: Access
  store: Traces
  accept: Accept
  /** What was logged about runs. */
  book: Logbook
  /** Undefined when nothing is to be forwarded. */
  forwarder: TraceStore['forwarder']
  serverUrl: string
  /** What the server knows this relay by. */
  serverKey: string | undefined
  breaker: Breaker
  /** Where quotas are counted, where that is not here. */
  quotaState?: (() => string) | undefined
  /** Host names, besides the loopback's, that this relay is reached by. */
  hosts: readonly string[]
  /** What this relay's own forwarder sends along. */
  instanceId: string
  /** Aborted when the relay stops: ends proxied streams. */
  shutdown: AbortSignal
  /** Who may look at the console, and what else only it needs. */
  support: Pick<Console, 'staff' | 'oidc' | 'audit' | 'addressOf' | 'links' | 'runbooks'>
  flushSpans: () => Promise<void>
  log: Log
  now?: () => number
  deadlines?: Deadlines
}

const ALLOWED_HEADERS = [
  TIMINGS_HEADER,
  'authorization',
  'content-type',
  'content-encoding',
  'traceparent',
  'tracestate',
  'baggage',
  'last-event-id',
]
/** Seconds a browser may remember a preflight; Chromium's upper limit. */
const PREFLIGHT_MAX_AGE_S = 7_200
/** Readiness must be answered within what an orchestrator waits. */
const SERVER_CHECK_MS = 1_000

export function createApp(parts: Parts) {
  const { access, store, accept, forwarder, serverUrl, shutdown, flushSpans, log, now = Date.now, deadlines } = parts
  const app = new Hono<{ Bindings: Partial<HttpBindings> }>()
  const timings = createRunTimings()

  app.use(measured, told(log))
  app.use(
    identified,
    admit(parts.hosts),
    cors({
      origin: (origin) => (isExtension(origin) ? origin : null),
      allowMethods: ['GET', 'POST'],
      allowHeaders: ALLOWED_HEADERS,
      // What an extension may read of an answer, besides its body: CORS hides every other header.
      exposeHeaders: ['retry-after', 'ratelimit', 'ratelimit-policy', 'www-authenticate', REQUEST_ID_HEADER],
      maxAge: PREFLIGHT_MAX_AGE_S,
    }),
  )
  app.route('/', access.installs)
  app.post('/v1/traces', access.gate('spans'))
  app.post('/v1/logs', access.gate('spans'))
  app.post('/traces/:id/keep', access.gate('keeps'))
  app.post('/generate', timings.ofGenerate, access.gate('runs'))
  app.post('/compile', access.gate('runs'))
  // By their whole paths, because a refusal names its route on the span.
  app.post('/runs/:id/cancel', access.gate('nothing'))
  app.get('/runs/:id/events', access.gate('nothing'))
  app.get('/runs/:id/resume.pdf', timings.ofPdf, access.gate('nothing'))
  app.route('/', createIngest(accept, log, parts.instanceId))
  app.route('/', createLogIntake(parts.book))
  const onKept = () => forwarder?.wake()
  app.route('/', createConsole({ ...parts.support, store, book: parts.book, flushSpans, onKept, shutdown, log, now }))
  app.route('/', createKeeping({ store, flushSpans, onKept, log }))
  app.route('/', createProxy(parts, shutdown, log, deadlines))

  app.get('/healthz', (c) => c.json({ status: 'up' }))
  app.get('/readyz', async (c) => {
    const storeState = await writable(store)
    // The server is told about, not counted: spans are taken and runs looked up without it.
    const body = {
      store: storeState,
      server: await serverState(serverUrl),
      forward: forwarder?.state() ?? 'off',
      ...(parts.quotaState && { quotas: parts.quotaState() }),
    }
    // What all relays share being away is no reason to send nobody here: the others are no better off.
    return c.json(body, storeState === 'writable' || store.shared ? 200 : 503)
  })

  app.notFound((c) => c.json({ error: { code: 'not_found', message: 'There is nothing at this address.' } }, 404))
  app.onError((error, c) => {
    if (error instanceof Refused) {
      // Not louder: whoever is refused in a loop would fill the disk. They are counted.
      log.debug({ request_id: requestIdOf(c), reason: error.reason }, 'caller refused')
      if (error.exceeded) failedHere(c, 'rate_limited')
      return access.refuse(c, error)
    }
    // Nobody hears the answer. Not louder: leaving in the middle of a body needs no token.
    if (c.req.raw.signal.aborted) {
      log.debug({ err: error, method: c.req.method, request_id: requestIdOf(c) }, 'caller left')
      return c.body(null, 400)
    }
    log.error({ err: error, method: c.req.method, request_id: requestIdOf(c) }, 'request failed')
    const message = 'Something went wrong on our side.'
    if (isExport(c)) return answerStatus(c, 500, message)
    return c.json({ error: { code: 'internal', message } }, 500)
  })
  return app
}

/**
 * One line for each request of a caller who was let in. Not for spans: they come by the thousand, and their counts are the
 * store's. And not for who is refused, who could fill the disk with them.
 */
function told(log: Log): MiddlewareHandler {
  return async (c, next) => {
    const startedAt = performance.now()
    await next()
    const { method, path } = c.req
    if (callerOf(c) === undefined || path.startsWith('/v1/')) return
    const [route, run] = [routeOf(c), c.req.param('id')]
    const ms = Math.round(performance.now() - startedAt)
    log.info(
      { method, route, status: c.res.status, ms, request_id: requestIdOf(c), ...(RunId.is(run) && { run }) },
      'request answered',
    )
  }
}

async function writable(store: Traces): Promise<'writable' | 'unavailable'> {
  try {
    await store.check()
    return 'writable'
  } catch {
    return 'unavailable'
  }
}

async function serverState(serverUrl: string): Promise<string> {
  return context.with(suppressTracing(context.active()), async () => {
    try {
      const response = await fetch(`${serverUrl}/readyz`, { signal: AbortSignal.timeout(SERVER_CHECK_MS) })
      await response.body?.cancel()
      return response.ok ? 'ready' : `not ready (${response.status})`
    } catch {
      return 'unreachable'
    }
  })
}
