/** Whether the server may be asked: not while it has just failed to answer several times in a row. */

import { METRICS } from '../metric-names.ts'
import { gauge } from '../metrics.ts'

const stateGauge = gauge(METRICS.breaker)

/** Requests in a row that got no answer. */
const MAX_FAILURES = 5
/** How long nobody asks then, milliseconds; short, because a server that starts anew takes about a second. */
const OPEN_MS = 2_000

/** Half open: one request is on its way to find out. */
export type BreakerState = 'closed' | 'open' | 'half_open'
const STATES: readonly BreakerState[] = METRICS.breaker.labels.state
/** What came of a request. `neither`: it ended by itself, and says nothing about the server. */
export type Outcome = 'answered' | 'failed' | 'neither'
export type Breaker = ReturnType<typeof createBreaker>

/** `now` in milliseconds, of a clock that nobody sets. */
export function createBreaker(now: () => number = () => performance.now()) {
  let failures = 0
  let openUntil = 0
  let probing = false
  stateGauge.whenAsked(() => {
    for (const name of STATES) stateGauge.set({ breaker: 'server', state: name }, Number(name === state()))
  }, 'server')

  function state(): BreakerState {
    if (failures < MAX_FAILURES) return 'closed'
    return probing ? 'half_open' : 'open'
  }

  return {
    state,

    /**
     * Asks to be let through. With `waitMs` above 0 one is not, and may ask again then; otherwise `done` must be called
     * with what came of it.
     */
    enter(): { waitMs: number; done: (outcome: Outcome) => void } {
      const isProbe = failures >= MAX_FAILURES
      const waitMs = Math.max(openUntil - now(), isProbe && probing ? OPEN_MS : 0)
      if (isProbe && waitMs > 0) return { waitMs, done: () => {} }
      probing = isProbe
      return {
        waitMs: 0,
        done(outcome) {
          if (isProbe) probing = false
          if (outcome === 'answered') failures = 0
          if (outcome !== 'failed') return
          failures += 1
          if (failures >= MAX_FAILURES) openUntil = now() + OPEN_MS
        },
      }
    },
  }
}
