import { describe, expect, test } from 'vitest'
import { pageOf, SAVED_PAGES, savedHtml } from '../../fixtures/postings/saved-page.ts'
import { POSTING_SOURCES, Posting } from '../../server/request-contract.ts'
import { Attempts } from '../attempts.ts'
import { MAX_LENGTH, type Page, type Strategy } from './posting.ts'
import { readability } from './readability.ts'
import { STRATEGIES as FIRST_STRATEGIES, readPosting as readBy } from './strategies.ts'

/** As a page sees them, whose last one comes in a file of its own. */
const STRATEGIES = [...FIRST_STRATEGIES, readability]
function readPosting(page: Page, strategies: readonly Strategy[] = STRATEGIES) {
  const attempts = new Attempts()
  const posting = readBy(page, attempts, strategies)
  return { ...(posting ? { posting } : {}), attempts: attempts.attempts }
}

describe.each(SAVED_PAGES)('the saved page %s', (name, saved) => {
  const open = () => pageOf(savedHtml(name), `https://${saved.host}${saved.path}`)

  if ('notAPosting' in saved) {
    test('is not taken for a posting', () => {
      const { posting, attempts } = readPosting(open())
      expect(posting).toBeUndefined()
      expect(attempts.at(-1)).toMatchObject({ source: 'readability', gaveUp: 'not_a_posting' })
    })
  } else {
    test('is read word for word, by the strategy it was made for', () => {
      const { host, path, ...expected } = saved
      const { posting, attempts } = readPosting(open())
      expect(posting).toEqual(expected)
      expect(Posting.safeParse(posting)).toMatchObject({ success: true })
      expect(attempts.at(-1)).toMatchObject({ source: expected.source })
      expect(attempts.at(-1)).not.toHaveProperty('gaveUp')
      expect(attempts.slice(0, -1).every(({ gaveUp }) => gaveUp)).toBe(true)
    })
  }

  test('is left as it was', () => {
    const page = open()
    const before = page.document.documentElement.outerHTML
    readPosting(page)
    readPosting({ ...page, selection: page.document.body.textContent ?? '' })
    for (const strategy of STRATEGIES) strategy.read(page)
    expect(page.document.documentElement.outerHTML).toBe(before)
  })

  test('would have the browser fetch nothing', () => {
    expect(savedHtml(name)).not.toMatch(
      /\ssrc(?:set)?="(?!data:)|<link[^>]+rel="(?:stylesheet|preload|preconnect)|url\(|@import/i,
    )
  })
})

test('the strategies are those of the contract, in its order of trust', () => {
  expect(STRATEGIES.map(({ source }) => source)).toEqual(POSTING_SOURCES)
})

test('the maxima are those of the contract', () => {
  const posting = { source: 'selection', title: '', company: '', location: '', description: 'x' }
  for (const [field, max] of Object.entries(MAX_LENGTH)) {
    expect(Posting.safeParse({ ...posting, [field]: 'x'.repeat(max) }).success).toBe(true)
    expect(Posting.safeParse({ ...posting, [field]: 'x'.repeat(max + 1) }).success).toBe(false)
  }
})

test('a strategy that throws is an attempt, and the next one reads', () => {
  const broken: Strategy = {
    source: 'json-ld',
    read() {
      throw new Error('a page nobody thought of')
    },
  }
  const posting = { source: 'lever', title: '', company: '', location: '', description: 'x' } as const
  const reading = readPosting(pageOf(''), [broken, { source: 'lever', read: () => ({ posting }) }])
  expect(reading).toEqual({
    posting,
    attempts: [
      { source: 'json-ld', took: expect.any(Number), gaveUp: 'unreadable' },
      { source: 'lever', took: expect.any(Number) },
    ],
  })
})

test('strategies for which there is nothing are not worth a record', () => {
  const { attempts } = readPosting(pageOf('<p>Nothing here</p>'))
  expect(attempts.map(({ gaveUp }) => gaveUp)).toEqual(['no_json_ld', 'not_a_posting'])
})

describe('a hostile page', () => {
  const POSTING = `<h1>Clerk</h1><h2>Responsibilities</h2><p>${'We are looking for a clerk. '.repeat(20)}</p>
    <h2>Requirements</h2><ul><li>3 years of experience, full-time</li></ul><a href="#">Apply now</a>`

  /** That it comes to an end at all is what the test's own time-out asserts. */
  const read = (html: string, selection = '') => {
    const reading = readPosting(pageOf(html, undefined, selection))
    if (reading.posting) expect(Posting.safeParse(reading.posting)).toMatchObject({ success: true })
    return reading
  }

  test('with 20,000 elements is still read, and with 200,000 given up', () => {
    const page = (paragraphs: number) => `<main>${POSTING}${'<p><b>x</b></p>'.repeat(paragraphs)}</main>`
    expect(read(page(10_000)).posting).toMatchObject({ title: 'Clerk' })
    expect(read(page(100_000)).attempts.at(-1)).toMatchObject({ gaveUp: 'unreadable' })
  })

  test('nested as deep as a browser allows, with thousands of paragraphs at the bottom, is given up too', () => {
    const { attempts } = read(`${'<div>'.repeat(480)}${POSTING}${'<p>x</p>'.repeat(5_000)}`)
    expect(attempts.at(-1)).toMatchObject({ gaveUp: 'unreadable' })
  })

  test('nested 5,000 deep is given up without running out of stack', () => {
    read(`${'<div>'.repeat(5_000)}${POSTING}${'</div>'.repeat(5_000)}`)
  })

  test('with a description of a hundred thousand characters is cut to the maximum', () => {
    const job = {
      '@type': 'JobPosting',
      title: 'x'.repeat(5_000),
      description: '<p>All work 👷 and no play.</p>'.repeat(4_000),
    }
    const { posting } = read(`<script type="application/ld+json">${JSON.stringify(job)}</script>`)
    expect(posting?.description.length).toBeGreaterThan(MAX_LENGTH.description - 50)
    expect(posting?.description.length).toBeLessThanOrEqual(MAX_LENGTH.description)
    expect(posting?.title).toHaveLength(MAX_LENGTH.title)
  })

  test('with an enormous selection is cut to the maximum', () => {
    const { posting } = read('<h1>Clerk</h1>', 'All work and no play.\n'.repeat(500_000))
    expect(posting?.description.length).toBeLessThanOrEqual(MAX_LENGTH.description)
  })

  test('with keys like __proto__ in its JSON-LD changes nothing but the reading', () => {
    const job = `{"@type":"JobPosting","@id":"__proto__","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},
      "title":"Clerk","hiringOrganization":{"@id":"__proto__"},"description":"${'Sort the post. '.repeat(30)}"}`
    const { posting } = read(`<script type="application/ld+json">${job}</script>`)
    expect(posting).toMatchObject({ source: 'json-ld', title: 'Clerk' })
    expect({}).not.toHaveProperty('polluted')
  })

  test('whose graph refers to itself in a circle is read', () => {
    const graph = [
      {
        '@id': '#a',
        '@type': 'JobPosting',
        title: 'Clerk',
        description: 'Sort the post. '.repeat(30),
        hiringOrganization: { '@id': '#b' },
        jobLocation: { '@id': '#c' },
      },
      { '@id': '#b', '@type': 'Organization', name: { '@id': '#b' }, parentOrganization: { '@id': '#a' } },
      { '@id': '#c', '@type': 'Place', address: { '@id': '#c' } },
    ]
    const { posting } = read(`<script type="application/ld+json">${JSON.stringify({ '@graph': graph })}</script>`)
    expect(posting).toMatchObject({ title: 'Clerk', company: '', location: '' })
  })

  test('with JSON-LD nested 100,000 deep, or in 1,000 scripts, ends', () => {
    read(`<script type="application/ld+json">${'['.repeat(100_000)}${']'.repeat(100_000)}</script>`)
    read('<script type="application/ld+json">{"@type":"JobPosting"}</script>'.repeat(1_000))
  })

  test('whose form fields shadow the properties of the document defeats no more than it must', () => {
    const shadows = ['firstChild', 'nodeType', 'nodeName', 'getAttribute', 'textContent', 'children', 'closest']
    const form = `<form>${shadows.map((name) => `<input name="${name}">`).join('')}${POSTING}</form>`
    expect(read(`<main>${form}</main>`).posting).toMatchObject({ source: 'readability', title: 'Clerk' })
    const { attempts } = read(`<img name="querySelector"><img name="querySelectorAll"><main>${POSTING}</main>`)
    expect(attempts.map(({ source }) => source)).toEqual(STRATEGIES.slice(1).map(({ source }) => source))
  })
})
