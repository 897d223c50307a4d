/**
 * The way to the server: five routes, streamed in both directions, with the trace's context.
 *
 * The HTTP and fetch instrumentations make the spans: SERVER for what came in, CLIENT for what went out, each as long
 * as its stream. Here only what they cannot know is added: the route, and why a run failed at this hop.
 */

import type { HttpBindings } from '@hono/node-server'
import { context, type Span, SpanStatusCode, trace } from '@opentelemetry/api'
import { getRPCMetadata } from '@opentelemetry/core'
import { type Context, Hono } from 'hono'
import { proxy } from 'hono/proxy'
import type { Breaker, BreakerSettings, Outcome } from '../breaker.ts'
import { ATTR_ERROR_TYPE, ATTR_FAILURE_CODE } from '../names.ts'
import { type ErrorBody, FAILURES, type FailureCode, RunId } from '../server/contract.ts'
import {
  ELAPSED_HEADER,
  INSTALL_HEADER,
  REQUEST_ID_HEADER,
  SERVER_KEY_HEADER,
  SYNTHETIC_HEADER,
} from '../server/relay-contract.ts'
import { MAX_COMPILE_BYTES, MAX_GENERATE_BYTES } from '../server/request-contract.ts'
import { callerOf } from './access/access.ts'
import { allowedBaggage } from './baggage.ts'
import { BodyTooLarge, bounded } from './bounded-body.ts'
import type { Log } from './log.ts'
import { requestIdOf } from './request-id.ts'
import { elapsedOf, failedHere } from './run-timings.ts'

/** How long the server may take to the first byte of its answer, milliseconds. */
export interface Deadlines {
  answerMs: number
  /** POST /compile answers when the PDF is made. */
  compileMs: number
}
const DEADLINES: Deadlines = { answerMs: 15_000, compileMs: 150_000 }

/** Short, because a server that starts anew takes about a second. */
export const SERVER_BREAKER: BreakerSettings = { guards: 'server', openMs: 2_000 }

/** The only request headers that travel on: no cookies, no credentials, no addresses. */
const PASSED_ON = ['content-type', 'accept', 'last-event-id']
/** Added by the instrumentation when there is a span; passed on when telemetry is off. */
const CONTEXT = ['traceparent', 'tracestate']
/** The only headers of answers that travel back. */
const PASSED_BACK = [
  'content-type',
  'content-length',
  'content-disposition',
  'cache-control',
  'retry-after',
  'x-accel-buffering',
]

/** Where requests go on to, and what is known of it. */
export interface Upstream {
  serverUrl: string
  /** What the server knows its relay by. */
  serverKey: string | undefined
  breaker: Breaker
}

/** The server did not answer in time. */
class DeadlineExceeded extends Error {
  override name = 'DeadlineExceeded'
  /** What the instrumentation records as error.type. */
  code = 'deadline_exceeded'
}

type Env = { Bindings: Partial<HttpBindings> }
interface Hop {
  route: string
  deadlineMs: number
  /** Largest request body, bytes; 0 for none. */
  maxBytes: number
}

/** Whether a request is for one of the proxied routes; only these are traced. */
export function isProxied(method: string | undefined, path: string | undefined): boolean {
  if (method === 'POST') return /^\/(generate|compile|runs\/[0-9a-f]{32}\/cancel)(\?|$)/.test(path ?? '')
  return method === 'GET' && /^\/runs\/[0-9a-f]{32}\/(events|resume\.pdf)(\?|$)/.test(path ?? '')
}

/**
 * Aborts with the client that leaves, with the reason that fetch's instrumentation knows: who leaves a stream has not made an
 * error. A function of its own, so that what listens holds nothing else: fetch keeps the signals of requests until these are
 * collected, and through a listener that knew the request they never would be.
 */
function whenLeft(client: AbortSignal): AbortController {
  const left = new AbortController()
  const leave = () => left.abort()
  client.addEventListener('abort', leave, { once: true })
  // While its token was looked at: of what has happened no listener hears.
  if (client.aborted) leave()
  return left
}

/** The proxied routes. `shutdown` ends their streams properly, so that clients reconnect instead of seeing an error. */
export function createProxy(upstream: Upstream, shutdown: AbortSignal, log: Log, deadlines = DEADLINES): Hono<Env> {
  const { serverUrl, serverKey, breaker } = upstream

  async function pass(c: Context<Env>, hop: Hop): Promise<Response> {
    const metadata = getRPCMetadata(context.active())
    if (metadata) metadata.route = hop.route
    const span = trace.getActiveSpan()
    const id = c.req.param('id')
    if (id !== undefined && !RunId.is(id)) return fail(c, span, 'run_not_found', 'malformed_id')
    if (Number(c.req.header('content-length')) > hop.maxBytes) return fail(c, span, 'request_too_large', 'BodyTooLarge')

    const { waitMs, done } = breaker.enter()
    if (waitMs > 0) {
      c.header('retry-after', String(Math.ceil(waitMs / 1_000)))
      return fail(c, span, 'server_unreachable', 'breaker_open')
    }

    let outcome: Outcome = 'neither'
    const left = whenLeft(c.req.raw.signal)
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(new DeadlineExceeded('No answer in time.')), hop.deadlineMs)
    try {
      const response = await proxy(`${serverUrl}${c.req.path}${passedQuery(c)}`, {
        method: c.req.method,
        headers: { ...passedOn(c, span !== undefined), ...ownHeaders(c) },
        ...(hop.maxBytes > 0 && c.req.raw.body ? { body: bounded(c.req.raw.body, hop.maxBytes), duplex: 'half' } : {}),
        redirect: 'manual',
        // Aborted by the client that leaves, at once and before or after the headers; the work behind stops too.
        signal: AbortSignal.any([left.signal, deadline.signal, shutdown]),
      })
      outcome = 'answered'
      if (response.status === 401) {
        await response.body?.cancel()
        log.error({ request_id: requestIdOf(c) }, 'the server does not take this relay\u2019s SERVER_KEY')
        return fail(c, span, 'server_unreachable', 'server_key_refused')
      }
      if (response.status >= 500) span?.setAttribute(ATTR_ERROR_TYPE, String(response.status))
      // The end of the relay ends the stream; an error of the server cuts it.
      const onError = (error: unknown) => shutdown.aborted || cut(c, span, error)
      return new Response(response.body && passOn(response.body, onError), {
        status: response.status,
        headers: passedBack(response.headers),
      })
    } catch (error) {
      if (isTooLarge(error)) return fail(c, span, 'request_too_large', 'BodyTooLarge')
      // Nobody is there to read it. 499 is what proxies log for it; no status of the standard says so.
      if (left.signal.aborted) return new Response(null, { status: 499 })
      if (shutdown.aborted) return fail(c, span, 'interrupted', 'shutdown')
      outcome = 'failed'
      return fail(c, span, 'server_unreachable', errorType(error))
    } finally {
      done(outcome)
      clearTimeout(timer)
    }
  }

  /** The server broke off in the middle: so does the answer, because an end would look like the whole of it. */
  function cut(c: Context<Env>, span: Span | undefined, error: unknown): void {
    if (c.req.raw.signal.aborted) return
    span?.setAttribute(ATTR_ERROR_TYPE, errorType(error)).setStatus({ code: SpanStatusCode.ERROR })
    log.warn({ request_id: requestIdOf(c), error_type: errorType(error) }, 'server broke off')
    c.env.outgoing?.destroy()
  }

  function fail(c: Context<Env>, span: Span | undefined, code: FailureCode, type: string): Response {
    const { status, message, advice } = FAILURES[code]
    failedHere(c, code)
    span?.setAttributes({ [ATTR_FAILURE_CODE]: code, [ATTR_ERROR_TYPE]: type })
    // An answer of 4xx is the caller's error: the status stays unset (HTTP conventions, "Status").
    if (status >= 500) span?.setStatus({ code: SpanStatusCode.ERROR })
    log.warn({ request_id: requestIdOf(c), failure: code, error_type: type }, 'request failed at the relay')
    return c.json({ error: { code, message, advice } } satisfies ErrorBody, status)
  }

  /** What the relay itself says to the server. */
  function ownHeaders(c: Context<Env>): Record<string, string> {
    const caller = callerOf(c)
    const elapsedMs = elapsedOf(c)
    return {
      [REQUEST_ID_HEADER]: requestIdOf(c),
      ...(serverKey === undefined ? {} : { [SERVER_KEY_HEADER]: serverKey }),
      ...(caller?.kind === 'install' ? { [INSTALL_HEADER]: caller.id } : {}),
      ...(caller?.kind === 'install' && caller.synthetic !== undefined ? { [SYNTHETIC_HEADER]: 'true' } : {}),
      ...(elapsedMs === undefined ? {} : { [ELAPSED_HEADER]: String(elapsedMs) }),
    }
  }

  const { answerMs, compileMs } = deadlines
  return new Hono<Env>()
    .post('/generate', (c) => pass(c, { route: '/generate', deadlineMs: answerMs, maxBytes: MAX_GENERATE_BYTES }))
    .post('/compile', (c) => pass(c, { route: '/compile', deadlineMs: compileMs, maxBytes: MAX_COMPILE_BYTES }))
    .post('/runs/:id/cancel', (c) => pass(c, { route: '/runs/{id}/cancel', deadlineMs: answerMs, maxBytes: 0 }))
    .get('/runs/:id/events', (c) => {
      // A GET handler gets HEAD, too. A stream without a body would go on at the server with nobody to leave it.
      if (c.req.method === 'HEAD') return new Response(null, { status: 405, headers: { allow: 'GET' } })
      return pass(c, { route: '/runs/{id}/events', deadlineMs: answerMs, maxBytes: 0 })
    })
    .get('/runs/:id/resume.pdf', (c) => pass(c, { route: '/runs/{id}/resume.pdf', deadlineMs: answerMs, maxBytes: 0 }))
}

/** The one parameter of a query that a route of the server has: which file of an archive POST /compile starts with. */
function passedQuery(c: Context<Env>): string {
  const main = c.req.path === '/compile' ? c.req.query('main') : undefined
  return main === undefined ? '' : `?${new URLSearchParams({ main })}`
}

function passedOn(c: Context<Env>, traced: boolean): Record<string, string> {
  const given = Object.fromEntries(
    [...PASSED_ON, ...(traced ? [] : CONTEXT)].flatMap((name) => {
      const value = c.req.header(name)
      return value ? [[name, value]] : []
    }),
  )
  const baggage = traced ? undefined : allowedBaggage(c.req.header('baggage'))
  return { ...given, ...(baggage ? { baggage } : {}) }
}

function passedBack(headers: Headers): Headers {
  const passed = PASSED_BACK.flatMap((name): [string, string][] => {
    const value = headers.get(name)
    return value === null ? [] : [[name, value]]
  })
  return new Headers(passed)
}

/** Passes every chunk on as it comes. Not the stream itself: the adapter would print its errors to stderr. */
function passOn(source: ReadableStream<Uint8Array>, onError: (error: unknown) => void): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        onError(error)
        controller.close()
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

function isTooLarge(error: unknown): boolean {
  return error instanceof BodyTooLarge || (error instanceof Error && error.cause instanceof BodyTooLarge)
}

/** A low-cardinality name: the system's code (ECONNREFUSED) where fetch has one, else the class. */
function errorType(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code
  return cause instanceof Error ? cause.name : 'unknown'
}
