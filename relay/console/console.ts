/** Look-ups: the support console, and the same trace as OTLP JSON. Staff only, and every look is recorded. */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import type { Logbook } from '../logbook.ts'
import type { Match } from '../store/look-up.ts'
import type { Stay } from '../store/retention.ts'
import type { Traces } from '../store/traces.ts'
import { StoreUnavailable } from '../store/writer-thread.ts'
import { KEPT, SCRIPT, STYLE } from './assets.ts'
import { auditPage } from './audit-page.ts'
import { diagnose } from './diagnosis.ts'
import { createGate, type Gate, visitorOf } from './gate.ts'
import { createLive } from './live.ts'
import { candidatesPage, lookUpPage, unavailablePage } from './look-up.ts'
import { findRuns, questionIn } from './runs.ts'
import { createSummaries } from './summaries.ts'
import { type TraceLink, tracePage } from './trace.ts'
import { layOut } from './waterfall.ts'

/** Spans drawn at first, and when all are asked for. A real run has about forty. */
const ROWS = { first: 500, all: 2_000 }
/** What a page may spend on reading other runs, for how often and how long. */
const BUDGET_MS = { occurrences: 40, usual: 40 }
/** A trace that got spans so lately may get more. */
const ARRIVING_MS = 60_000
const AUDIT_LINES = 200
/** Seconds after which somebody may look again who got no answer. */
const RETRY_AFTER_S = '5'

export interface Console extends Gate {
  store: Traces
  book: Logbook
  /** Makes the relay's own spans part of the store. */
  flushSpans: () => Promise<void>
  /** Called when a trace is kept, and so is due. */
  onKept: () => void
  /** Other places that show traces. */
  links: readonly TraceLink[]
  runbooks: string | undefined
  shutdown: AbortSignal
  now: () => number
}

const MALFORMED = 'A trace ID has 32 digits from 0 to 9 and a to f; at least the first 8 are needed.'
const UNAVAILABLE = 'The runs cannot be read now: where they are kept does not answer. Try again in a moment.'
const UNKNOWN = 'No run with this ID is here. Runs are kept for a limited time.'

/** The routes below /support, and /api/traces/{id}. */
export function createConsole(parts: Console): Hono {
  const { store, book, flushSpans, audit, links, runbooks, now } = parts
  const { routes, onlyStaff, onlyOwnForms } = createGate(parts)
  const live = createLive(parts)
  const summaries = createSummaries(store, now)

  /** A trace ID as people paste it: any case, with spaces or dashes, whole or its beginning. */
  async function lookUp(input: string): Promise<{ id: string; match: Match | { kind: 'malformed' } }> {
    const id = input.replace(/[\s-]/g, '').toLowerCase()
    if (!/^[0-9a-f]{8,32}$/.test(id)) return { id, match: { kind: 'malformed' } }
    await flushSpans()
    return { id, match: await store.find(id) }
  }

  async function firstPage(
    c: Context,
    problem?: { status: 400 | 404; id: string; message: string },
  ): Promise<Response> {
    const { name, session } = visitorOf(c)
    audit.write(name, 'list')
    const question = questionIn(problem ? {} : c.req.query())
    const answer = await findRuns(store, summaries, question)
    const stays = new Map<string, Stay | undefined>()
    for (const { traceId } of answer.runs) stays.set(traceId, await store.stay(traceId))
    const view = { session, question, answer, stays, limits: store.limits, nowMs: now() }
    return c.html(lookUpPage({ ...view, ...(problem ? { problem } : {}) }), problem?.status ?? 200)
  }

  async function showTrace(c: Context, traceId: string): Promise<Response> {
    const { name, session } = visitorOf(c)
    audit.write(name, 'look-up', traceId)
    const trace = await store.trace(traceId)
    const { truncated } = trace
    const waterfall = layOut(trace)
    const arriving = now() - (await store.arrivals(traceId)).lastAt < ARRIVING_MS
    const diagnosis = diagnose(waterfall, { arriving, truncated })
    const { state, code } = diagnosis
    return c.html(
      tracePage({
        ...{ traceId, waterfall, diagnosis, session, truncated, links, runbooks },
        lines: book.of(traceId),
        stay: await store.stay(traceId),
        nowMs: now(),
        live: arriving && (state === 'running' || state === 'open'),
        occurrences: code && state === 'failed' ? await summaries.occurrences(code, BUDGET_MS.occurrences) : undefined,
        usual: await summaries.usual(BUDGET_MS.usual),
        maxRows: c.req.query('rows') === 'all' ? ROWS.all : ROWS.first,
      }),
    )
  }

  return new Hono()
    .use('/support/*', headers, uncached)
    .use('/api/traces/*', headers, uncached)
    .get(STYLE.path, (c) => c.body(STYLE.body, 200, { 'content-type': STYLE.type, 'cache-control': KEPT }))
    .get(SCRIPT.path, (c) => c.body(SCRIPT.body, 200, { 'content-type': SCRIPT.type, 'cache-control': KEPT }))
    .route('/', routes)
    .get('/support', onlyStaff, async (c) => {
      const input = c.req.query('id')
      if (input === undefined) return firstPage(c)
      const { id, match } = await lookUp(input)
      if (match.kind === 'malformed') return firstPage(c, { status: 400, id: input, message: MALFORMED })
      return c.redirect(`/support/${id}`, 303)
    })
    .get('/support/audit', onlyStaff, (c) => {
      const { name, session } = visitorOf(c)
      audit.write(name, 'audit')
      return c.html(auditPage(audit.newest(AUDIT_LINES), session))
    })
    .get('/support/:id', onlyStaff, async (c) => {
      const { id, match } = await lookUp(c.req.param('id'))
      if (match.kind === 'malformed') return firstPage(c, { status: 400, id: c.req.param('id'), message: MALFORMED })
      if (match.kind === 'unknown') return firstPage(c, { status: 404, id, message: UNKNOWN })
      if (match.kind === 'found') return showTrace(c, match.traceId)
      return c.html(candidatesPage(id, match.candidates, visitorOf(c).session), 300)
    })
    .get('/support/:id/events', onlyStaff, async (c) => {
      const { match } = await lookUp(c.req.param('id'))
      if (match.kind !== 'found') return c.json({ error: { code: 'trace_not_found', message: UNKNOWN } }, 404)
      const { name, isHere } = visitorOf(c)
      audit.write(name, 'watch', match.traceId)
      return live(c, match.traceId, isHere)
    })
    .post('/support/:id/keep', onlyStaff, onlyOwnForms, async (c) => {
      const { match } = await lookUp(c.req.param('id'))
      if (match.kind !== 'found') return firstPage(c, { status: 404, id: c.req.param('id'), message: UNKNOWN })
      audit.write(visitorOf(c).name, 'keep', match.traceId)
      await store.keep(match.traceId)
      parts.onKept()
      return c.redirect(`/support/${match.traceId}`, 303)
    })
    .get('/api/traces/:id', onlyStaff, async (c) => {
      const { match } = await lookUp(c.req.param('id'))
      if (match.kind === 'malformed') return c.json({ error: { code: 'trace_id_malformed', message: MALFORMED } }, 400)
      if (match.kind === 'unknown') return c.json({ error: { code: 'trace_not_found', message: UNKNOWN } }, 404)
      if (match.kind === 'ambiguous') {
        const message = 'More than one trace begins with these digits.'
        return c.json({ error: { code: 'trace_id_ambiguous', message, candidates: match.candidates } }, 409)
      }
      audit.write(visitorOf(c).name, 'download', match.traceId)
      const { resourceSpans, truncated } = await store.trace(match.traceId)
      if (c.req.query('download') !== undefined) {
        c.header('content-disposition', `attachment; filename="${match.traceId}.json"`)
      }
      return c.json({ resourceSpans, ...(truncated ? { truncated } : {}) })
    })
    .get('/api/traces/:id/log', onlyStaff, async (c) => {
      const { match } = await lookUp(c.req.param('id'))
      if (match.kind !== 'found') return c.json({ error: { code: 'trace_not_found', message: UNKNOWN } }, 404)
      audit.write(visitorOf(c).name, 'download', match.traceId)
      return c.json({ lines: book.of(match.traceId) })
    })
    .onError((error, c) => {
      if (!(error instanceof StoreUnavailable)) throw error
      parts.log.error({ err: error.cause ?? error }, 'look-up not answered')
      c.header('retry-after', RETRY_AFTER_S)
      if (c.req.path.startsWith('/api/')) {
        return c.json({ error: { code: 'store_unavailable', message: UNAVAILABLE } }, 503)
      }
      return c.html(unavailablePage(UNAVAILABLE, visitorOf(c).session), 503)
    })
}

const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: ["'self'"],
    scriptSrc: ["'self'"],
    connectSrc: ["'self'"],
    imgSrc: ['data:'],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: 'DENY',
  // Not no-referrer: with it a browser sends our own forms with the Origin null, which is nobody's.
  referrerPolicy: 'same-origin',
  strictTransportSecurity: false,
})

const uncached: MiddlewareHandler = async (c, next) => {
  await next()
  if (c.res.headers.get('cache-control') !== KEPT) c.res.headers.set('cache-control', 'no-store')
}
