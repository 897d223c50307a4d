/**
 * Tokens a day, for one install and for all together (UTC days). What is asked for is reserved before and corrected
 * after, so that many runs at once cannot use what one would be refused; a process that dies leaves its reservation used.
 */

import type { DatabaseSync } from 'node:sqlite'
import { inTransaction } from './database.ts'

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
  settle(tokens: number, resume: boolean): void
}

const DAY_MS = 86_400_000
/** The row of all together. No install has this ID: the relay's are UUIDs, and a relay's own request has ''. */
const OVERALL = '*'
/** Shown for the first resume of a day, when nothing is known of it. */
const TYPICAL_TOKENS = 4_000

export class TokenQuota {
  readonly #db: DatabaseSync
  readonly #options: QuotaOptions

  constructor(db: DatabaseSync, options: QuotaOptions) {
    this.#db = db
    this.#options = options
  }

  /** Sets so many tokens aside for the install, or says which of the two quotas has less left. Throws what SQLite throws. */
  reserve(install: string, tokens: number): Reservation | { exhausted: 'install' | 'overall' } {
    const day = this.#day()
    if (this.#used(day, install).tokens + tokens > this.#options.installTokens) return { exhausted: 'install' }
    if (this.#used(day, OVERALL).tokens + tokens > this.#options.overallTokens) return { exhausted: 'overall' }
    this.#add(day, install, tokens, 0)
    let open = true
    return {
      settle: (spent, resume) => {
        if (!open) return
        open = false
        this.#add(day, install, spent - tokens, resume ? 1 : 0)
      },
    }
  }

  /** How many more resumes of this size the install will get reworded today. */
  allowance(install: string, tokensOfOne: number): Allowance {
    const day = this.#day()
    const own = this.#used(day, install)
    const all = this.#used(day, OVERALL)
    const typical = Math.max(1, Math.round(own.resumes > 0 ? own.tokens / own.resumes : TYPICAL_TOKENS))
    const free = Math.min(this.#options.installTokens - own.tokens, this.#options.overallTokens - all.tokens)
    // The last one needs room for the most it could take, not for what it will take.
    const left = free < tokensOfOne ? 0 : 1 + Math.floor((free - tokensOfOne) / typical)
    return { left, resetsAt: (day + 1) * DAY_MS }
  }

  #day(): number {
    return Math.floor((this.#options.now ?? Date.now)() / DAY_MS)
  }

  #used(day: number, install: string): { tokens: number; resumes: number } {
    const row = this.#db
      .prepare('SELECT tokens, resumes FROM model_use WHERE day = ? AND install = ?')
      .get(day, install)
    return { tokens: Number(row?.tokens ?? 0), resumes: Number(row?.resumes ?? 0) }
  }

  #add(day: number, install: string, tokens: number, resumes: number): void {
    const add = this.#db.prepare(`
      INSERT INTO model_use (day, install, tokens, resumes) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET tokens = max(0, tokens + excluded.tokens), resumes = resumes + excluded.resumes`)
    inTransaction(this.#db, () => {
      for (const who of [install, OVERALL]) add.run(day, who, tokens, resumes)
      // Yesterday is nobody's business any more.
      this.#db.prepare('DELETE FROM model_use WHERE day < ?').run(this.#day())
    })
  }
}
