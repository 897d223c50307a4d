/**
 * Tokens a day, for one install and for all together (UTC days). What is asked for is reserved before and corrected
 * after, so that many runs at once cannot use what one would be refused; a process that dies leaves its reservation used.
 */

import { METRICS } from '../metric-names.ts'
import { counter, gauge } from '../metrics.ts'

const quotaUsed = gauge(METRICS.quotaUsed)
const quotaLimit = gauge(METRICS.quotaLimit)
const decisions = counter(METRICS.rateLimitDecisions)

export interface QuotaOptions {
  /** Tokens a day. */
  installTokens: number
  overallTokens: number
  /** Epoch milliseconds. */
  now?: (() => number) | undefined
}

/** What is left for an install, in resumes, because nobody thinks in tokens. An estimate by what resumes took today. */
export interface Allowance {
  left: number
  /** Epoch milliseconds: the next day's beginning. */
  resetsAt: number
}

export interface Reservation {
  /** Puts what was used in the place of what was reserved. Counts a resume when it is one. */
  settle(tokens: number, resume: boolean): Promise<void>
}

export type Exhausted = 'install' | 'overall'

export interface Use {
  tokens: number
  resumes: number
}

/** Where the day's use is kept. Throws what that throws. */
export interface UseStore {
  /** Adds to all of `who`, unless one of them would have more than it may: then nothing, and which it is. */
  take(day: number, who: readonly Holder[], tokens: number): Promise<Exhausted | undefined>
  /** Corrects what was taken, and never below nothing. */
  correct(day: number, who: readonly Holder[], tokens: number, resumes: number): Promise<void>
  used(day: number, who: string): Promise<Use>
}

export interface Holder {
  name: string
  level: Exhausted
  /** Tokens a day. */
  most: number
}

const DAY_MS = 86_400_000
/** The name of all together. No install has this ID: the relay's are UUIDs, and a relay's own request has ''. */
const OVERALL = '*'
/** In place of an install, that of all synthetic checks: they have one install's share, and use nothing of the others'. */
export const SYNTHETIC = '+'
/** Shown for the first resume of a day, when nothing is known of it. */
const TYPICAL_TOKENS = 4_000

export class TokenQuota {
  readonly #store: UseStore
  readonly #options: QuotaOptions

  constructor(store: UseStore, options: QuotaOptions) {
    this.#store = store
    this.#options = options
    quotaUsed.whenAsked(async () => {
      quotaLimit.set({ quota: 'llm_tokens' }, options.overallTokens)
      quotaUsed.set({ quota: 'llm_tokens' }, (await store.used(this.#day(), OVERALL)).tokens)
    }, 'llm')
  }

  /** Sets so many tokens aside for the install, or says which of the two quotas has less left. Throws what the store throws. */
  async reserve(install: string, tokens: number): Promise<Reservation | { exhausted: Exhausted }> {
    const day = this.#day()
    const holders = this.#holders(install)
    const exhausted = await this.#store.take(day, holders, tokens)
    decisions.add({ limiter: 'llm', decision: exhausted ? 'denied' : 'allowed', synthetic: install === SYNTHETIC })
    if (exhausted) return { exhausted }
    let open = true
    return {
      settle: async (spent, resume) => {
        if (!open) return
        open = false
        await this.#store.correct(day, holders, spent - tokens, resume ? 1 : 0)
      },
    }
  }

  /** How many more resumes of this size the install will get reworded today. */
  async allowance(install: string, tokensOfOne: number): Promise<Allowance> {
    const day = this.#day()
    const [own, all] = await Promise.all([this.#store.used(day, install), this.#store.used(day, OVERALL)])
    const typical = Math.max(1, Math.round(own.resumes > 0 ? own.tokens / own.resumes : TYPICAL_TOKENS))
    const ofAll = install === SYNTHETIC ? Number.POSITIVE_INFINITY : this.#options.overallTokens - all.tokens
    const free = Math.min(this.#options.installTokens - own.tokens, ofAll)
    // The last one needs room for the most it could take, not for what it will take.
    const left = free < tokensOfOne ? 0 : 1 + Math.floor((free - tokensOfOne) / typical)
    return { left, resetsAt: (day + 1) * DAY_MS }
  }

  #day(): number {
    return Math.floor((this.#options.now ?? Date.now)() / DAY_MS)
  }

  #holders(install: string): Holder[] {
    const own: Holder = { name: install, level: 'install', most: this.#options.installTokens }
    if (install === SYNTHETIC) return [own]
    return [own, { name: OVERALL, level: 'overall', most: this.#options.overallTokens }]
  }
}
