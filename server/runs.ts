/** The runs this process knows: their events so far, and who is waiting for the next one. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Run, RunEvent } from './contract.ts'
import { Failure } from './failure.ts'

/** Runs remembered at most; the oldest ended one makes room for the next. */
const MAX_RUNS = 500
/** Runs under way at most; one more is refused rather than queued behind minutes of work. */
const MAX_ACTIVE = 32

/** One run and its event log. Event ids are positions in the log, counted from 1. */
export class RunLog {
  readonly id: string
  /** The install that started it, and the only one that it is shown to. In no span and no log. */
  readonly owner: string
  /** Of the request that started it, as the relay's log has it. */
  readonly requestId: string | undefined
  readonly pdfPath: string
  readonly abort = new AbortController()
  readonly #events: RunEvent[] = []
  #wake = Promise.withResolvers<void>()

  constructor(id: string, distDir: string, owner: string, requestId: string | undefined) {
    this.id = id
    this.owner = owner
    this.requestId = requestId
    this.pdfPath = join(distDir, `${id}.pdf`)
  }

  get last(): RunEvent | undefined {
    return this.#events.at(-1)
  }

  get ended(): boolean {
    return this.last?.type === 'done' || this.last?.type === 'failed'
  }

  append(event: RunEvent): void {
    if (this.ended) return
    this.#events.push(event)
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }

  /** Events after the given id, as they come; ends after the run's last one, or when the signal aborts. */
  async *after(lastId: number, signal: AbortSignal): AsyncGenerator<{ id: number; event: RunEvent }> {
    const { promise: aborted, resolve } = Promise.withResolvers<void>()
    const onAbort = () => resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    let index = lastId
    try {
      while (!signal.aborted) {
        const wake = this.#wake.promise
        for (let event = this.#events[index]; event; event = this.#events[index]) {
          index++
          yield { id: index, event }
          if (signal.aborted) return
        }
        if (this.ended) return
        await Promise.race([wake, aborted])
      }
    } finally {
      // A listener that stays keeps the signal, and every signal it was made of, for as long as the process lives.
      signal.removeEventListener('abort', onAbort)
    }
  }

  view(): Run {
    const last = this.last
    const ended = last?.type === 'done' || last?.type === 'failed' ? last.type : undefined
    return {
      id: this.id,
      status: ended ?? (last === undefined || last.type === 'queued' ? 'queued' : 'running'),
      events: `/runs/${this.id}/events`,
      pdf: `/runs/${this.id}/resume.pdf`,
    }
  }
}

export class Runs {
  readonly #runs = new Map<string, RunLog>()
  readonly #distDir: string

  constructor(distDir: string) {
    this.#distDir = distDir
  }

  get(id: string): RunLog | undefined {
    return this.#runs.get(id)
  }

  /** A run that is not known yet. Throws Failure('overloaded') when too many are under way. */
  create(id: string, owner: string, requestId?: string): RunLog {
    const active = [...this.#runs.values()].filter((run) => !run.ended)
    if (active.length >= MAX_ACTIVE) throw new Failure('overloaded')
    if (this.#runs.size >= MAX_RUNS) this.#forgetOldest()
    const run = new RunLog(id, this.#distDir, owner, requestId)
    this.#runs.set(id, run)
    return run
  }

  /** Ends every run that is under way as `interrupted`, and stops its children. */
  interruptAll(): void {
    for (const run of this.#runs.values()) {
      if (run.ended) continue
      run.append({ type: 'failed', failure: new Failure('interrupted').toBody() })
      run.abort.abort()
    }
  }

  #forgetOldest(): void {
    for (const [id, run] of this.#runs) {
      if (!run.ended) continue
      this.#runs.delete(id)
      // A PDF that cannot be removed costs disk, not the new run.
      rm(run.pdfPath, { force: true }).catch(() => undefined)
      return
    }
  }
}
