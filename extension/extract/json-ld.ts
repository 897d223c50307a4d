/** Reads the posting from schema.org's JobPosting (https://schema.org/JobPosting), which job boards write for search. */

import { finished } from './draft.ts'
import { asNode, isA, type LinkedNode, linkedNodes, list, text } from './linked-data.ts'
import { htmlText, oneLine, severalLines } from './plain-text.ts'
import { type GaveUp, type Heading, MAX_LENGTH, type Page, type Strategy } from './posting.ts'

export const jsonLd: Strategy = {
  source: 'json-ld',
  read(page) {
    const found = jobPosting(page.document)
    if ('gaveUp' in found) return found
    return finished('json-ld', { ...headingOf(found, page), description: description(found.job, page.document) })
  },
}

/** Title, company and location of the page's JobPosting; undefined when it has none, or several. */
export function jsonLdHeading(page: Page): Heading | undefined {
  const found = jobPosting(page.document)
  return 'gaveUp' in found ? undefined : headingOf(found, page)
}

interface Found {
  job: LinkedNode
  /** The other nodes by their `@id`, for properties that only refer to one. A Map: `__proto__` is a legal key. */
  byId: Map<unknown, LinkedNode>
}

function jobPosting(document: Document): Found | { gaveUp: GaveUp } {
  const nodes = linkedNodes(document)
  if (!nodes) return { gaveUp: 'no_json_ld' }
  const jobs = nodes.filter((node) => isA(node, 'JobPosting'))
  const named = jobs.length > 1 ? jobs.filter((job) => isPageAbout(job, document)) : jobs
  // A reference repeats `@id` and little else; the node that says most is the one referred to.
  const byId = new Map<unknown, LinkedNode>()
  for (const node of nodes) {
    const known = byId.get(node['@id'])
    if (node['@id'] && (!known || Object.keys(node).length > Object.keys(known).length)) byId.set(node['@id'], node)
  }
  const [job] = named.filter((candidate) => text(candidate.description) !== '')
  if (job) return { job, byId }
  if (jobs.length > 1 && named.length === 0) return { gaveUp: 'several_postings' } // never the first: it may be another job
  return { gaveUp: jobs.length === 0 ? 'no_job_posting' : 'no_description' }
}

function isPageAbout(job: LinkedNode, document: Document): boolean {
  const title = oneLine(htmlText(text(job.title), document), MAX_LENGTH.title).toLowerCase()
  if (title === '') return false
  const headings = Array.from(document.querySelectorAll('h1')).slice(0, 5)
  if (headings.some((h1) => oneLine(h1.textContent ?? '', MAX_LENGTH.title).toLowerCase() === title)) return true
  return oneLine(document.title, 1_000).toLowerCase().startsWith(title)
}

function headingOf({ job, byId }: Found, { document }: Page): Heading {
  const resolved = (value: unknown): unknown => {
    const node = asNode(value)
    return (node && byId.get(node['@id'])) ?? value
  }
  const line = (value: unknown) => oneLine(htmlText(text(value), document), MAX_LENGTH.location)
  const places = list(job.jobLocation).map((place) => placeName(resolved(place), resolved, line))
  const remote = list(job.jobLocationType).some((type) => /telecommute|remote/i.test(text(type)))
  if (remote) {
    const from = list(job.applicantLocationRequirements).map((area) => placeName(resolved(area), resolved, line))
    places.push(from.some(Boolean) ? `Remote (${unique(from).join('; ')})` : 'Remote')
  }
  return {
    title: line(job.title) || line(job.name),
    company: line(list(job.hiringOrganization).map(resolved)[0]),
    location: unique(places).join('; '),
  }
}

/** `City, Region, Country` of a Place (schema.org/Place), of an administrative area, or the text given instead. */
function placeName(place: unknown, resolved: (v: unknown) => unknown, line: (v: unknown) => string): string {
  const address = resolved(list(asNode(place)?.address)[0] ?? place)
  const node = asNode(address)
  if (!node) return line(address)
  const parts = [node.addressLocality, node.addressRegion, node.addressCountry].map((part) => line(resolved(part)))
  return unique(parts).join(', ') || line(node) || line(asNode(place))
}

/** The description, and what some boards write into properties of its own instead of the description. */
function description(job: LinkedNode, document: Document): string {
  let whole = severalLines(htmlText(text(job.description), document), MAX_LENGTH.description)
  for (const property of ['responsibilities', 'qualifications', 'skills']) {
    const more = severalLines(htmlText(text(job[property]), document), MAX_LENGTH.description)
    if (more && !whole.includes(more)) whole += `\n${more}`
  }
  return whole
}

function unique(names: string[]): string[] {
  return [...new Set(names.filter((name) => name !== ''))]
}
