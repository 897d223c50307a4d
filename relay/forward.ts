/**
 * The forwarder: every stored request, in order, to the OTLP endpoint behind this relay, in its own encoding and bytes.
 *
 * At least once: the cursor moves after the answer, so a crash in between sends one request again, and backends drop
 * duplicates by span ID. It reads from the store and never from ingest, so a slow or dead backend costs nobody time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import type { ForwardConfig } from './config.ts'
import type { Log } from './log.ts'
import { CONTENT_TYPES } from './otlp.ts'
import type { Store, StoredRequest } from './store.ts'

/**
 * Says which relay forwards, so that it knows its own requests when they come back to it by another name or through a
 * proxy. A circle of several relays is not found by it: each sends its own.
 */
export const INSTANCE_HEADER = 'pass-ats-relay'

/** Where requests go, and who sends them. */
export interface Route extends ForwardConfig {
  /** Random, another one after each start. */
  instanceId: string
}

/** Waiting times, milliseconds. */
export interface Patience {
  /** Before the first repetition; doubles with each. */
  firstMs: number
  /** The longest wait, and how long the breaker stays open. */
  maxMs: number
  /** For an answer. */
  answerMs: number
}
const PATIENCE: Patience = { firstMs: 1_000, maxMs: 30_000, answerMs: 10_000 }
/** The longest Retry-After that is believed. */
const MAX_RETRY_AFTER_MS = 5 * 60_000
/** Failures in a row after which the breaker opens: then one attempt per `maxMs`, and no faster ones. */
const BREAKER_FAILURES = 5

export interface ForwardState {
  /** Open: the destination failed several times in a row and gets one attempt at a time. */
  breaker: 'closed' | 'open'
  forwarded: number
  /** Requests the destination refused for good. */
  skipped: number
  /** Requests that left the store, being too old, before they could be forwarded. */
  lost: number
}

export interface Forwarder {
  /** Tells that there may be something new. */
  wake(): void
  state(): ForwardState
  /** Sends what it can within `graceMs`, then stops for good. Resolves when nothing is in flight any more. */
  stop(graceMs: number): Promise<void>
}

type Outcome =
  | { kind: 'taken' }
  | { kind: 'refused'; status: number }
  | { kind: 'failed'; why: string; afterMs?: number }

/** Starts to forward. Failures are retried for as long as the store keeps the request. */
export function startForwarder(store: Store, config: Route, log: Log, patience = PATIENCE): Forwarder {
  const state: ForwardState = { breaker: 'closed', forwarded: 0, skipped: 0, lost: 0 }
  const destination = config.url
  const halt = new AbortController()
  let stopping = false
  let idle = false
  let failures = 0
  let interrupt = new AbortController()

  /** Sleeps until `wake` or `stop`, at most `ms`. */
  async function rest(ms: number | undefined): Promise<void> {
    interrupt = new AbortController()
    const { signal } = interrupt
    if (ms === undefined) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    } else {
      await delay(ms, undefined, { signal }).catch(() => {})
    }
  }

  async function run(): Promise<void> {
    let cursor = store.cursor(destination)
    while (!halt.signal.aborted) {
      const request = store.nextAfter(cursor)
      if (!request) {
        if (stopping) return
        idle = true
        await rest(undefined)
        idle = false
        continue
      }
      const outcome = await send(request)
      if (outcome.kind === 'failed') {
        onFailure(outcome.why)
        if (stopping) return
        await rest(outcome.afterMs ?? backoff())
        continue
      }
      if (state.breaker === 'open') log.info({ destination }, 'forwarding again')
      failures = 0
      state.breaker = 'closed'
      // Ids have no gaps but those that retention made.
      if (cursor > 0) state.lost += request.id - cursor - 1
      if (outcome.kind === 'taken') state.forwarded += 1
      else {
        state.skipped += 1
        log.error({ destination, status: outcome.status, request: request.id }, 'forwarded request refused, skipped')
      }
      cursor = request.id
      store.advance(destination, cursor)
    }
  }

  /** A store that cannot be read or written now is no reason to give up for ever. */
  async function keepRunning(): Promise<void> {
    for (;;) {
      try {
        return await run()
      } catch (error) {
        log.error({ err: error }, 'forwarder interrupted, will start again')
        if (stopping) return
        await rest(patience.maxMs)
      }
    }
  }

  function send(request: StoredRequest): Promise<Outcome> {
    // Suppressed: a span about forwarding spans would be stored and forwarded, for ever.
    return context.with(suppressTracing(context.active()), async (): Promise<Outcome> => {
      try {
        const response = await fetch(config.url, {
          method: 'POST',
          headers: {
            ...config.headers,
            'content-type': CONTENT_TYPES[request.encoding],
            'content-encoding': 'gzip',
            [INSTANCE_HEADER]: config.instanceId,
          },
          body: Buffer.from(request.body),
          signal: AbortSignal.any([halt.signal, AbortSignal.timeout(patience.answerMs)]),
        })
        await response.body?.cancel()
        if (response.ok) return { kind: 'taken' }
        if (response.status < 500 && response.status !== 429) return { kind: 'refused', status: response.status }
        return { kind: 'failed', why: String(response.status), afterMs: retryAfter(response) }
      } catch (error) {
        return { kind: 'failed', why: error instanceof Error ? error.name : 'unknown' }
      }
    })
  }

  function onFailure(why: string): void {
    failures += 1
    if (failures === 1) log.warn({ destination, why }, 'forwarding failed, will try again')
    if (failures < BREAKER_FAILURES || state.breaker === 'open') return
    state.breaker = 'open'
    log.error({ destination, why, failures }, 'forwarding breaker open')
  }

  /** Exponential with full jitter, so that relays which lost the same backend do not return to it together. */
  function backoff(): number {
    if (state.breaker === 'open') return patience.maxMs * (0.75 + Math.random() / 4)
    return Math.random() * Math.min(patience.maxMs, patience.firstMs * 2 ** (failures - 1))
  }

  const stopped = keepRunning()
  return {
    // Only an idle forwarder is woken: news must not cut short the wait after a failure.
    wake: () => {
      if (idle) interrupt.abort()
    },
    state: () => ({ ...state }),
    async stop(graceMs) {
      stopping = true
      interrupt.abort()
      const timer = setTimeout(() => halt.abort(), graceMs)
      await stopped
      clearTimeout(timer)
    },
  }
}

/** Milliseconds of a Retry-After header, in seconds or as a date; undefined when there is none. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('retry-after')
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}
