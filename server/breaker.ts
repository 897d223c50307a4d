/** Whether the model's endpoint may be asked: not while it has just failed several times in a row. */

import { METRICS } from '../metric-names.ts'
import { gauge } from '../metrics.ts'

const stateGauge = gauge(METRICS.breaker)
const STATES = METRICS.breaker.labels.state

/** Answers in a row that were none. */
const MAX_FAILURES = 5
/** How long nobody asks then, milliseconds: a provider's trouble lasts for minutes, a person waits for seconds. */
const OPEN_MS = 30_000

/** What came of a request. `neither`: it says nothing about the endpoint's health. */
export type Outcome = 'answered' | 'failed' | 'neither'

export class Breaker {
  readonly #now: () => number
  #failures = 0
  #openUntil = 0
  #probing = false

  /** `now` in milliseconds, of a clock that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    stateGauge.whenAsked(() => {
      for (const state of STATES) stateGauge.set({ breaker: 'llm', state }, Number(state === this.#state()))
    }, 'llm')
  }

  #state(): (typeof STATES)[number] {
    if (this.#failures < MAX_FAILURES) return 'closed'
    return this.#probing ? 'half_open' : 'open'
  }

  /**
   * Asks to be let through; undefined when not. Call what is given back with what came of the request. When the time
   * is over, one request finds out for all.
   */
  enter(): ((outcome: Outcome) => void) | undefined {
    const isProbe = this.#failures >= MAX_FAILURES
    if (isProbe && (this.#probing || this.#now() < this.#openUntil)) return undefined
    this.#probing = isProbe
    return (outcome) => {
      if (isProbe) this.#probing = false
      if (outcome === 'answered') this.#failures = 0
      if (outcome !== 'failed') return
      this.#failures++
      if (this.#failures >= MAX_FAILURES) this.#openUntil = this.#now() + OPEN_MS
    }
  }
}
