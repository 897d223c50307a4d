/** A relay that is killed over and over, at any moment, in front of a backend that fails: what is lost, what is sent twice. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startBackend, TAKEN, type Treatment } from '../fixtures/relay/backend.ts'
import { type RelayProcess, startRelay } from '../fixtures/relay/relay-process.ts'
import { createSentSpans, lookedUp, newTraceId } from '../fixtures/relay/sent-spans.ts'
import { closeOnSignal } from '../ops/closing.ts'
import { spansOf } from '../relay/otlp.ts'
import { openStore } from '../relay/store/store.ts'
import type { Measured } from './bench.ts'
import { percentile } from './percentile.ts'
import { atMost, none } from './target.ts'
import { logsBeingWritten, TEARS, type Tear, tear } from './torn-log.ts'

const SENDERS = 6
const SPANS_A_REQUEST = 4
/** So many traces begin with each life; one gets spans in three lives. */
const TRACES_A_LIFE = 100
const LIVES_OF_A_TRACE = 3
/** Of all spans. So late errors come by chance as well, and most traces never fail. */
const FAILED = 0.004
/** Traces of earlier lives that fail first thing in the next one: what was stored before becomes due then. */
const LATE_ERRORS = 8
/** A kill comes within so long of the first answer: from before the first commit is known of to long after. */
const LIFE_MS = 1_000
/** From the backend's recovery. The breaker alone may take half a minute. */
const RECOVERY_MS = 90_000
const HOUR_MS = 3_600_000
const TERMS = { retentionMs: 24 * HOUR_MS, keptMs: 720 * HOUR_MS, maxBytes: 5 * 1024 ** 3 }

/** Kills `runs` times, then lets the backend recover, and counts. */
export async function benchCrash(runs: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-crash-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  const forget = closeOnSignal(remove)
  // Nothing is taken that is not answered for: what is sent twice then is so because of a kill, and of nothing else.
  const backend = await startBackend(failHalf)
  try {
    const store = join(folder, 'store')
    const env = { RELAY_STORE: store, OTEL_EXPORTER_OTLP_ENDPOINT: backend.url }
    const spans = createSentSpans()
    const lives = createLives(spans)
    const torn = new Map<Tear, number>()
    for (let kill = 0; kill < runs; kill++) {
      await lives.live(await startRelay(env))
      const how = TEARS[Math.floor(kill / 2) % TEARS.length] as Tear
      // Every other kill takes the machine with it: what was not on the disk is torn.
      const logs = kill % 2 === 1 ? logsBeingWritten(store) : []
      for (const log of logs) if (tear(log, how)) torn.set(how, (torn.get(how) ?? 0) + 1)
      process.stderr.write(`\r  ${kill + 1} of ${runs} `)
    }
    const relay = await startRelay(env)
    const due = spans.due()
    backend.treatAs(() => TAKEN)
    const unforwarded = await backend.missing(due, RECOVERY_MS)
    const lost = await spans.missingFrom((traceId) => lookedUp(relay, traceId))
    const { forward } = await (await fetch(`${relay.url}/readyz`)).json()
    await relay.stop()
    const unkept = await missingWithoutHours(store, spans)
    const damaged = (await readdir(store)).filter((name) => name.endsWith('.corrupt')).length
    const { repeated, taken } = backend.repeats()
    const strays = [...spans.neverDue()].filter((spanId) => backend.arrived.has(spanId)).length
    return {
      results: {
        kills: runs,
        torn: Object.fromEntries(torn),
        killedAfterMs: { p50: percentile(lives.ages, 0.5), p99: percentile(lives.ages, 0.99) },
        spans: { sent: spans.sent.length, acknowledged: spans.acknowledged.length, due: due.size },
        traces: { failed: spans.failedTraces().size, failedInALaterLife: lives.lateErrors() },
        backend: { requests: backend.requests(), taken, repeated, forward },
      },
      targets: [
        none('acknowledged spans missing from the store', lost.length),
        none('due spans missing at the backend after it has recovered', unforwarded.size),
        none('acknowledged spans of failed traces missing from what is kept beyond the hours', unkept),
        none('spans at the backend that were not due', strays),
        none('files of the store that a kill has damaged', damaged),
        atMost('share of duplicates at the backend', repeated / taken, 0.1),
      ],
    }
  } finally {
    process.stderr.write('\n')
    await backend.close()
    await remove()
    forget()
  }
}

/** Half of the requests fail, in the ways that tell the sender nothing of a taken one. */
function failHalf(): Treatment {
  if (Math.random() < 0.5) return TAKEN
  if (Math.random() < 0.5) return { taken: false, answer: 'reset' }
  return { taken: false, answer: { status: 503, headers: { 'retry-after': '0' } } }
}

function createLives(spans: ReturnType<typeof createSentSpans>) {
  /** Traces by the life they began in, the newest last. */
  const begun: string[][] = []
  const late = new Set<string>()
  const ages: number[] = []

  function someTrace() {
    const from = begun.slice(-LIVES_OF_A_TRACE).flat()
    return { traceId: from[Math.floor(Math.random() * from.length)] ?? '', failed: Math.random() < FAILED }
  }

  /** Traces that nobody sends to any more and that have not failed. */
  function lateErrors() {
    const failed = spans.failedTraces()
    const old = begun.slice(0, -LIVES_OF_A_TRACE).flat()
    const known = new Set(spans.acknowledged.map(({ traceId }) => traceId))
    const sound = old.filter((traceId) => known.has(traceId) && !failed.has(traceId))
    return sound.slice(-LATE_ERRORS).map((traceId) => ({ traceId, failed: true }))
  }

  async function sendUntilDead(relay: RelayProcess): Promise<void> {
    while (await spans.send(relay, Array.from({ length: SPANS_A_REQUEST }, someTrace))) {}
  }

  return {
    ages,
    /** Traces whose only error came in a life after that of their other spans, and was answered for. */
    lateErrors: () => [...spans.failedTraces()].filter((traceId) => late.has(traceId)).length,

    /** Load on a relay until it is killed. */
    async live(relay: RelayProcess): Promise<void> {
      begun.push(Array.from({ length: TRACES_A_LIFE }, newTraceId))
      const errors = lateErrors()
      for (const { traceId } of errors) late.add(traceId)
      // The first answer, which a busy machine may take longer for than a life lasts.
      await spans.send(relay, errors.length > 0 ? errors : [someTrace()])
      const age = Math.random() * LIFE_MS
      ages.push(age)
      const killed = delay(age).then(relay.kill)
      await Promise.all([killed, ...Array.from({ length: SENDERS }, () => sendUntilDead(relay))])
    },
  }
}

/** How many acknowledged spans of failed traces are not found when every hour is gone. */
async function missingWithoutHours(folder: string, spans: ReturnType<typeof createSentSpans>): Promise<number> {
  const failed = spans.failedTraces()
  const later = Date.now() + TERMS.retentionMs + 2 * HOUR_MS
  const store = openStore(folder, TERMS, { now: () => later })
  try {
    await store.tend()
    const missing = await spans.missingFrom(async (traceId) => spansOf(store.trace(traceId)))
    const left = (await readdir(folder)).filter((name) => /^\d+-.*\.sqlite$/.test(name))
    if (left.length > 0) throw new Error(`Hours that should be gone: ${left.join(', ')}`)
    return missing.filter(({ traceId }) => failed.has(traceId)).length
  } finally {
    await store.close()
  }
}
