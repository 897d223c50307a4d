/**
 * What the content script carries for telemetry: when each try began and ended, and how. The spans are made of it in
 * background: pages are not made to carry an SDK, nor to wait for random IDs. `npm run bench -- size` and `tracer` build
 * the content script with this file and without.
 */

import type { PostingSource } from '../server/request-contract.ts'
import type { Extraction, GaveUp } from './extract/posting.ts'

/** One strategy's try, in epoch milliseconds, fractions included; without `gaveUp` it read the posting. */
export interface Attempt {
  source: PostingSource
  startTime: number
  endTime: number
  gaveUp?: GaveUp
}

/** All tries of one message, in the order they were made, and the time they took together. */
export interface Attempted {
  startTime: number
  endTime: number
  attempts: Attempt[]
}

/** Takes the times. The wall clock is read once and the monotonic one after that: spans never run backwards. */
export class Attempts {
  readonly #origin = Date.now() - performance.now()
  readonly #startTime = this.#now()
  readonly #attempts: Attempt[] = []

  #now(): number {
    return this.#origin + performance.now()
  }

  /** Runs one try. */
  time(source: PostingSource, work: () => Extraction): Extraction {
    const startTime = this.#now()
    const extraction = work()
    this.#attempts.push({
      ...{ source, startTime, endTime: this.#now() },
      ...('gaveUp' in extraction ? { gaveUp: extraction.gaveUp } : {}),
    })
    return extraction
  }

  /** What has been tried until now. */
  record(): Attempted {
    return { startTime: this.#startTime, endTime: this.#now(), attempts: this.#attempts }
  }
}
