/** What a strategy found, before it is cleaned and clipped. */

import type { PostingSource } from '../../server/request-contract.ts'
import { oneLine, severalLines } from './plain-text.ts'
import { type Extraction, type Heading, MAX_LENGTH, MIN_DESCRIPTION } from './posting.ts'

/** A posting in the making: text of any length, with whatever characters the page used. */
export interface Draft extends Heading {
  description: string
}

/**
 * The draft as a posting that the contract accepts: cleaned, each field within its maximum. Gives up with
 * `no_description`, or with `too_short` when the description has fewer characters than MIN_DESCRIPTION.
 */
export function finished(source: PostingSource, draft: Draft): Extraction {
  const description = severalLines(draft.description, MAX_LENGTH.description)
  if (description === '') return { gaveUp: 'no_description' }
  if (description.length < MIN_DESCRIPTION) return { gaveUp: 'too_short' }
  return {
    posting: {
      source,
      title: oneLine(draft.title, MAX_LENGTH.title),
      company: oneLine(draft.company, MAX_LENGTH.company),
      location: oneLine(draft.location, MAX_LENGTH.location),
      description,
    },
  }
}
