/**
 * The runs of any number of servers, in one Redis: whichever is asked serves what any has made, and works on whatever is
 * next. A server that dies leaves its runs to the others; what ends a run is one script, so that it ends once.
 */

import { Readable } from 'node:stream'
import { type Context, propagation, ROOT_CONTEXT, type SpanContext } from '@opentelemetry/api'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { METRICS } from '../../metric-names.ts'
import { gauge } from '../../metrics.ts'
import { connectPatiently, connectRedis } from '../../redis.ts'
import { Failure, type Stop } from '../failure.ts'
import { PDF_LIFE_MS } from '../leftovers.ts'
import type { GenerateRequest } from '../request-contract.ts'
import { countEnd } from '../run-counts.ts'
import {
  type Ended,
  IDS_PER_ATTEMPT,
  isEnd,
  type KnownRun,
  MAX_ATTEMPTS,
  type Numbered,
  type Order,
  RUN_MS,
  type RunFacts,
  type Runs,
  type Work,
} from '../runs.ts'
import { MAX_DEAD, MAX_WAITING, type Message } from '../webhooks/outbox.ts'
import { Attempt } from './attempt.ts'
import { Line } from './line.ts'
import { News } from './news.ts'
import { OUTBOX } from './outbox.ts'
import { keysOf, OPEN, RUN_PREFIX, RUNS, RunRecord, readAfter, sealEvent } from './run-record.ts'
import { reached, type Script, scriptOn } from './scripts.ts'
import type { Seal } from './sealed.ts'

const active = gauge(METRICS.runsActive)

/** Runs under way at most, of all servers: with 512 KiB of request each, 512 MiB, and mostly a twentieth of it. */
const MAX_OPEN = 1_000
/** How often servers may begin to work on one posting of a run: one that kills them must not kill them all. */
const MAX_CLAIMS = 3
/** What is ordered goes with the run's end; and by itself so long after that was due. */
const ORDER_SPARE_MS = 60_000
/** A run that nobody ends in time is ended by whoever sees it first. */
const SWEEP_MS = 5_000
const SWEEP_AT_ONCE = 100
/** Looked at without being told: what is told may be lost, and places in the line are not. */
const LOOK_WAITING_MS = 500
const LOOK_MS = 5_000
/** A stream goes on for so long without Redis; then its browser asks again, and is told. */
const AWAY_MS = 20_000

export interface RedisRunsOptions {
  url: string
  seal: Seal
  log: Logger
  /** Runs remembered at most. */
  maxRuns: number
  /** Runs that this server works on at once. */
  atOnce: number
  /** What endpoints are told of an end; undefined when it is nothing. */
  messageOf?: (run: RunFacts, end: Ended, endedAt: number) => Message | undefined
  endpoints?: readonly string[]
  /** Hears that there is something to send. */
  onMessage?: (lost: number) => void
  runMs?: number
}

export class RedisRuns implements Runs {
  readonly commands: Redis
  readonly #listening: Redis
  readonly #options: RedisRunsOptions
  readonly #runMs: number
  readonly #news: News
  readonly #line: Line
  readonly #scripts: Record<'begin' | 'claim' | 'append' | 'end' | 'publish', Script>
  readonly #underWay = new Set<Attempt>()
  readonly #sweeping: NodeJS.Timeout
  #taking: Redis | undefined
  #stopped = false

  constructor(options: RedisRunsOptions) {
    this.#options = options
    this.#runMs = options.runMs ?? RUN_MS
    this.commands = connectRedis(options.url, (reachable, code) => {
      if (reachable) options.log.info('redis is there')
      else options.log.error({ code }, 'redis cannot be reached, will try again')
    })
    this.#listening = connectPatiently(options.url)
    this.#news = new News(this.#listening)
    this.#line = new Line(this.commands, options.log)
    const script = (name: string) => scriptOn(this.commands, name)
    this.#scripts = {
      ...{ begin: script('begin'), claim: script('claim'), append: script('append') },
      ...{ end: script('end'), publish: script('publish') },
    }
    active.whenAsked(() => active.set({}, this.#underWay.size))
    this.#sweeping = setInterval(() => this.#sweep().catch(() => undefined), SWEEP_MS).unref()
  }

  workWith(work: Work): void {
    this.#taking = connectPatiently(this.#options.url)
    this.#line.take(this.#options.atOnce, this.#taking, (id) => this.#take(id, work))
  }

  async find(id: string): Promise<RunRecord | undefined> {
    const fields = await reached(this.commands.hgetall(keysOf(id).run))
    if (fields.owner === undefined) return undefined
    return new RunRecord(id, fields, this.#options.seal, (...of) => this.#follow(...of))
  }

  async begin(order: Order): Promise<{ run: RunRecord; replayed: boolean }> {
    if (this.#stopped) throw new Failure('interrupted')
    const { id, owner, origin } = order
    const { run, events, order: kept, pdf } = keysOf(id)
    const now = Date.now()
    const begun = await reached(
      this.#scripts.begin(
        [run, events, kept, pdf, OPEN, RUNS],
        [
          ...[id, owner, now, now + this.#runMs, MAX_OPEN, this.#options.maxRuns, MAX_ATTEMPTS, PDF_LIFE_MS],
          ...[this.#sealOrder(order), this.#runMs + ORDER_SPARE_MS],
          ...[origin.requestId ?? '', origin.waitingSpanId ?? '', origin.elapsedMs ?? '', RUN_PREFIX],
        ],
      ),
    )
    // Of another's run not even that it exists.
    if (begun === 'other') throw new Failure('run_not_found', { reason: 'other_install' })
    if (begun === 'full') throw new Failure('overloaded')
    const known = await this.find(id)
    if (!known) throw new Failure('runs_unavailable', { reason: 'evicted' })
    // Also where it was begun before: a server may have died, or lost its Redis, between the two.
    if (!known.end && known.claims === 0) await reached(this.#line.add(id, known.attempt))
    return { run: known, replayed: begun === 'known' }
  }

  async stop(run: KnownRun, code: Stop): Promise<KnownRun> {
    let known: RunRecord | undefined
    do {
      known = await this.find(run.id)
      if (!known) throw new Failure('run_not_found')
      if (known.end) return known
      // Once more where another server has begun the next attempt meanwhile.
    } while (!(await reached(this.#end(known, { type: 'failed', failure: new Failure(code).toBody() }))))
    return (await this.find(run.id)) ?? known
  }

  async pdfOf({ id }: KnownRun): Promise<{ sizeBytes: number; content: Readable } | undefined> {
    const sealed = await reached(this.commands.getBuffer(keysOf(id).pdf))
    if (!sealed) return undefined
    const pdf = this.#options.seal.open(`pdf of ${id}`, sealed)
    return { sizeBytes: pdf.length, content: Readable.from([pdf]) }
  }

  async leave(): Promise<void> {
    this.#stopped = true
    const left = this.#line.leave()
    for (const attempt of this.#underWay) attempt.giveUp()
    await left
  }

  async reachable(): Promise<boolean> {
    return this.commands.ping().then(
      () => true,
      () => false,
    )
  }

  /** Lets every connection go. */
  async close(): Promise<void> {
    clearInterval(this.#sweeping)
    await this.#line.close().catch(() => undefined)
    for (const redis of [this.commands, this.#listening, this.#taking]) redis?.disconnect()
  }

  /** Works on a run whose turn it is. False when another server is to go on with it. */
  async #take(id: string, work: Work): Promise<boolean> {
    const { run, events, order } = keysOf(id)
    const claimed = await this.#scripts.claim([run, events, order], [MAX_CLAIMS])
    if (claimed === 'ended') return true
    const record = await this.find(id)
    if (!record) return true
    if (claimed === 'enough') {
      await this.stop(record, 'interrupted')
      return true
    }
    const sealed = await this.commands.getBuffer(order)
    if (!sealed) return true
    const attempt = new Attempt(
      record,
      {
        append: async (by, event) => {
          if (isEnd(event)) return this.#end(by, event)
          const sealedEvent = sealEvent(this.#options.seal, id, event)
          const args = [by.attempt, IDS_PER_ATTEMPT, event.type, sealedEvent, PDF_LIFE_MS]
          return (await this.#scripts.append([run, events], args)) === 1
        },
        publish: async (by, pdf) => {
          const args = [by.attempt, this.#options.seal.close(`pdf of ${id}`, pdf), PDF_LIFE_MS]
          return (await this.#scripts.publish([run, keysOf(id).pdf], args)) === 1
        },
      },
      this.#options.log,
    )
    return this.#workOn(attempt, this.#openOrder(record, sealed), work)
  }

  async #workOn(attempt: Attempt, order: Order, work: Work): Promise<boolean> {
    const look = async () => {
      const now = await this.find(attempt.id).catch(() => attempt)
      if (now?.attempt !== attempt.attempt) attempt.giveUp()
      else if (now.end && now !== attempt) attempt.endedWith(now.end)
    }
    const notListening = this.#news.listen(keysOf(attempt.id).run, () => void look())
    const late = async () => {
      await this.stop({ id: attempt.id } as KnownRun, 'overloaded').catch(() => undefined)
      await look()
      attempt.giveUp()
    }
    const deadline = setTimeout(late, Math.max(0, this.#runMs - attempt.ageMs)).unref()
    this.#underWay.add(attempt)
    try {
      // What has happened since the run was claimed was told to nobody.
      await look()
      if (this.#stopped) attempt.giveUp()
      await work(attempt, order)
      await attempt.written()
      return !(this.#stopped && attempt.isGivenUp)
    } finally {
      this.#underWay.delete(attempt)
      clearTimeout(deadline)
      notListening()
    }
  }

  /** Whether this was its end. Throws what Redis throws. */
  async #end(run: RunFacts & { elapsedMs?: number | undefined }, end: Ended): Promise<boolean> {
    const { id, attempt, synthetic } = run
    const keys = keysOf(id)
    const endedAt = Date.now()
    const code = end.type === 'failed' ? end.failure.code : undefined
    const { messageOf, endpoints = [], onMessage, seal } = this.#options
    const message = endpoints.length > 0 ? messageOf?.(run, end, endedAt) : undefined
    const [ended, lost] = (await this.#scripts.end(
      [keys.run, keys.events, keys.order, keys.pdf, OPEN, ...OUTBOX],
      [
        ...[id, attempt, IDS_PER_ATTEMPT, end.type, code ?? '', sealEvent(seal, id, end), endedAt, PDF_LIFE_MS],
        ...[MAX_WAITING, MAX_DEAD, message ? JSON.stringify(message) : '', ...endpoints],
      ],
    )) as [number, number]
    if (ended !== 1) return false
    // One that may run again has not ended for its browser; but it counts, or a server that dies of every run looks well.
    const elapsedMs = code === 'interrupted' && attempt < MAX_ATTEMPTS ? undefined : run.elapsedMs
    countEnd({ code, ageMs: endedAt - run.startedAt, elapsedMs, synthetic, id })
    if (message) onMessage?.(lost)
    return true
  }

  async *#follow(id: string, lastId: number, signal: AbortSignal): AsyncGenerator<Numbered> {
    let news = Promise.withResolvers<void>()
    const notListening = this.#news.listen(keysOf(id).run, () => {
      news.resolve()
      news = Promise.withResolvers<void>()
    })
    let [awaySince, looks, told]: (number | undefined)[] = [undefined, 0, undefined]
    try {
      for (;;) {
        const next = news.promise
        const read = await readAfter(this.commands, this.#options.seal, id, lastId).catch((error: unknown) => error)
        if (read instanceof Error) {
          awaySince ??= Date.now()
          if (signal.aborted || Date.now() - awaySince > AWAY_MS) return
          await either(next, LOOK_WAITING_MS, signal)
          continue
        }
        awaySince = undefined
        const state = read as Awaited<ReturnType<typeof readAfter>>
        if (!state) return
        for (const each of state.events) {
          lastId = each.id
          yield each
          if (isEnd(each.event) || (signal.aborted && !state.hasEnded)) return
        }
        if (signal.aborted || (state.hasEnded && state.events.length === 0)) return
        if (state.events.length > 0) continue
        // Not at the first look: whose turn comes at once has not waited.
        const ahead = state.isWaiting && (looks ?? 0) > 0 ? await this.#placeOf(id) : undefined
        if (ahead !== undefined && ahead !== told) yield { id: lastId, event: { type: 'queued', ahead } }
        told = ahead ?? told
        looks = (looks ?? 0) + 1
        await either(next, state.isWaiting ? LOOK_WAITING_MS : LOOK_MS, signal)
      }
    } finally {
      notListening()
    }
  }

  #placeOf(id: string): Promise<number | undefined> {
    return this.#line.placeOf(id).catch(() => undefined)
  }

  async #sweep(): Promise<void> {
    const late = await this.commands.zrangebyscore(OPEN, '-inf', Date.now(), 'LIMIT', 0, SWEEP_AT_ONCE)
    for (const id of late) {
      const run = await this.find(id)
      if (run && !run.end) await this.stop(run, 'overloaded')
      else await this.commands.zrem(OPEN, id)
    }
  }

  #sealOrder({ id, request, parent, links }: Order): Buffer {
    const carrier: Record<string, string> = {}
    propagation.inject(parent, carrier)
    const causes = links.map(({ context: { traceId, spanId, traceFlags } }) => ({ traceId, spanId, traceFlags }))
    return this.#options.seal.closeJson(`order of ${id}`, { request, carrier, causes })
  }

  #openOrder({ id, owner, requestId, waitingSpanId, elapsedMs }: RunRecord, sealed: Buffer): Order {
    const { request, carrier, causes } = this.#options.seal.openJson(`order of ${id}`, sealed) as {
      request: GenerateRequest
      carrier: Record<string, string>
      causes: SpanContext[]
    }
    const parent: Context = propagation.extract(ROOT_CONTEXT, carrier)
    const links = causes.map((context) => ({ context: { ...context, isRemote: true } }))
    return { id, owner, request, parent, links, origin: { requestId, waitingSpanId, elapsedMs } }
  }
}

/** Resolves with the promise, after so long, or when the signal aborts. */
async function either(promise: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const onAbort = () => resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  await Promise.race([promise, over])
  clearTimeout(timer)
  signal.removeEventListener('abort', onAbort)
}
