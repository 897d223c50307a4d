/** The server's routes. */

import { Readable } from 'node:stream'
import {
  context,
  type Link,
  type Context as OtelContext,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { getRPCMetadata } from '@opentelemetry/core'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { measured, routeOf } from '../http-metrics.ts'
import { ATTR_ERROR_TYPE, ATTR_FAILURE_CODE, ATTR_RUN_ATTEMPT, ATTR_RUN_REPLAYED } from '../names.ts'
import { readCompileSource } from './compile-source.ts'
import { type ErrorBody, type FailureCode, RunId } from './contract.ts'
import { streamEvents } from './events.ts'
import { Failure } from './failure.ts'
import { onlyServices } from './origin.ts'
import { inStage, type Pipeline, runPipeline } from './pipeline.ts'
import { ELAPSED_HEADER, INSTALL_HEADER, REQUEST_ID_HEADER } from './relay-contract.ts'
import { isOfCheck, onlyRelay } from './relay-key.ts'
import { GenerateRequest, MAX_COMPILE_BYTES, MAX_GENERATE_BYTES } from './request-contract.ts'
import { countEnd } from './run-counts.ts'
import { type KnownRun, type Runs, SYNTHETIC_OWNER } from './runs.ts'
import type { Working } from './working.ts'

export interface Server {
  runs: Runs
  pipeline: Pipeline
  /** What is under way, so that a stop can wait until it has cleared up after itself. */
  working: Working
  /** Names this server is reached by, besides loopback. */
  hosts: readonly string[]
  /** What the relay may show. */
  keys: readonly string[]
  /** Aborts when the server stops: open streams end. */
  shutdown: AbortSignal
  /** Whether a PDF could be made now. */
  ready: () => Promise<boolean>
}

export function createApp({ runs, pipeline, working, hosts, keys, shutdown, ready }: Server): Hono {
  const app = new Hono()
  let compiling = 0
  runs.workWith((run, order) => working.add(runPipeline(pipeline, run, order)))

  app.use(measured)

  // Orchestrators ask by whatever address they have.
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    if (!(await ready())) return c.json({ status: 'tectonic_unavailable' }, 503)
    return (await runs.reachable()) ? c.json({ status: 'ok' }) : c.json({ status: 'runs_unavailable' }, 503)
  })
  app.use(async (c, next) => {
    const startedAt = performance.now()
    await next()
    const route = routeOf(c)
    // The HTTP instrumentation sees the socket, not the router: it learns the route here.
    const metadata = getRPCMetadata(context.active())
    if (metadata && route) metadata.route = route
    const { method } = c.req
    const { status } = c.res
    // A stream's line is written when it begins: how it went on is in its span.
    const ms = Math.round(performance.now() - startedAt)
    const [run, request_id] = [c.req.param('id'), c.req.header(REQUEST_ID_HEADER)]
    pipeline.log[status >= 500 ? 'warn' : 'info'](
      { method, route, status, ms, request_id, ...(RunId.is(run) && { run }) },
      'request answered',
    )
  })
  app.use(onlyServices(hosts), onlyRelay(keys))

  app.post('/generate', countRefused, bodyLimit({ maxSize: MAX_GENERATE_BYTES, onError: tooLarge }), async (c) => {
    const request = await readRequest(c)
    const cause = trace.getActiveSpan()?.spanContext()
    const id = cause?.traceId ?? traceIdOf(c.req.header('traceparent')) ?? randomTraceId()
    const { parent, links } = parentOf(cause)
    const origin = {
      requestId: c.req.header(REQUEST_ID_HEADER),
      waitingSpanId: trace.getSpanContext(parent)?.spanId ?? '',
      elapsedMs: elapsedIn(c),
    }
    const { run, replayed } = await runs.begin({ id, owner: ownerIn(c), request, parent, links, origin })
    trace.getActiveSpan()?.setAttribute(ATTR_RUN_REPLAYED, replayed)
    if (!replayed) trace.getActiveSpan()?.setAttribute(ATTR_RUN_ATTEMPT, run.attempt)
    // The answer is the run, its end is an event.
    return c.json(run.view(), replayed ? 200 : 202)
  })

  app.get('/runs/:id', async (c) => c.json((await find(runs, c)).view()))

  // Not DELETE: the run stays, with how it ended.
  app.post('/runs/:id/cancel', async (c) => {
    const run = await runs.stop(await find(runs, c), 'cancelled')
    return c.json(run.view())
  })

  app.get('/runs/:id/events', async (c) => streamEvents(c, await find(runs, c), shutdown))

  app.get('/runs/:id/resume.pdf', async (c) => {
    const run = await find(runs, c)
    if (run.end?.type !== 'done') throw new Failure('run_not_found')
    const pdf = await runs.pdfOf(run)
    if (!pdf) throw new Failure('run_not_found', { reason: 'pdf_gone' })
    c.header('Content-Type', 'application/pdf')
    c.header('Content-Length', String(pdf.sizeBytes))
    c.header('Content-Disposition', `inline; filename*=UTF-8''${encodeURIComponent(run.end.fileName)}`)
    c.header('Cache-Control', 'private, no-store')
    return c.body(Readable.toWeb(pdf.content) as ReadableStream)
  })

  // Before the body is read: what the relay passes on has no length, and is held as it comes.
  app.use('/compile', async (_, next) => {
    if (compiling >= MAX_COMPILES) throw new Failure('overloaded')
    compiling++
    try {
      await next()
    } finally {
      compiling--
    }
  })
  app.post('/compile', bodyLimit({ maxSize: MAX_COMPILE_BYTES, onError: tooLarge }), async (c) => {
    const signal = AbortSignal.any([c.req.raw.signal, shutdown])
    const compile = async () => {
      const source = await readCompileSource(new Uint8Array(await c.req.arrayBuffer()), c.req.query('main'))
      return pipeline.tectonic.compile(source, { trust: 'foreign', signal })
    }
    const log = pipeline.log.child({ request_id: c.req.header(REQUEST_ID_HEADER) })
    const { pdf } = await working.add(inStage('compile', { parent: context.active() }, compile, log))
    return c.body(new Uint8Array(pdf), 200, { 'Content-Type': 'application/pdf', 'Cache-Control': 'no-store' })
  })

  app.notFound((c) => answer(c, new Failure('request_invalid', { detail: 'There is no such route.' }), 404))
  app.onError((error, c) => answer(c, Failure.from(error)))
  return app
}

/** POST /compile at once, waiting ones included: each may hold 20 MiB of what was sent. */
const MAX_COMPILES = 16

const tooLarge = (c: Context) => answer(c, new Failure('request_too_large'))

/** The one place where a failure becomes HTTP, and is recorded. */
function answer(c: Context, failure: Failure, status: number = failure.status): Response {
  c.set('failure', failure.code)
  trace
    .getActiveSpan()
    ?.setAttributes({ [ATTR_FAILURE_CODE]: failure.code, [ATTR_ERROR_TYPE]: failure.reason ?? failure.code })
  return c.json<ErrorBody>({ error: failure.toBody() }, status as ContentfulStatusCode)
}

/** A run that is turned away has ended for the person who asked for it. */
const countRefused: MiddlewareHandler = async (c, next) => {
  const since = performance.now()
  await next()
  const code: FailureCode | undefined = c.get('failure')
  // While the server stops, the browser asks again: that is not the end.
  if (code === undefined || code === 'interrupted') return
  const ageMs = performance.now() - since
  countEnd({
    code,
    ageMs,
    elapsedMs: elapsedIn(c),
    synthetic: isOfCheck(c),
    id: trace.getActiveSpan()?.spanContext().traceId,
  })
}

/** Milliseconds since the click, where the relay knows them. */
function elapsedIn(c: Context): number | undefined {
  const header = c.req.header(ELAPSED_HEADER)
  return header === undefined ? undefined : Number(header)
}

async function readRequest(c: Context): Promise<GenerateRequest> {
  if (!c.req.header('content-type')?.startsWith('application/json')) {
    throw new Failure('request_invalid', { detail: 'The body must be application/json.' })
  }
  const body = await c.req.json().catch(() => {
    throw new Failure('request_invalid', { detail: 'The body is not JSON.' })
  })
  const parsed = GenerateRequest.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const inProfile = issue?.path[0] === 'profile'
  const detail = issue ? `${issue.path.join('.')}: ${issue.message}` : ''
  throw new Failure(inProfile ? 'profile_invalid' : 'request_invalid', { detail })
}

async function find(runs: Runs, c: Context): Promise<KnownRun> {
  const id = c.req.param('id')
  const run = RunId.is(id) ? await runs.find(id) : undefined
  if (!run) throw new Failure('run_not_found')
  // Its ID is shown, read out and mailed to support. It must not open a resume.
  if (run.owner !== ownerIn(c)) throw new Failure('run_not_found', { reason: 'other_install' })
  return run
}

/** The install that the relay has let in, told apart when it is a check's; '' for a relay's own request. */
function ownerIn(c: Context): string {
  return (isOfCheck(c) ? SYNTHETIC_OWNER : '') + (c.req.header(INSTALL_HEADER) ?? '')
}

const WAITING_SPAN = /^p:([0-9a-f]{16})$/

/**
 * Where a run's stages hang. The span of POST /generate ends with its 202, long before them; the span that lasts is
 * the caller's own, which waits for the run. A caller that has one names it in `tracestate` (`passats=p:<span id>`,
 * W3C Trace Context section 3.3: opaque to whoever it passes through), and the request becomes a link. For any other
 * caller the request is the parent.
 */
function parentOf(cause: SpanContext | undefined): { parent: OtelContext; links: Link[] } {
  const spanId = WAITING_SPAN.exec(cause?.traceState?.get('passats') ?? '')?.[1]
  if (!cause || !spanId || /^0+$/.test(spanId)) return { parent: context.active(), links: [] }
  const waiting = { ...cause, spanId, isRemote: true, traceFlags: TraceFlags.SAMPLED }
  const baggage = propagation.getActiveBaggage()
  const outer = baggage ? propagation.setBaggage(ROOT_CONTEXT, baggage) : ROOT_CONTEXT
  return { parent: trace.setSpanContext(outer, waiting), links: [{ context: cause }] }
}

/** Without an SDK nobody has read the header, and the run's ID is still the one that its caller knows. */
function traceIdOf(traceparent: string | undefined): string | undefined {
  const id = traceparent?.split('-')[1]
  return RunId.is(id) ? id : undefined
}

/** Only for a caller that sends no context to a server without an SDK: a run needs an ID all the same. */
function randomTraceId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex')
}
