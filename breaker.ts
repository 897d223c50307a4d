/** Whether something that people wait for may be asked: not while it has just failed several times in a row. */

import { METRICS } from './metric-names.ts'
import { gauge } from './metrics.ts'

const stateGauge = gauge(METRICS.breaker)

/** Requests in a row that got no answer. */
const MAX_FAILURES = 5

/** What a breaker stands in front of, as its metric calls it. */
export type Guarded = (typeof METRICS.breaker.labels.breaker)[number]
/** Open: nobody asks. Half open: after that, one request is on its way to find out for all. */
export type BreakerState = (typeof METRICS.breaker.labels.state)[number]
/** What came of a request. `neither`: it ended by itself, and says nothing about who was asked. */
export type Outcome = 'answered' | 'failed' | 'neither'
export type Breaker = ReturnType<typeof createBreaker>

export interface BreakerSettings {
  guards: Guarded
  /** How long nobody asks after too many failures, milliseconds. */
  openMs: number
}

/** `now` in milliseconds, of a clock that nobody sets. */
export function createBreaker({ guards, openMs }: BreakerSettings, now: () => number = () => performance.now()) {
  let failures = 0
  let openUntil = 0
  let probing = false
  showState(guards, state)

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
      const waitMs = Math.max(openUntil - now(), isProbe && probing ? openMs : 0)
      if (isProbe && waitMs > 0) return { waitMs, done: () => {} }
      probing = isProbe
      return {
        waitMs: 0,
        done(outcome) {
          if (isProbe) probing = false
          if (outcome === 'answered') failures = 0
          if (outcome !== 'failed') return
          failures += 1
          if (failures >= MAX_FAILURES) openUntil = now() + openMs
        },
      }
    },
  }
}

/** Has the metrics say what `state` answers whenever they are asked for: 1 for that state, 0 for the others. */
export function showState(guards: Guarded, state: () => BreakerState): void {
  stateGauge.whenAsked(() => {
    for (const name of METRICS.breaker.labels.state) {
      stateGauge.set({ breaker: guards, state: name }, Number(name === state()))
    }
  }, guards)
}
