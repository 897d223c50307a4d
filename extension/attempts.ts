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
   * A try has ended just now. Those that look whether there is anything for them, and leave, are not recorded: that
   * would cost more than they do, and bury the others.
   */
  ended(source: PostingSource, extraction: Extraction): void {
    const gaveUp = 'gaveUp' in extraction ? extraction.gaveUp : undefined
    if (gaveUp === 'other_site' || gaveUp === 'nothing_selected') return
    const now = performance.now()
    const took = now - this.#last
    this.#last = now
    this.attempts.push(gaveUp ? { source, took, gaveUp } : { source, took })
  }
}
