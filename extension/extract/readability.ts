/** Last resort: the main text of any page (Mozilla's Readability), if it is a job posting at all. */

import { Readability } from '@mozilla/readability'
import { finished } from './draft.ts'
import { pageHeading } from './heading.ts'
import { elementText } from './plain-text.ts'
import { MIN_DESCRIPTION, type Page, type Strategy } from './posting.ts'
import { isPosting } from './signs.ts'

/**
 * Largest page handed to Readability: the sum of its elements' depths, since it asks every ancestor for its text, in up
 * to four passes. 10,000 paragraphs 480 deep took Chromium 37 s; 25,000 in a shallow page, 150,000 by this sum, 0.4 s.
 */
const MAX_WEIGHT = 300_000
const SHOW_ELEMENTS = 0x1

export const readability: Strategy = {
  source: 'readability',
  read(page) {
    const { document } = page
    if (isTooLarge(document)) return { gaveUp: 'unreadable' }
    const heading = pageHeading(page)
    for (const text of [article(page), content(page)]) {
      if (text.length < MIN_DESCRIPTION || !isPosting(text, heading.title, document)) continue
      return finished('readability', { ...heading, description: text })
    }
    return { gaveUp: 'not_a_posting' }
  },
}

/** What Readability takes for the article, from a copy: it rearranges the document it is given. */
function article({ document }: Page): string {
  const copy = document.cloneNode(true) as Document
  const found = new Readability<Node>(copy, { serializer: (node) => node, disableJSONLD: true }).parse()
  return found?.content ? elementText(found.content, copy) : ''
}

/** The element that the page itself calls its content: Readability drops short lists, of which postings consist. */
function content({ document }: Page): string {
  const main = document.querySelector('main, [role="main"], article')
  return main ? elementText(main, document) : ''
}

function isTooLarge(document: Document): boolean {
  const walker = document.createTreeWalker(document, SHOW_ELEMENTS)
  let depth = 0
  for (let weight = 0; weight <= MAX_WEIGHT; weight += depth) {
    if (walker.firstChild()) {
      depth++
      continue
    }
    while (!walker.nextSibling()) {
      if (!walker.parentNode()) return false
      depth--
    }
  }
  return true
}
