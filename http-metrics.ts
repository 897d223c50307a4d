/** How relay and server count the requests that they answer. */
import type { ServerResponse } from 'node:http'
import { trace } from '@opentelemetry/api'
import type { Context, MiddlewareHandler } from 'hono'
import { matchedRoutes, routePath } from 'hono/route'
import { METRICS } from './metric-names.ts'
import { gauge, histogram, OTHER } from './metrics.ts'

const duration = histogram(METRICS.httpDuration)
const active = gauge(METRICS.httpActive)
/** Counted here, and told when asked: it changes twice with every request. */
const running = new Map<string, number>()
active.whenAsked(() => {
  for (const [method, requests] of running) active.set({ http_request_method: method }, requests)
})
for (const method of METRICS.httpActive.labels.http_request_method) running.set(method, 0)

/** The status of an answer that nobody waited for; no standard has one. */
const CLIENT_LEFT = 499
/** The route of what is at no address of ours. */
const NO_ROUTE = 'none'

export interface Answer {
  /** As a template: `/runs/{id}/events`. */
  route: string
  status: number
  synthetic: boolean
  traceId?: string | undefined
}

/** A request has come; to be called with what it was answered, when the last of that is sent. */
export function begin(method: string): (answer: Answer) => void {
  const beganAt = performance.now()
  const counted = running.has(method) ? method : OTHER
  running.set(counted, (running.get(counted) ?? 0) + 1)
  return ({ route, status, synthetic, traceId }) => {
    running.set(counted, (running.get(counted) ?? 0) - 1)
    const labels = { http_request_method: method, http_route: route, http_response_status_code: status, synthetic }
    duration.observe(labels, (performance.now() - beganAt) / 1_000, traceId)
  }
}

/**
 * Counts every request, to the end of its answer: that of a stream, too. To be used before everything else.
 * `synthetic` in the request's variables says that it is a check's.
 */
export const measured: MiddlewareHandler = async (c, next) => {
  const end = begin(c.req.method)
  // Where the answer closes, no span is the active one.
  const traceId = trace.getActiveSpan()?.spanContext().traceId
  const outgoing: ServerResponse | undefined = c.env?.outgoing
  const finish = (status: number) =>
    end({ route: routeOf(c) ?? NO_ROUTE, status, synthetic: c.get('synthetic') === true, traceId })
  outgoing?.once?.('close', () => finish(outgoing.headersSent ? outgoing.statusCode : CLIENT_LEFT))
  await next()
  if (!outgoing?.once) finish(c.res.status)
}

/** The template of what answered, or would have, had nobody before it; undefined where nothing would. */
export function routeOf(c: Context): string | undefined {
  const path = [routePath(c), matchedRoutes(c).at(-1)?.path].find((path) => path !== undefined && !path.endsWith('/*'))
  return path?.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}') || undefined
}
