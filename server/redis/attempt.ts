/** An attempt at a run, for the server that works on it: what it says goes to Redis in order, as long as it is its to say. */

import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { RunEvent } from '../contract.ts'
import { Failure } from '../failure.ts'
import { type Ended, isEnd, type RunUnderWay } from '../runs.ts'
import type { RunRecord } from './run-record.ts'

/** Between two tries to write while Redis is away, milliseconds. */
const AGAIN_MS = 500

export interface Writes {
  /** False when the run has ended, or is somebody else's by now. */
  append(run: RunUnderWay, event: RunEvent): Promise<boolean>
  publish(run: RunUnderWay, pdf: Uint8Array): Promise<boolean>
}

export class Attempt implements RunUnderWay {
  readonly id: string
  readonly owner: string
  readonly requestId: string | undefined
  readonly waitingSpanId: string
  readonly elapsedMs: number | undefined
  readonly attempt: number
  readonly startedAt: number
  readonly synthetic: boolean
  readonly abort = new AbortController()
  readonly #writes: Writes
  readonly #log: Logger
  #end: Ended | undefined
  #isGivenUp = false
  #written: Promise<void> = Promise.resolve()

  constructor(run: RunRecord, writes: Writes, log: Logger) {
    this.id = run.id
    this.owner = run.owner
    this.requestId = run.requestId
    this.waitingSpanId = run.waitingSpanId
    this.elapsedMs = run.elapsedMs
    this.attempt = run.attempt
    this.startedAt = run.startedAt
    this.synthetic = run.synthetic
    this.#writes = writes
    this.#log = log
  }

  get end(): Ended | undefined {
    return this.#end
  }

  get ageMs(): number {
    return Date.now() - this.startedAt
  }

  /** It goes on elsewhere, or nowhere. */
  get isGivenUp(): boolean {
    return this.#isGivenUp
  }

  append(event: RunEvent): void {
    if (this.#end || this.#isGivenUp) return
    if (isEnd(event)) this.#end = event
    this.#written = this.#written.then(() => this.#write(() => this.#writes.append(this, event)))
  }

  async publish(pdf: Uint8Array): Promise<void> {
    await this.#write(() => this.#writes.publish(this, pdf))
    if (this.#isGivenUp) throw Failure.ofAbort(this.abort.signal)
  }

  /** With the run's end its PDF goes, unless it is done. */
  async discard(): Promise<void> {}

  /** Resolves when everything that was said is in Redis, or is not wanted there. */
  written(): Promise<void> {
    return this.#written
  }

  /** It has ended elsewhere: cancelled, or too old. */
  endedWith(end: Ended): void {
    if (this.#end || this.#isGivenUp) return
    this.#end = end
    this.#stop(new Failure(end.type === 'failed' ? end.failure.code : 'interrupted'))
  }

  /** Says nothing any more, and stops what works for it. */
  giveUp(): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#stop(new Failure('interrupted'))
  }

  #stop(failure: Failure): void {
    this.abort.abort(failure.toAbort())
  }

  async #write(write: () => Promise<boolean>): Promise<void> {
    while (!this.#isGivenUp) {
      try {
        if (!(await write()) && !this.#end) this.giveUp()
        return
      } catch (error) {
        this.#log.warn({ err: error, run: this.id }, 'run not written down, will try again')
        // Its deadline, or a server that has taken it over, ends this.
        await pause(AGAIN_MS, undefined, { ref: false })
      }
    }
  }
}
