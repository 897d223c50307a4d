/** The noun of `extract/`: what a strategy reads from a page, or why it could not. */

import type { Posting, PostingSource } from '../../server/request-contract.ts'

/** What a strategy may look at. The document is the page's own; strategies only read. */
export interface Page {
  document: Document
  /** The page's address. Used for its host only; nothing of it is recorded but the host. */
  url: URL
  /** What the person has selected, as text; '' when nothing. */
  selection: string
}

/** Why a strategy gave up, as a code that goes into the trace (`pass_ats.extract.gave_up`). */
export type GaveUp =
  | 'nothing_selected'
  | 'other_site'
  | 'no_json_ld'
  | 'no_job_posting'
  /** More than one posting, and nothing on the page says which of them it is about. */
  | 'several_postings'
  | 'no_description'
  | 'too_short'
  | 'not_a_posting'
  /** The page defeated the strategy: too large, or it threw. */
  | 'unreadable'

/** A strategy's answer. */
export type Extraction = { posting: Posting } | { gaveUp: GaveUp }

/** One way to read a posting; each lives in a file of its own, named as `source`. */
export interface Strategy {
  source: PostingSource
  /** Reads the posting, or says why it gave up. Should it throw after all, the attempt counts as `unreadable`. */
  read(page: Page): Extraction
}

/** Under which name the last strategy is found in the content script's world, once a page needs it. */
export const LAST_RESORT: unique symbol = Symbol.for('pass-ats.last-resort')

/** What a page says about its posting besides the description; '' where it says nothing. */
export interface Heading {
  title: string
  company: string
  location: string
}

/**
 * Most characters (UTF-16 units) of each field. The contract's maxima: repeated here because the contract brings zod
 * with it, which a content script must not carry; a test holds the two together.
 */
export const MAX_LENGTH = { title: 300, company: 200, location: 300, description: 50_000 } as const

/** Fewest characters that can be a description: a teaser or a selected sentence says too little to tailor for. */
export const MIN_DESCRIPTION = 200
