/** Title, company and location of whatever the page is about, for strategies that find only a description. */

import { first, type Place } from './job-board.ts'
import { JOB_BOARDS } from './job-boards.ts'
import { jsonLdHeading } from './json-ld.ts'
import { elementText, oneLine } from './plain-text.ts'
import { type Heading, MAX_LENGTH, type Page } from './posting.ts'

/** What stands where a title would, on a page that has its title elsewhere. */
const NOT_A_TITLE =
  /^(?:careers?|jobs?|join (?:us|our team)|work (?:with|for) us|vacanc(?:y|ies)|(?:open|current) (?:positions?|roles?|vacancies)|job (?:description|details|posting|vacancy)|we(?:['’]re| are) hiring!?|home|karriere|jobs & karriere|carrières?)$/i

/**
 * Title, company and location from the best source for each: JSON-LD, a job board's markup, then the headings, labels
 * and title of the document. '' where none says.
 */
export function pageHeading(page: Page): Heading {
  const known = [jsonLdHeading(page), ...JOB_BOARDS.map((board) => board.heading(page))]
  const best = (field: keyof Heading) => known.map((heading) => heading?.[field]).find(Boolean)
  const title = best('title') ?? documentTitle(page.document)
  return {
    title,
    company: best('company') ?? documentCompany(page.document, title),
    location: best('location') ?? first(LOCATION, page.document, MAX_LENGTH.location),
  }
}

function documentTitle(document: Document): string {
  const headings = document.querySelectorAll('[itemprop="title"], main h1, article h1, h1, main h2, article h2')
  // In document order; the h1 of a site's banner loses to the one inside the content.
  const inOrder = Array.from(headings).slice(0, 20)
  const rank = (heading: Element) =>
    heading.localName === 'h2' ? 2 : heading.closest('main, article, [itemprop="title"]') ? 0 : 1
  const texts = inOrder
    .sort((a, b) => rank(a) - rank(b))
    .map((heading) => oneLine(elementText(heading, document), MAX_LENGTH.title))
  return texts.find((text) => text !== '' && !NOT_A_TITLE.test(text)) ?? titleParts(document)[0] ?? ''
}

function documentCompany(document: Document, title: string): string {
  const said = first(
    [
      '[itemprop="hiringOrganization"] [itemprop="name"]',
      '[itemprop="hiringOrganization"]',
      'meta[property="og:site_name"]',
    ],
    document,
    MAX_LENGTH.company,
  )
  if (said) return said
  // "Title | Careers | Company": what is neither the title nor a section's name, from the end.
  const others = titleParts(document).filter((part) => part !== title && !NOT_A_TITLE.test(part))
  return titleParts(document).length > 1 ? (others.at(-1) ?? '') : ''
}

function titleParts(document: Document): string[] {
  return oneLine(document.title, 1_000)
    .split(/\s+[|·•–—-]\s+/)
    .filter((part) => part !== '')
}

/** A label such as "Location" in a definition list, a table or a paragraph, and what stands beside it. */
const LABELLED =
  /^(?:(?:job |work(?:ing)? )?locations?|place of work|workplace|based in|standort|arbeitsort|lieu(?: de travail)?|ubicación)\s*:?$/i

const LOCATION: readonly Place[] = [
  '[itemprop="jobLocation"] [itemprop="address"]',
  '[itemprop="jobLocation"]',
  (document) => {
    const labels = Array.from(document.querySelectorAll('dt, th, strong, b, span, h3, h4')).slice(0, 2_000)
    const label = labels.find((element) => LABELLED.test((element.textContent ?? '').slice(0, 60).trim()))
    if (!label) return ''
    const beside = label.nextElementSibling
    if (beside && /^(?:dd|td|span|p|div)$/.test(beside.localName)) return elementText(beside, document).slice(0, 200)
    // "<strong>Location:</strong> Bergen": the rest of the line the label stands on.
    const following = label.nextSibling?.textContent ?? ''
    return following.split('\n')[0]?.replace(/^\s*:?\s*/, '') ?? ''
  },
  '.job-location, .job_location, .location',
]
