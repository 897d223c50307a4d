/**
 * The forwarder: the spans of every trace that is due, in order, to the OTLP endpoint behind this relay.
 *
 * At least once: the cursor moves after the answer, so a crash in between sends a batch again, and backends drop
 * duplicates by span ID. It reads from the store and never from ingest, so a slow or dead backend costs nobody time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { BreakerState } from '../../breaker.ts'
import { METRICS } from '../../metric-names.ts'
import { counter, gauge } from '../../metrics.ts'
import type { ForwardConfig } from '../config.ts'
import type { Log } from '../log.ts'
import type { Letter } from '../store/kept.ts'
import type { Store } from '../store/store.ts'
import { type Batch, batchesAfter, type Cutting, joined } from './batch.ts'
import { createBreaker, type Patience } from './breaker.ts'
import { createSend, type Outcome } from './destination.ts'

/** Where requests go, and who sends them. */
export interface Route extends ForwardConfig {
  /** Random, another one after each start. */
  instanceId: string
}

const behind = gauge(METRICS.relayBehind)
const spansBy = counter(METRICS.relaySpans)

const PATIENCE: Patience = { firstMs: 1_000, maxMs: 30_000 }
/** Letters that wait for a disk which takes no write. With more than these, it is waited for. */
const MAX_UNWRITTEN_LETTERS = 100

export interface ForwardState {
  breaker: BreakerState
  /** Spans that the destination has taken, and that it has refused for good; those sent twice count twice. */
  forwarded: number
  refused: number
  /** Spans that left the store before they could be forwarded, or could not be read in it any more. */
  lost: number
}

export interface Forwarder {
  /** Tells that there may be something new. */
  wake(): void
  state(): ForwardState
  /** Sends what it can within `graceMs`, then stops for good. Resolves when nothing is in flight any more. */
  stop(graceMs: number): Promise<void>
}

/** What a test has in its own hands. */
export interface Timing extends Patience {
  now: () => number
  /** Resolves after `ms`, or sooner when the signal says so. */
  rest: (ms: number, signal: AbortSignal) => Promise<void>
}
const TIMING: Timing = {
  ...PATIENCE,
  now: Date.now,
  rest: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}),
}

/** Starts to forward. Failures are retried for as long as the store has what is due. */
export function startForwarder(store: Store, route: Route, log: Log, timing = TIMING): Forwarder {
  const destination = route.url
  const halt = new AbortController()
  const send = createSend(route, route.instanceId, halt.signal, timing.now)
  const breaker = createBreaker(timing)
  let forwarded = 0
  let refused = 0
  let unreadable = 0
  let stopping = false
  let idle = false
  let news = false
  let interrupt = new AbortController()
  let unwritten: Letter[] = []

  const cutting: Cutting = {
    protocol: route.protocol,
    onUnreadable(error, spans) {
      unreadable += spans
      spansBy.add({ result: 'dropped', reason: 'unreadable' }, spans)
      log.error({ err: error, spans }, 'spans in the store cannot be read, not forwarded')
    },
  }

  /** Rests until `wake` or `stop`. */
  async function rest(): Promise<void> {
    interrupt = new AbortController()
    const { signal } = interrupt
    idle = true
    if (!news && !stopping) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    }
    idle = false
    news = false
  }

  /** Waits `ms`, or until `stop`. */
  async function wait(ms: number): Promise<void> {
    interrupt = new AbortController()
    if (!stopping) await timing.rest(ms, interrupt.signal)
  }

  async function run(): Promise<void> {
    let cursor = store.cursor(destination)
    while (!halt.signal.aborted) {
      let found = false
      for await (const batch of batchesAfter(store, cursor, cutting)) {
        found = true
        if (batch.parts.length > 0 && !(await deliver(batch))) return
        cursor = batch.cursor ?? cursor
        if (batch.cursor) await note(batch.cursor)
      }
      if (found) continue
      if (stopping) return
      await rest()
    }
  }

  /** Sends until there is an answer that settles it; false when it has stopped before. */
  async function deliver(batch: Batch): Promise<boolean> {
    const body = joined(batch)
    const outcome = await settle(body, batch)
    if (!outcome) return false
    const spans = batch.parts.reduce((sum, part) => sum + part.spans, 0)
    if (outcome.kind === 'taken') {
      // It does not say which, so that there is nothing to be a dead letter.
      const rejected = Math.min(outcome.rejected, spans)
      forwarded += spans - rejected
      refused += rejected
      spansBy.add({ result: 'forwarded', reason: 'none' }, spans - rejected)
      spansBy.add({ result: 'dropped', reason: 'refused_by_backend' }, rejected)
      if (rejected > 0) log.error({ destination, spans: rejected }, 'spans refused for good, the others taken')
      return true
    }
    if (batch.parts.length > 1) {
      // One of them is the reason; the others are none the worse for it.
      for (const part of batch.parts) if (!(await deliver({ ...batch, parts: [part] }))) return false
      return true
    }
    refused += spans
    spansBy.add({ result: 'dropped', reason: 'refused_by_backend' }, spans)
    const { status, reason } = outcome
    const { encoding } = batch
    unwritten.push({ destination, refusedAt: timing.now(), status, reason, encoding, spans, body: gzipSync(body) })
    log.error({ destination, status, spans }, 'spans refused for good, now a dead letter')
    return true
  }

  async function settle(body: Uint8Array, { encoding }: Batch) {
    for (;;) {
      breaker.attempt()
      const outcome = await send(body, encoding)
      if (outcome.kind !== 'failed') {
        if (breaker.succeeded()) log.info({ destination }, 'forwarding again')
        return outcome
      }
      tell(outcome)
      if (stopping) return undefined
      await wait(outcome.afterMs ?? breaker.waitMs())
    }
  }

  function tell({ why }: Outcome & { kind: 'failed' }): void {
    const opened = breaker.failed()
    const failures = breaker.failures()
    if (failures === 1) log.warn({ destination, why }, 'forwarding failed, will try again')
    if (opened) log.error({ destination, why, failures }, 'forwarding breaker open')
  }

  /** A disk that takes no write is no reason to stop: after a crash, more is sent twice. Letters are not let go, though. */
  async function note(cursor: { file: number; seq: number }): Promise<void> {
    for (;;) {
      const letters = unwritten
      try {
        await store.advance(destination, cursor, letters)
        unwritten = []
        return
      } catch (error) {
        log.error({ err: error, destination }, 'forward cursor not written')
        if (stopping || letters.length < MAX_UNWRITTEN_LETTERS) return
        await wait(timing.maxMs)
      }
    }
  }

  /** A store that cannot be read now is no reason to give up for ever. */
  async function keepRunning(): Promise<void> {
    for (;;) {
      try {
        return await run()
      } catch (error) {
        log.error({ err: error }, 'forwarder interrupted, will start again')
        if (stopping) return
        await wait(timing.maxMs)
      }
    }
  }

  behind.whenAsked(() => behind.set({}, store.entriesBeyond(store.cursor(destination))))
  const stopped = keepRunning()
  return {
    // Only an idle forwarder is woken: news must not cut short the wait after a failure.
    wake: () => {
      news = true
      if (idle) interrupt.abort()
    },
    state: () => ({ breaker: breaker.state(), forwarded, refused, lost: store.losses().unforwarded + unreadable }),
    async stop(graceMs) {
      stopping = true
      interrupt.abort()
      const timer = setTimeout(() => halt.abort(), graceMs)
      await stopped
      clearTimeout(timer)
    },
  }
}
