/**
 * How long runs take, of every run: what the browser told, and what passes by here. What it told is never a label, and
 * is believed for a metric, no further.
 */
import type { HttpBindings } from '@hono/node-server'
import { trace } from '@opentelemetry/api'
import type { Context, MiddlewareHandler } from 'hono'
import { METRICS } from '../metric-names.ts'
import { counter, histogram } from '../metrics.ts'
import { type FailureCode, RunId } from '../server/contract.ts'
import { TIMINGS_HEADER, type Timing } from './timings-contract.ts'

const stages = histogram(METRICS.stageDuration, { stage: ['extract', 'request', 'deliver'] })
const runDuration = histogram(METRICS.runDuration)
const runs = counter(METRICS.runs)
const timingsTold = counter(METRICS.relayTimings)

const KNOWN: Record<Timing, true> = { extract: true, request: true, elapsed: true }
/** Longer than any run: the browser gives up after eight minutes. */
const MAX_MS = 600_000
const MAX_LENGTH = 100
/** Runs that are remembered, so that none counts twice. */
const MAX_RUNS = 10_000

interface Env {
  Bindings: Partial<HttpBindings>
  Variables: { synthetic?: boolean }
}
export type Timings = Partial<Record<Timing, number>>

/** Milliseconds by name; undefined when anything about it is not as it should be. */
export function readTimings(header: string): Timings | undefined {
  if (header.length > MAX_LENGTH) return undefined
  const timings: Timings = {}
  for (const part of header.split(',')) {
    const [, name, digits] = /^ ?([a-z]+)=(\d{1,6})$/.exec(part) ?? []
    if (name === undefined || !Object.hasOwn(KNOWN, name) || Object.hasOwn(timings, name)) return undefined
    if (Number(digits) > MAX_MS) return undefined
    timings[name as Timing] = Number(digits)
  }
  return timings
}

/** Remembers so many; the oldest goes. */
function createMemory(max: number) {
  const known = new Set<string>()
  return {
    has: (id: string) => known.has(id),
    /** Tells whether it is new. */
    add(id: string): boolean {
      if (known.has(id)) return false
      known.add(id)
      const [oldest] = known
      if (known.size > max && oldest !== undefined) known.delete(oldest)
      return true
    },
  }
}

/** What the browser told with this request, for the server. */
export function elapsedOf(c: Context): number | undefined {
  return (c.get('timings') as Timings | undefined)?.request
}

/** Says that the run has failed here, where the server does not know of it. */
export function failedHere(c: Context, code: FailureCode): void {
  c.set('failed', code)
}

/** What is used on the routes of a run, before anything that may refuse a request. */
export function createRunTimings(maxRuns = MAX_RUNS) {
  const begun = createMemory(maxRuns)
  const ended = createMemory(maxRuns)

  /** Undefined when nothing was told, or nothing that can be used. */
  function take(c: Context): Timings | undefined {
    const header = c.req.header(TIMINGS_HEADER)
    if (header === undefined) return undefined
    const timings = readTimings(header)
    if (!timings) timingsTold.add({ result: 'malformed' })
    c.set('timings', timings)
    return timings
  }

  /** Whether this run's are to be counted now. */
  function isFirst(memory: typeof begun, id: string): boolean {
    const first = memory.add(id)
    timingsTold.add({ result: first ? 'used' : 'repeated' })
    return first
  }

  /** POST /generate. A run that is refused or not reached the server with has ended, and here only that is known. */
  const ofGenerate: MiddlewareHandler = async (c, next) => {
    const id = runIdOf(c)
    const timings = take(c)
    await next()
    const synthetic = c.get('synthetic') === true
    const code: FailureCode | undefined = c.get('failed')
    const hasFailed = code !== undefined && !goesOn(code, id)
    if (hasFailed) runs.add({ outcome: 'failed', failure_code: code, synthetic }, 1, id)
    if (id === undefined) return
    if (timings && (c.res.ok || hasFailed) && isFirst(begun, id)) {
      const observe = (stage: 'extract' | 'request', ms: number | undefined) => {
        if (ms !== undefined) stages.observe({ stage, outcome: 'ok', synthetic }, ms / 1_000, id)
      }
      observe('extract', timings.extract)
      observe('request', timings.request)
    }
    if (!hasFailed) return
    ended.add(id)
    if (timings?.request === undefined) return
    runDuration.observe({ outcome: 'failed', synthetic }, timings.request / 1_000, id)
  }

  /** Whether the browser asks again after this, or has the run's end from elsewhere. */
  function goesOn(code: FailureCode, id: string | undefined): boolean {
    return code === 'interrupted' || (id !== undefined && (begun.has(id) || ended.has(id)))
  }

  /** GET /runs/{id}/resume.pdf. The run has ended when the last byte of it has left. */
  const ofPdf: MiddlewareHandler<Env> = async (c, next) => {
    const beganAt = performance.now()
    const id = c.req.param('id') ?? ''
    const elapsedMs = c.req.method === 'GET' && RunId.is(id) ? take(c)?.elapsed : undefined
    const count = (outcome: 'ok' | 'failed') => {
      if (elapsedMs === undefined || !isFirst(ended, id)) return
      const synthetic = c.get('synthetic') === true
      const seconds = (performance.now() - beganAt) / 1_000
      stages.observe({ stage: 'deliver', outcome, synthetic }, seconds, id)
      runDuration.observe({ outcome, synthetic }, elapsedMs / 1_000 + seconds, id)
    }
    c.env?.outgoing?.once?.('finish', () => {
      if (c.res.status === 200) count('ok')
      // Only of a run that has come by here: IDs are easily invented. After any other refusal the browser asks again.
      else if (c.res.status === 404 && begun.has(id)) count('failed')
    })
    await next()
  }

  return { ofGenerate, ofPdf }
}

/** The run that a POST /generate starts: its trace, as the server has it. */
function runIdOf(c: Context): string | undefined {
  const id =
    trace.getActiveSpan()?.spanContext().traceId ??
    /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(c.req.header('traceparent') ?? '')?.[1]
  return id !== undefined && RunId.is(id) ? id : undefined
}
