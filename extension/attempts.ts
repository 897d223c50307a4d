/**
 * What the content script carries for telemetry: when each try ended, and how. The spans are made of it in background:
 * pages are not made to carry an SDK, nor to wait for random IDs. `npm run bench -- size` and `tracer` build the content
 * script with this file and without.
 */

import type { PostingSource } from '../server/request-contract.ts'
import type { Extraction, GaveUp } from './extract/posting.ts'

/** One strategy's try, which began where the one before it ended; without `gaveUp` it read the posting. */
export interface Attempt {
  source: PostingSource
  /** Milliseconds, fractions included. */
  took: number
  gaveUp?: GaveUp
}

/** All tries of one message, in the order they were made. */
export interface Attempted {
  /** Epoch milliseconds. */
  startTime: number
  attempts: Attempt[]
}

/** Takes the times. The wall clock is read once, and from there on the monotonic one: spans never run backwards. */
export class Attempts implements Attempted {
  readonly startTime = Date.now()
  readonly attempts: Attempt[] = []
  #last = performance.now()

  /**
   * A try has ended just now. Those for the boards of other sites look whether it is theirs, and leave: to record them
   * would cost more than they do, and bury the others.
   */
  ended(source: PostingSource, extraction: Extraction): void {
    if ('gaveUp' in extraction && extraction.gaveUp === 'other_site') return
    const now = performance.now()
    const took = now - this.#last
    this.#last = now
    this.attempts.push('gaveUp' in extraction ? { source, took, gaveUp: extraction.gaveUp } : { source, took })
  }
}
