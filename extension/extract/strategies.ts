/** The ways to read a posting, in order of trust, and the trying of one after the other. */

import type { Posting } from '../../server/request-contract.ts'
import type { Attempts } from '../attempts.ts'
import { JOB_BOARDS } from './job-boards.ts'
import { jsonLd } from './json-ld.ts'
import type { Extraction, Page, Strategy } from './posting.ts'
import { selection } from './selection.ts'

/**
 * In order of trust: what the person chose, what the site declares, what we know of a board. What a page looks like
 * (`readability.ts`) comes after all of them, and is not loaded before: it is larger than the rest together.
 */
export const STRATEGIES: readonly Strategy[] = [selection, jsonLd, ...JOB_BOARDS]

/**
 * Reads the posting by the first strategy that can; undefined when none can. Never throws: a strategy that does is an
 * attempt that gave up as `unreadable` (what was thrown may quote the page, so it is dropped), and the next one tries.
 * Reads the page only.
 */
export function readPosting(page: Page, attempts: Attempts, strategies: readonly Strategy[]): Posting | undefined {
  for (const strategy of strategies) {
    const extraction = tried(strategy, page)
    attempts.ended(strategy.source, extraction)
    if ('posting' in extraction) return extraction.posting
  }
  return undefined
}

function tried(strategy: Strategy, page: Page): Extraction {
  try {
    return strategy.read(page)
  } catch {
    return { gaveUp: 'unreadable' }
  }
}
