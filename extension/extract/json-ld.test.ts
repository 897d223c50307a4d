import { expect, test } from 'vitest'
import { pageOf } from '../../fixtures/postings/saved-page.ts'
import { jsonLd } from './json-ld.ts'

const DUTY = 'Keep the lighthouse lit, log what passes, and write to the board twice a month about what you saw. '
const LONG = DUTY.repeat(3).trim()

const script = (value: unknown) =>
  `<script type="application/ld+json">${typeof value === 'string' ? value : JSON.stringify(value)}</script>`
const read = (html: string) => jsonLd.read(pageOf(html))
const readJob = (job: Record<string, unknown>) =>
  read(script({ '@type': 'JobPosting', title: 'Keeper', description: LONG, ...job }))
const posting = (fields: Record<string, string>) => ({ posting: expect.objectContaining(fields) })

test('a page without JSON-LD, and one without a JobPosting in it, say so', () => {
  expect(read('<p>Keeper wanted</p>')).toEqual({ gaveUp: 'no_json_ld' })
  expect(read(script({ '@type': 'Organization', name: 'JobPosting' }))).toEqual({ gaveUp: 'no_job_posting' })
})

test('a broken script does not stop the others', () => {
  const broken = script('{"@type": "JobPosting", "title": "Broken",, }')
  expect(read(broken + script({ '@type': 'JobPosting', title: 'Keeper', description: LONG }))).toEqual(
    posting({ title: 'Keeper' }),
  )
})

test('raw line breaks inside strings, which JSON forbids, are forgiven', () => {
  expect(read(script(`{"@type":"JobPosting","title":"Keeper","description":"${LONG}\n\t${LONG}"}`))).toEqual(
    posting({ title: 'Keeper' }),
  )
})

test.each([
  ['bare', 'JobPosting'],
  ['in a list', ['Thing', 'JobPosting']],
  ['prefixed', 'schema:JobPosting'],
  ['as an address', 'https://schema.org/JobPosting'],
])('the type is recognized %s', (_, type) => {
  expect(readJob({ '@type': type })).toEqual(posting({ title: 'Keeper' }))
})

test('a posting is found however deep it is nested', () => {
  const job = { '@type': 'JobPosting', title: 'Keeper', description: LONG }
  expect(read(script([[{ '@type': 'WebPage', mainEntity: { '@type': 'ItemPage', about: [job] } }]]))).toEqual(
    posting({ title: 'Keeper' }),
  )
})

test('of several postings the one that the page is about is read, and none if that can’t be told', () => {
  const jobs = ['Clerk', 'Keeper'].map((title) => ({ '@type': 'JobPosting', title, description: `${title}: ${LONG}` }))
  expect(read(`${script(jobs)}<h1>Keeper</h1>`)).toEqual(posting({ title: 'Keeper' }))
  expect(read(`${script(jobs)}<h1>All our openings</h1>`)).toEqual({ gaveUp: 'several_postings' })
})

test.each([
  ['HTML', `<p>${LONG}</p><ul><li>Oil&nbsp;lamps</li><li>Fog &amp; horn</li></ul>`],
  [
    'encoded HTML',
    `&lt;p&gt;${LONG}&lt;/p&gt;&lt;ul&gt;&lt;li&gt;Oil&amp;nbsp;lamps&lt;/li&gt;&lt;li&gt;Fog &amp;amp; horn&lt;/li&gt;&lt;/ul&gt;`,
  ],
  [
    'twice encoded HTML',
    `&amp;lt;p&amp;gt;${LONG}&amp;lt;/p&amp;gt;&amp;lt;ul&amp;gt;&amp;lt;li&amp;gt;Oil lamps&amp;lt;/li&amp;gt;&amp;lt;li&amp;gt;Fog &amp;amp;amp; horn&amp;lt;/li&amp;gt;&amp;lt;/ul&amp;gt;`,
  ],
  ['plain text', `${LONG}\n\n\u2022 Oil lamps\n• Fog &amp; horn`],
])('a description in %s becomes the same lines', (_, description) => {
  expect(readJob({ description })).toEqual(posting({ description: `${LONG}\n- Oil lamps\n- Fog & horn` }))
})

test('a sign such as "<" in plain text stays what it is', () => {
  expect(readJob({ description: `${LONG} Latency &lt; 5 ms, a < b > c.` })).toEqual(
    posting({ description: `${LONG} Latency < 5 ms, a < b > c.` }),
  )
})

test('what is written outside the description is added, unless the description has it', () => {
  const result = readJob({ responsibilities: DUTY, qualifications: '<ul><li>A steady hand</li></ul>', skills: 'Knots' })
  expect(result).toEqual(posting({ description: `${LONG}\n- A steady hand\nKnots` }))
})

test('a teaser is too short to be a description', () => {
  expect(readJob({ description: 'Apply now!' })).toEqual({ gaveUp: 'too_short' })
  expect(readJob({ description: '' })).toEqual({ gaveUp: 'no_description' })
})

test.each([
  ['a string', 'Gull Rock Lights', 'Gull Rock Lights'],
  ['an object', { '@type': 'Organization', name: 'Gull &amp; Rock' }, 'Gull & Rock'],
  ['a list', [{ name: 'Gull Rock Lights' }, { name: 'Partner' }], 'Gull Rock Lights'],
  ['missing', undefined, ''],
])('the organization may be %s', (_, hiringOrganization, company) => {
  expect(readJob({ hiringOrganization })).toEqual(posting({ company }))
})

const address = (addressLocality: string, addressRegion?: string, addressCountry?: unknown) => ({
  '@type': 'Place',
  address: { '@type': 'PostalAddress', addressLocality, addressRegion, addressCountry },
})
test.each([
  ['a place', { jobLocation: address('Visby', 'Gotland', 'SE') }, 'Visby, Gotland, SE'],
  ['a country with a name', { jobLocation: address('Visby', undefined, { name: 'Sweden' }) }, 'Visby, Sweden'],
  ['a city that is its own region', { jobLocation: address('Berlin', 'Berlin', 'DE') }, 'Berlin, DE'],
  ['several', { jobLocation: [address('Visby'), address('Fårö'), address('Visby')] }, 'Visby; Fårö'],
  ['a string', { jobLocation: 'Gull Rock' }, 'Gull Rock'],
  ['an address as a string', { jobLocation: { '@type': 'Place', address: 'Gull Rock 1' } }, 'Gull Rock 1'],
  ['remote', { jobLocationType: 'TELECOMMUTE' }, 'Remote'],
  [
    'remote from somewhere',
    { jobLocationType: 'TELECOMMUTE', applicantLocationRequirements: { '@type': 'Country', name: 'Norway' } },
    'Remote (Norway)',
  ],
  ['a place or remote', { jobLocation: address('Visby'), jobLocationType: 'TELECOMMUTE' }, 'Visby; Remote'],
  ['nothing', {}, ''],
])('the location may be %s', (_, job, location) => {
  expect(readJob(job)).toEqual(posting({ location }))
})
