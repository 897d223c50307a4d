/** How long to leave a failing destination alone. */

import { type BreakerState, showState } from '../../breaker.ts'

/** Waiting times, milliseconds. */
export interface Patience {
  /** Before the first repetition; doubles with each. */
  firstMs: number
  /** The longest wait, and how long the breaker stays open. */
  maxMs: number
}

/** Failures in a row after which the breaker opens. */
const FAILURES = 5

export function createBreaker({ firstMs, maxMs }: Patience) {
  let failures = 0
  let state: BreakerState = 'closed'
  showState('backend', () => state)
  return {
    state: () => state,
    failures: () => failures,
    attempt(): void {
      if (state === 'open') state = 'half_open'
    },
    /** Tells whether that closed it. */
    succeeded(): boolean {
      const closes = state !== 'closed'
      failures = 0
      state = 'closed'
      return closes
    },
    /** Tells whether that opened it, not counting an attempt that failed while it was half open. */
    failed(): boolean {
      failures += 1
      const opens = state === 'closed' && failures >= FAILURES
      if (opens || state === 'half_open') state = 'open'
      return opens
    },
    /** Exponential with full jitter, so that relays which lost the same backend do not return to it together. */
    waitMs(): number {
      if (state !== 'closed') return maxMs * (0.75 + Math.random() / 4)
      return Math.random() * Math.min(maxMs, firstMs * 2 ** (failures - 1))
    },
  }
}
