/** The ways to read a posting, in order of trust, and the trying of one after the other. */

import type { Posting, PostingSource } from '../../server/request-contract.ts'
import { JOB_BOARDS } from './job-boards.ts'
import { jsonLd } from './json-ld.ts'
import type { Extraction, GaveUp, Page, Strategy } from './posting.ts'
import { selection } from './selection.ts'

/**
 * In order of trust: what the person chose, what the site declares, what we know of a board. What a page looks like
 * (`readability.ts`) comes after all of them, and is not loaded before: it is larger than the rest together.
 */
export const STRATEGIES: readonly Strategy[] = [selection, jsonLd, ...JOB_BOARDS]

/** One strategy's try. Times are as `now` tells them; without `gaveUp` it read the posting. */
export interface Attempt {
  source: PostingSource
  startTime: number
  endTime: number
  gaveUp?: GaveUp
}

/** What came of all tries, in the order they were made; only the last can have read the posting. */
export interface Reading {
  posting?: Posting
  attempts: Attempt[]
}

/**
 * Reads the posting by the first strategy that can. Never throws: a strategy that does is an attempt that gave up as
 * `unreadable` (what was thrown may quote the page, so it is dropped), and the next one tries. Reads the page only.
 */
export function readPosting(page: Page, now: () => number, strategies: readonly Strategy[]): Reading {
  const attempts: Attempt[] = []
  for (const strategy of strategies) {
    const startTime = now()
    const extraction = tried(strategy, page)
    const attempt: Attempt = { source: strategy.source, startTime, endTime: now() }
    if ('posting' in extraction) return { posting: extraction.posting, attempts: [...attempts, attempt] }
    attempts.push({ ...attempt, gaveUp: extraction.gaveUp })
  }
  return { attempts }
}

function tried(strategy: Strategy, page: Page): Extraction {
  try {
    return strategy.read(page)
  } catch {
    return { gaveUp: 'unreadable' }
  }
}
