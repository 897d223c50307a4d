/** The runs of one server: their events so far, who is waiting for the next one, and what is left of them when it starts anew. */

import { createReadStream } from 'node:fs'
import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { METRICS } from '../metric-names.ts'
import { gauge } from '../metrics.ts'
import type { Run, RunEvent } from './contract.ts'
import { Failure, type Stop } from './failure.ts'
import { countEnd } from './run-counts.ts'
import type { RunStore, StoredRun } from './run-store.ts'
import {
  type Ended,
  IDS_PER_ATTEMPT,
  isEnd,
  isSyntheticOwner,
  type KnownRun,
  mayRunAgain,
  type Numbered,
  type Order,
  type Origin,
  RUN_MS,
  type Runs,
  type RunUnderWay,
  viewOf,
  type Work,
} from './runs.ts'

const active = gauge(METRICS.runsActive)

/** Ended runs in memory at most, with what the store does not have: the details of failures. */
const MAX_ENDED = 500
/** Runs under way at most: with 512 KiB of request each, 64 MiB; at two PDFs a second, a wait of a minute. */
export const MAX_ACTIVE = 128
type OnEnd = (run: RunLog, events: readonly RunEvent[]) => void

/** One run and its event log, for who works on it and for who asks for it. */
export class RunLog implements KnownRun, RunUnderWay {
  readonly id: string
  readonly owner: string
  readonly requestId: string | undefined
  readonly waitingSpanId: string
  readonly elapsedMs: number | undefined
  readonly attempt: number
  /** Of the first event in the log. */
  readonly firstId: number
  readonly startedAt: number
  readonly pdfPath: string
  readonly abort = new AbortController()
  readonly #events: RunEvent[]
  readonly #onEnd: OnEnd
  #wake = Promise.withResolvers<void>()

  constructor(
    stored: StoredRun,
    distDir: string,
    { requestId, waitingSpanId = '', elapsedMs }: Origin = {},
    onEnd: OnEnd = () => {},
  ) {
    this.id = stored.id
    this.owner = stored.owner
    this.requestId = requestId
    this.waitingSpanId = waitingSpanId
    this.elapsedMs = elapsedMs
    this.attempt = stored.attempt
    this.firstId = stored.firstId
    this.startedAt = stored.startedAt
    this.pdfPath = join(distDir, `${stored.id}.pdf`)
    this.#events = stored.events ?? []
    this.#onEnd = onEnd
  }

  get last(): RunEvent | undefined {
    return this.#events.at(-1)
  }

  get end(): Ended | undefined {
    return this.last && isEnd(this.last) ? this.last : undefined
  }

  get synthetic(): boolean {
    return isSyntheticOwner(this.owner)
  }

  get canRunAgain(): boolean {
    return mayRunAgain(this.end, this.attempt)
  }

  get ageMs(): number {
    return Date.now() - this.startedAt
  }

  append(event: RunEvent): void {
    if (this.end) return
    // The end has its place, however often the others have changed theirs.
    if (!isEnd(event) && this.#events.length >= IDS_PER_ATTEMPT - 1) return
    this.#events.push(event)
    // Before anybody hears of it: what was told must be true after a crash.
    if (isEnd(event)) this.#onEnd(this, this.#events)
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }

  /** A reader never sees half a file. */
  async publish(pdf: Uint8Array): Promise<void> {
    const half = `${this.pdfPath}.part`
    await writeFile(half, pdf)
    await rename(half, this.pdfPath)
  }

  async discard(): Promise<void> {
    const gone = [this.pdfPath, `${this.pdfPath}.part`].map((path) => rm(path, { force: true }))
    // What cannot be removed now goes with what is past its time.
    await Promise.allSettled(gone)
  }

  /** Ends it with this failure, unless it has ended, and stops whatever works for it. */
  stop(code: Stop): void {
    if (this.end) return
    const failure = new Failure(code)
    this.append({ type: 'failed', failure: failure.toBody() })
    this.abort.abort(failure.toAbort())
  }

  async *after(lastId: number, signal: AbortSignal): AsyncGenerator<Numbered> {
    const { promise: aborted, resolve } = Promise.withResolvers<void>()
    const onAbort = () => resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    let index = Math.max(0, lastId + 1 - this.firstId)
    try {
      for (;;) {
        const wake = this.#wake.promise
        for (let event = this.#events[index]; event; event = this.#events[index]) {
          yield { id: this.firstId + index++, event }
          // A stop of the server ends the run first: its last word is still told.
          if (signal.aborted && !this.end) return
        }
        if (this.end || signal.aborted) return
        await Promise.race([wake, aborted])
      }
    } finally {
      // A listener that stays keeps the signal, and every signal it was made of, for as long as the process lives.
      signal.removeEventListener('abort', onAbort)
    }
  }

  view(): Run {
    return viewOf(this.id, this.last?.type)
  }
}

export interface RunsOptions {
  distDir: string
  store: RunStore
  log: Logger
  /** Hears of every end, in the transaction that writes it. */
  onEnd?: (run: RunLog, end: Ended, endedAt: number) => void
  runMs?: number
  now?: () => number
}

export class EmbeddedRuns implements Runs {
  /** Those under way, and the newest that have ended. */
  readonly #runs = new Map<string, RunLog>()
  readonly #options: RunsOptions
  readonly #now: () => number
  readonly #deadlines = new Map<RunLog, NodeJS.Timeout>()
  #work: Work = async () => undefined
  #active = 0
  #stopped = false

  /** What an earlier process left in the middle has ended from here on. */
  constructor(options: RunsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    active.whenAsked(() => active.set({}, this.#active))
    for (const stored of options.store.open()) {
      // Its events are gone, and who has seen them must hear of the end: its id is the last that the attempt has.
      this.#log({ ...stored, firstId: stored.attempt * IDS_PER_ATTEMPT, events: [] }).stop('interrupted')
    }
  }

  workWith(work: Work): void {
    this.#work = work
  }

  async find(id: string): Promise<RunLog | undefined> {
    return this.get(id)
  }

  // In one turn of the loop: two requests with one ID make one run.
  async begin(order: Order): Promise<{ run: RunLog; replayed: boolean }> {
    const known = this.get(order.id)
    // Of another's run not even that it exists.
    if (known && known.owner !== order.owner) throw new Failure('run_not_found', { reason: 'other_install' })
    if (known && !known.canRunAgain) return { run: known, replayed: true }
    const run = this.create(order.id, order.owner, order.origin)
    // Not at once: the answer goes out first.
    setImmediate(() => void this.#work(run, order))
    return { run, replayed: false }
  }

  async stop({ id }: KnownRun, code: Stop): Promise<KnownRun> {
    const run = this.get(id)
    if (!run) throw new Failure('run_not_found')
    run.stop(code)
    return run
  }

  async pdfOf({ id }: KnownRun): Promise<{ sizeBytes: number; content: Readable } | undefined> {
    const path = join(this.#options.distDir, `${id}.pdf`)
    const found = await stat(path).catch(() => undefined)
    return found && { sizeBytes: found.size, content: createReadStream(path) }
  }

  async leave(): Promise<void> {
    this.interruptAll()
  }

  async reachable(): Promise<boolean> {
    return true
  }

  get(id: string): RunLog | undefined {
    const known = this.#runs.get(id)
    if (known) return known
    const stored = this.#options.store.find(id)
    // Under way, but not here: its row was left by a process that could write no more.
    if (!stored?.events) return undefined
    return new RunLog(stored, this.#options.distDir)
  }

  /**
   * A run that is not known yet, or one that may run again. Throws Failure('overloaded') when too many are under way,
   * Failure('interrupted') when the server is about to stop.
   */
  create(id: string, owner: string, origin?: Origin): RunLog {
    if (this.#stopped) throw new Failure('interrupted')
    if (this.#active >= MAX_ACTIVE) throw new Failure('overloaded')
    const attempt = Math.max(this.#runs.get(id)?.attempt ?? 0, this.#options.store.find(id)?.attempt ?? 0) + 1
    const firstId = (attempt - 1) * IDS_PER_ATTEMPT + 1
    const stored: StoredRun = { id, owner, attempt, firstId, startedAt: this.#now(), events: undefined }
    const run = this.#log(stored, origin)
    this.#active++
    // To the end of the map: what ended long ago is forgotten first.
    this.#runs.delete(id)
    this.#runs.set(id, run)
    this.#write(run, () => this.#removePdfs(this.#options.store.begin(stored)))
    this.#forgetEnded()
    this.#deadlines.set(run, setTimeout(() => run.stop('overloaded'), this.#options.runMs ?? RUN_MS).unref())
    return run
  }

  /** Ends every run that is under way as `interrupted`, stops its children, and takes no more. */
  interruptAll(): void {
    this.#stopped = true
    for (const run of this.#runs.values()) run.stop('interrupted')
  }

  /** Forgets runs that ended before, in memory and in the store. */
  forgetBefore(time: number): void {
    for (const id of this.#options.store.forgetBefore(time)) this.#runs.delete(id)
  }

  #log(stored: StoredRun, origin?: Origin): RunLog {
    return new RunLog(stored, this.#options.distDir, origin, (run, events) => this.#ended(run, events))
  }

  #ended(run: RunLog, events: readonly RunEvent[]): void {
    const end = run.end
    if (!end) return
    if (this.#runs.get(run.id) === run) this.#active--
    clearTimeout(this.#deadlines.get(run))
    this.#deadlines.delete(run)
    const endedAt = this.#now()
    const code = end.type === 'failed' ? end.failure.code : undefined
    const { id, synthetic } = run
    // One that may run again has not ended for its browser, which asks for it anew. It counts all the same, since a server
    // that dies of every run must not look well; but its time is not over.
    const elapsedMs = run.canRunAgain ? undefined : run.elapsedMs
    countEnd({ code, ageMs: endedAt - run.startedAt, elapsedMs, synthetic, id })
    const alongside = () => this.#options.onEnd?.(run, end, endedAt)
    this.#write(run, () => this.#options.store.end(run, events, endedAt, alongside))
  }

  /** A disk that takes no more costs the run its memory after a crash, not its PDF: its browser posts it again then. */
  #write(run: RunLog, write: () => void): void {
    try {
      write()
    } catch (error) {
      this.#options.log.error({ err: error, run: run.id }, 'run not written down')
    }
  }

  #forgetEnded(): void {
    let excess = this.#runs.size - this.#active - MAX_ENDED
    for (const [id, run] of this.#runs) {
      if (excess <= 0) return
      if (!run.end) continue
      this.#runs.delete(id)
      excess--
    }
  }

  #removePdfs(ids: string[]): void {
    for (const id of ids) {
      this.#runs.delete(id)
      // A PDF that cannot be removed costs disk, not the new run.
      rm(join(this.#options.distDir, `${id}.pdf`), { force: true }).catch(() => undefined)
    }
  }
}
