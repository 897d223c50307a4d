/** Tells the operator's endpoints how runs end, by Standard Webhooks: signed, again until it is taken, at least once. */

import { type Link, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { METRICS } from '../../metric-names.ts'
import { gauge, histogram } from '../../metrics.ts'
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_WEBHOOK_ATTEMPT,
  ATTR_WEBHOOK_OUTCOME,
  SPAN_WEBHOOK,
} from '../../names.ts'
import type { Ended, RunFacts } from '../runs.ts'
import type { Delivery, Message, Outbox } from './outbox.ts'
import { type PostOptions, post } from './post.ts'
import { judge, type Outcome, type Verdict } from './schedule.ts'
import { signature } from './signature.ts'

/** Attempts at once: one slow endpoint holds up nobody's run, and few others. */
const MAX_AT_ONCE = 8
/** Longest sleep: dead letters may be replayed from outside this process. */
const LOOK_AGAIN_MS = 30_000

const tracer = trace.getTracer('pass-ats.webhooks')
const duration = histogram(METRICS.webhookDuration)
const oldestPending = gauge(METRICS.webhookOldestPending)

/** The time, and a way to wait; a test has its own. */
export interface Clock {
  now(): number
  /** Calls back once, after so many milliseconds; returns how to prevent it. */
  after(ms: number, callback: () => void): () => void
}

const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref()
    return () => clearTimeout(timer)
  },
}

export interface WebhooksOptions {
  urls: readonly string[]
  /** The first and any others that are valid yet; each signs. */
  keys: readonly Buffer[]
  allowLoopback: boolean
  outbox: Outbox
  log: Logger
  clock?: Clock
  random?: () => number
  resolve?: PostOptions['resolve']
}

export class Webhooks {
  readonly #options: WebhooksOptions
  readonly #clock: Clock
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()
  #cancelWait: () => void = () => undefined
  /** Counts the times that it was looked what is due: only the last one says when to look again. */
  #looks = 0

  constructor(options: WebhooksOptions) {
    this.#options = options
    this.#clock = options.clock ?? SYSTEM_CLOCK
    const told = (error: unknown) => options.log.error({ err: error }, 'webhooks of other endpoints not looked at')
    Promise.resolve(options.outbox.keepOnly(options.urls)).catch(told)
    oldestPending.whenAsked(async () => {
      const since = await options.outbox.oldestWaiting()
      oldestPending.set({}, since === undefined ? 0 : Math.max(0, this.#clock.now() - since) / 1_000)
    })
  }

  /**
   * What is to be put into the outbox with the run's end. Undefined where nobody is told, as of a check's run: who is told
   * bills, mails, or counts people.
   */
  messageOf(run: RunFacts, end: Ended, endedAt: number): Message | undefined {
    if (this.#options.urls.length === 0 || run.synthetic) return undefined
    return { ...messageOf(run, end, endedAt), run: run.id, span: run.waitingSpanId }
  }

  /** Something was put into the outbox, for which so many others were given up. Sends it when whoever has put it is done. */
  added(lost: number): void {
    if (lost > 0) this.#options.log.error({ lost }, 'webhooks given up: too many wait')
    setImmediate(() => this.wake())
  }

  /** Sends what is due, and again whenever something is. */
  wake(): void {
    this.#cancelWait()
    if (this.#stopping.signal.aborted) return
    const look = ++this.#looks
    const later = (waitMs: number) => {
      if (look !== this.#looks || this.#stopping.signal.aborted) return
      this.#cancelWait = this.#clock.after(Math.min(waitMs, LOOK_AGAIN_MS), () => this.wake())
    }
    this.#sendDue().then(later, (error) => {
      this.#options.log.error({ err: error }, 'webhooks not read, will try again')
      later(LOOK_AGAIN_MS)
    })
  }

  /** Returns how long until the next is due, milliseconds. */
  async #sendDue(): Promise<number> {
    const { urls, outbox } = this.#options
    const now = this.#clock.now()
    const room = MAX_AT_ONCE - this.#underWay.size
    for (const delivery of room > 0 ? await outbox.due(now, room, this.#underWay.size) : []) {
      if (this.#underWay.size >= MAX_AT_ONCE || this.#stopping.signal.aborted) break
      const key = `${delivery.id} ${delivery.endpoint}`
      if (this.#underWay.has(key)) continue
      // A dead letter of an endpoint that was taken out, replayed.
      if (!urls.includes(delivery.endpoint)) {
        await outbox.dead(delivery, 'not_configured')
        continue
      }
      const attempt = this.#attempt(delivery).finally(() => {
        this.#underWay.delete(key)
        this.wake()
      })
      this.#underWay.set(key, attempt)
    }
    // What is due and not under way has found no room, and is looked at when one of those has ended.
    return ((await outbox.nextDueAfter(now)) ?? Number.POSITIVE_INFINITY) - now
  }

  /** Leaves what is under way: it is sent again by the next process. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancelWait()
    await Promise.all(this.#underWay.values())
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { keys, allowLoopback, random = Math.random, resolve, log } = this.#options
    const url = new URL(delivery.endpoint)
    const attempts = delivery.attempts + 1
    const span = startSpan(delivery, url, attempts)
    const beganAt = performance.now()
    try {
      const timestamp = Math.floor(this.#clock.now() / 1_000)
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'pass-ats-webhooks',
        'webhook-id': delivery.id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signature(keys, delivery.id, timestamp, delivery.body),
      }
      const { signal } = this.#stopping
      const outcome = await post(url, headers, delivery.body, { allowLoopback, signal, ...(resolve && { resolve }) })
      if (signal.aborted && 'error' in outcome) return
      const verdict = judge(outcome, attempts, random)
      recordVerdict(span, outcome, verdict)
      const labels = { event: JSON.parse(delivery.body).type, outcome: kindOf(outcome, verdict) }
      duration.observe(labels, (performance.now() - beganAt) / 1_000, delivery.run)
      await this.#write(delivery, verdict)
      const level = verdict.kind === 'taken' ? 'info' : verdict.kind === 'again' ? 'warn' : 'error'
      const reason = verdict.kind === 'taken' ? undefined : verdict.reason
      const { traceId, spanId } = span.spanContext()
      const ids = { trace_id: traceId, span_id: spanId, run: delivery.run }
      log[level]({ ...ids, endpoint: url.host, attempts, outcome: verdict.kind, reason }, 'webhook sent')
    } catch (error) {
      // The file cannot be written: it is sent once more, which is what at least once means.
      log.error({ err: error, run: delivery.run }, 'webhook not written down')
      await this.#patience()
    } finally {
      span.end()
    }
  }

  /** What cannot be written down would be sent in a loop. */
  #patience(): Promise<void> {
    return new Promise((resolve) => {
      this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true })
      this.#clock.after(LOOK_AGAIN_MS, resolve)
    })
  }

  async #write(delivery: Delivery, verdict: Verdict): Promise<void> {
    const { outbox, log } = this.#options
    const now = this.#clock.now()
    if (verdict.kind === 'taken') await outbox.taken(delivery)
    else if (verdict.kind === 'dead') {
      const lost = await outbox.dead(delivery, verdict.reason)
      if (lost > 0) log.error({ lost }, 'dead letters given up: there are too many')
    } else if (verdict.kind === 'gone') await outbox.disable(delivery.endpoint, now, verdict.reason)
    else {
      const dueAt = now + verdict.waitMs
      await outbox.again(delivery, verdict.reason, dueAt, verdict.throttled ? dueAt : undefined)
    }
  }
}

/** What an endpoint is told: nothing of who it was for, of the profile, the posting or the PDF's name. */
function messageOf(run: RunFacts, end: Ended, endedAt: number): { id: string; body: string } {
  const what =
    end.type === 'done'
      ? { type: 'run.finished', outcome: { pages: end.pages, sizeBytes: end.sizeBytes } }
      : {
          type: end.failure.code === 'cancelled' ? 'run.cancelled' : 'run.failed',
          outcome: { failureCode: end.failure.code },
        }
  const timestamp = new Date(endedAt).toISOString()
  const data = { runId: run.id, attempt: run.attempt, durationMs: endedAt - run.startedAt, ...what.outcome }
  return { id: `msg_${run.id}_${run.attempt}`, body: JSON.stringify({ type: what.type, timestamp, data }) }
}

/**
 * A trace of its own, linked to the run's: the last attempt is three days later, and a trace that goes on for so long
 * after its root has ended would never be whole.
 */
function startSpan({ run, span }: Delivery, url: URL, attempts: number): Span {
  const context = { traceId: run, spanId: span, traceFlags: TraceFlags.SAMPLED, isRemote: true }
  const links: Link[] = span ? [{ context }] : []
  const attributes = {
    [ATTR_WEBHOOK_ATTEMPT]: attempts,
    [ATTR_HTTP_REQUEST_METHOD]: 'POST',
    [ATTR_SERVER_ADDRESS]: url.hostname,
    [ATTR_SERVER_PORT]: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
  }
  return tracer.startSpan(SPAN_WEBHOOK, { kind: SpanKind.CLIENT, root: true, links, attributes }, ROOT_CONTEXT)
}

/** What the metric calls it. */
function kindOf(outcome: Outcome, verdict: Verdict): string {
  if (verdict.kind === 'taken') return 'ok'
  if (verdict.kind === 'gone') return 'disabled'
  if ('error' in outcome) return { timeout: 'timeout', address_refused: 'refused' }[outcome.error] ?? 'failed'
  if (verdict.kind === 'again' && verdict.throttled) return 'throttled'
  return outcome.status >= 400 && outcome.status < 500 ? 'refused' : 'failed'
}

function recordVerdict(span: Span, outcome: Outcome, verdict: Verdict): void {
  span.setAttribute(ATTR_WEBHOOK_OUTCOME, verdict.kind)
  if ('status' in outcome) span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, outcome.status)
  if (verdict.kind === 'taken') return
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.setAttribute(ATTR_ERROR_TYPE, verdict.reason)
}
