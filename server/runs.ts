/** The runs: their events so far, who is waiting for the next one, and what is left of them when the server starts anew. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Run, RunEvent } from './contract.ts'
import { Failure, type Stop } from './failure.ts'
import type { RunStore, StoredRun } from './run-store.ts'

/** Ended runs in memory at most, with what the store does not have: the details of failures. */
const MAX_ENDED = 500
/** Runs under way at most: with 512 KiB of request each, 64 MiB; at two PDFs a second, a wait of a minute. */
export const MAX_ACTIVE = 128
/** A run's longest time, milliseconds: less than its browser waits, so that it hears why. */
const RUN_MS = 7 * 60_000
/** How often one ID can be run: a browser asks for it after the server has died, a loop should not. */
const MAX_ATTEMPTS = 20
/** Event ids an attempt has: those of a later one are higher than any that was shown of one before. */
const IDS_PER_ATTEMPT = 10_000

/** Where a run comes from: what is only known while its process lives. */
export type Origin = Partial<Pick<RunLog, 'requestId' | 'waitingSpanId'>>
type OnEnd = (run: RunLog, events: readonly RunEvent[]) => void
export type Ended = Extract<RunEvent, { type: 'done' | 'failed' }>

/** One run and its event log. Event ids are positions in the log, counted from 1; in a later attempt from 10,001 on. */
export class RunLog {
  readonly id: string
  /** The install that started it, and the only one that it is shown to. In no span and no log. */
  readonly owner: string
  /** Of the request that started it, as the relay's log has it. */
  readonly requestId: string | undefined
  /** The span that waits for it, as its browser names it; '' where nobody has. */
  readonly waitingSpanId: string
  readonly attempt: number
  /** Of the first event in the log. */
  readonly firstId: number
  /** Epoch milliseconds. */
  readonly startedAt: number
  readonly pdfPath: string
  readonly abort = new AbortController()
  readonly #events: RunEvent[]
  readonly #onEnd: OnEnd
  #wake = Promise.withResolvers<void>()

  constructor(
    stored: StoredRun,
    distDir: string,
    { requestId, waitingSpanId = '' }: Origin = {},
    onEnd: OnEnd = () => {},
  ) {
    this.id = stored.id
    this.owner = stored.owner
    this.requestId = requestId
    this.waitingSpanId = waitingSpanId
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

  /** How it ended, once it has. */
  get end(): Ended | undefined {
    return this.last && isEnd(this.last) ? this.last : undefined
  }

  /** The server's end was its end, so that it may be run once more. */
  get canRunAgain(): boolean {
    return this.end?.type === 'failed' && this.end.failure.code === 'interrupted' && this.attempt < MAX_ATTEMPTS
  }

  /** Time since it was begun, milliseconds. */
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

  /** Ends it with this failure, unless it has ended, and stops whatever works for it. */
  stop(code: Stop): void {
    if (this.end) return
    const failure = new Failure(code)
    this.append({ type: 'failed', failure: failure.toBody() })
    this.abort.abort(failure.toAbort())
  }

  /** Events after the given id, as they come; ends after the run's last one, or when the signal aborts. */
  async *after(lastId: number, signal: AbortSignal): AsyncGenerator<{ id: number; event: RunEvent }> {
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
    const { last } = this
    return {
      id: this.id,
      status: this.end?.type ?? (last === undefined || last.type === 'queued' ? 'queued' : 'running'),
      events: `/runs/${this.id}/events`,
      pdf: `/runs/${this.id}/resume.pdf`,
    }
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

export class Runs {
  /** Those under way, and the newest that have ended. */
  readonly #runs = new Map<string, RunLog>()
  readonly #options: RunsOptions
  readonly #now: () => number
  readonly #deadlines = new Map<RunLog, NodeJS.Timeout>()
  #active = 0
  #stopped = false

  /** What an earlier process left in the middle has ended from here on. */
  constructor(options: RunsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    for (const stored of options.store.open()) {
      // Its events are gone, and who has seen them must hear of the end: its id is the last that the attempt has.
      this.#log({ ...stored, firstId: stored.attempt * IDS_PER_ATTEMPT, events: [] }).stop('interrupted')
    }
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

function isEnd(event: RunEvent): event is Ended {
  return event.type === 'done' || event.type === 'failed'
}
