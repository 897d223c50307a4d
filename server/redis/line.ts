/** The line that runs stand in until a server has hands free: BullMQ's, in the order in which they came. */

import { Queue, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { REDIS_PREFIX } from '../../redis.ts'

const NAME = 'runs'
/** A server that has not been heard of for so long is gone; its runs are in the line again within twice as long. */
const LOCK_MS = 10_000
const LOOK_FOR_GONE_MS = 4_000
/** Claims of a run are counted with the run itself: here nothing is given up. */
const NEVER = 1_000_000
/** Of one piece of work that could not be begun: Redis failed in the middle. */
const TRIES = 10
const AGAIN_MS = 1_000
/** Places are told to everybody who waits: asked for once, for all of them. */
const PLACES_MS = 400

/** What is done with a run whose turn it is. Resolves with false when it is to go to another server. */
export type Turn = (id: string) => Promise<boolean>

export class Line {
  readonly #queue: Queue
  readonly #log: Logger
  #worker: Worker | undefined
  #places: { askedAt: number; ids: Promise<string[]> } | undefined

  constructor(commands: Redis, log: Logger) {
    this.#log = log
    this.#queue = new Queue(NAME, { connection: commands, prefix: REDIS_PREFIX, skipMetasUpdate: true })
    this.#queue.on('error', () => undefined) // the connection's own listener has told of it
  }

  /** Puts the run in; once, however often it is asked with the same attempt. */
  async add(id: string, attempt: number): Promise<void> {
    const options = { jobId: `${id}-${attempt}`, attempts: TRIES, backoff: { type: 'fixed', delay: AGAIN_MS } }
    // Only its ID: what it is made of is kept with the run, sealed, and goes when that ends.
    await this.#queue.add('run', { id }, { ...options, removeOnComplete: true, removeOnFail: true })
  }

  /** Takes runs, so many at once, from now on. The connection is for nothing else. */
  take(atOnce: number, connection: Redis, turn: Turn): void {
    const worker = new Worker(
      NAME,
      async (job, token) => {
        if (await turn(job.data.id)) return
        await job.moveToWait(token)
        throw new WaitingError()
      },
      {
        connection,
        prefix: REDIS_PREFIX,
        concurrency: atOnce,
        lockDuration: LOCK_MS,
        stalledInterval: LOOK_FOR_GONE_MS,
        maxStalledCount: NEVER,
      },
    )
    worker.on('error', (error) => this.#log.debug({ err: error }, 'line of runs'))
    worker.on('failed', (job, error) =>
      this.#log.warn({ run: job?.data.id, err: error }, 'run not begun, will try again'),
    )
    this.#worker = worker
  }

  /** How many runs wait before this one; undefined when it does not wait here. */
  async placeOf(id: string): Promise<number | undefined> {
    const now = Date.now()
    if (!this.#places || now - this.#places.askedAt > PLACES_MS) {
      this.#places = { askedAt: now, ids: this.#queue.getRanges(['wait'], 0, -1, true) }
    }
    const at = (await this.#places.ids).findIndex((jobId) => jobId.startsWith(id))
    return at < 0 ? undefined : at
  }

  /** Takes no more runs. Resolves when what was taken has been let go of. */
  async leave(): Promise<void> {
    await this.#worker?.close()
  }

  async close(): Promise<void> {
    await this.#worker?.close(true)
    await this.#queue.close()
  }
}
