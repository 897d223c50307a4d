/** Look-ups: the support console, and the same trace as OTLP JSON. */
import { readFileSync } from 'node:fs'
import { type Context, Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import type { Match } from '../store/look-up.ts'
import type { Store } from '../store/store.ts'
import { diagnose } from './diagnosis.ts'
import { candidatesPage, lookUpPage } from './look-up.ts'
import { tracePage } from './trace.ts'
import { layOut } from './waterfall.ts'

/** Runs on the first page. */
const RECENT = 20

export interface Console {
  store: Store
  /** Makes the relay's own spans part of the store. */
  flushSpans: () => Promise<void>
  now: () => number
}

/** The routes /support, /support/{id} and /api/traces/{id}. */
export function createConsole({ store, flushSpans, now }: Console): Hono {
  const css = readFileSync(new URL('./console.css', import.meta.url), 'utf8')

  /** A trace ID as people paste it: any case, with spaces or dashes, whole or its beginning. */
  async function lookUp(input: string): Promise<{ id: string; match: Match | { kind: 'malformed' } }> {
    const id = input.replace(/[\s-]/g, '').toLowerCase()
    if (!/^[0-9a-f]{8,32}$/.test(id)) return { id, match: { kind: 'malformed' } }
    await flushSpans()
    return { id, match: store.find(id) }
  }

  const recent = () => store.recent(RECENT).map((trace) => ({ ...trace, stay: store.stay(trace.traceId) }))
  const problem = (c: Context, status: 400 | 404, id: string, message: string) =>
    c.html(lookUpPage(recent(), now(), { id, message }), status)
  const MALFORMED = 'A trace ID has 32 digits from 0 to 9 and a to f; at least the first 8 are needed.'
  const UNKNOWN = 'No run with this ID is here. Runs are kept for a limited time.'

  return new Hono()
    .use(
      '/support/*',
      secureHeaders({
        contentSecurityPolicy: {
          defaultSrc: ["'none'"],
          styleSrc: ["'self'"],
          formAction: ["'self'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
        },
        xFrameOptions: 'DENY',
        referrerPolicy: 'no-referrer',
        strictTransportSecurity: false,
      }),
      async (c, next) => {
        await next()
        c.res.headers.set('cache-control', 'no-store')
      },
    )
    .get('/support', async (c) => {
      const input = c.req.query('id')
      if (input === undefined) return c.html(lookUpPage(recent(), now()))
      const { id, match } = await lookUp(input)
      return match.kind === 'malformed' ? problem(c, 400, input, MALFORMED) : c.redirect(`/support/${id}`, 303)
    })
    .get('/support/console.css', (c) => c.body(css, 200, { 'content-type': 'text/css; charset=utf-8' }))
    .get('/support/:id', async (c) => {
      const { id, match } = await lookUp(c.req.param('id'))
      if (match.kind === 'malformed') return problem(c, 400, c.req.param('id'), MALFORMED)
      if (match.kind === 'unknown') return problem(c, 404, id, UNKNOWN)
      if (match.kind === 'ambiguous') return c.html(candidatesPage(id, match.candidates), 300)
      const trace = store.trace(match.traceId)
      const waterfall = layOut(trace)
      const stay = store.stay(match.traceId)
      return c.html(tracePage(match.traceId, waterfall, diagnose(waterfall), stay, now(), trace.truncated))
    })
    .get('/api/traces/:id', async (c) => {
      const { match } = await lookUp(c.req.param('id'))
      c.header('cache-control', 'no-store')
      if (match.kind === 'malformed') return c.json({ error: { code: 'trace_id_malformed', message: MALFORMED } }, 400)
      if (match.kind === 'unknown') return c.json({ error: { code: 'trace_not_found', message: UNKNOWN } }, 404)
      if (match.kind === 'ambiguous') {
        const message = 'More than one trace begins with these digits.'
        return c.json({ error: { code: 'trace_id_ambiguous', message, candidates: match.candidates } }, 409)
      }
      const { resourceSpans, truncated } = store.trace(match.traceId)
      return c.json({ resourceSpans, ...(truncated ? { truncated } : {}) })
    })
}
