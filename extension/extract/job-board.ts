/** A job board as a strategy: where in its markup the posting stands. */

import type { PostingSource } from '../../server/request-contract.ts'
import { finished } from './draft.ts'
import { elementText, oneLine } from './plain-text.ts'
import { type Heading, MAX_LENGTH, MIN_DESCRIPTION, type Page, type Strategy } from './posting.ts'

/**
 * Where a field stands: a CSS selector, whose first match with text counts (a `meta`'s content, an `img`'s alternative
 * text), or a function of the document.
 */
export type Place = string | ((document: Document) => string)

export interface Markup {
  source: PostingSource
  /** Hosts the board itself serves. */
  hosts: RegExp
  /** Matches only this board's markup, so that a board embedded in a company's own site is recognized too. */
  mark: string
  title: readonly Place[]
  company: readonly Place[]
  location: readonly Place[]
  /** Selectors in order of preference; of one selector, all matches together are the description. */
  description: readonly string[]
}

/** A strategy that can also tell the heading alone, for a description that comes from elsewhere. */
export interface JobBoard extends Strategy {
  /** Title, company and location; undefined when the page is not this board's. */
  heading(page: Page): Heading | undefined
}

/** The board with this markup. On other sites `read` answers `other_site` after one query of the document. */
export function jobBoard(markup: Markup): JobBoard {
  const isHere = ({ url, document }: Page) =>
    markup.hosts.test(url.hostname) || document.querySelector(markup.mark) !== null
  const heading = ({ document }: Page): Heading => ({
    title: first(markup.title, document, MAX_LENGTH.title),
    company: first(markup.company, document, MAX_LENGTH.company),
    location: first(markup.location, document, MAX_LENGTH.location),
  })
  return {
    source: markup.source,
    heading: (page) => (isHere(page) ? heading(page) : undefined),
    read(page) {
      if (!isHere(page)) return { gaveUp: 'other_site' }
      return finished(markup.source, { ...heading(page), description: description(markup, page.document) })
    },
  }
}

/** The first of these places that holds text, on one line of at most `max` characters; '' when none does. */
export function first(places: readonly Place[], document: Document, max: number): string {
  for (const place of places) {
    if (typeof place === 'function') {
      const text = oneLine(place(document), max)
      if (text !== '') return text
      continue
    }
    for (const element of Array.from(document.querySelectorAll(place)).slice(0, 10)) {
      const text = oneLine(fieldText(element, document), max)
      if (text !== '') return text
    }
  }
  return ''
}

function fieldText(element: Element, document: Document): string {
  if (element.localName === 'meta') return element.getAttribute('content') ?? ''
  if (element.localName === 'img') return (element.getAttribute('alt') ?? '').replace(/\s*\blogo\s*$/i, '')
  return elementText(element, document)
}

function description({ description: selectors }: Markup, document: Document): string {
  let longest = ''
  for (const selector of selectors) {
    const parts = Array.from(document.querySelectorAll(selector)).slice(0, 100)
    const outermost = parts.filter((part, i) => i === 0 || !parts.slice(0, i).some((other) => other.contains(part)))
    const text = outermost.map((part) => elementText(part, document)).join('\n')
    if (text.length >= MIN_DESCRIPTION) return text
    if (text.length > longest.length) longest = text
  }
  return longest
}
