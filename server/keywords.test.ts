import { expect, it } from 'vitest'
import { SAVED_PAGES } from '../fixtures/postings/saved-page.ts'
import { covered, type Keyword, keywordsOf, score, words } from './keywords.ts'
import type { Posting } from './request-contract.ts'

const termsOf = (description: string, title = '') => keywordsOf({ title, description }).map(({ text }) => text)
const coveredBy = (terms: readonly Keyword[], ...texts: string[]) => [...covered(texts, terms)].map(({ text }) => text)

it('keeps the marks that names need', () => {
  expect(words('C++, C#, .NET, Node.js and CI/CD.')).toEqual(['c++', 'c#', '.net', 'node.js', 'and', 'ci', 'cd'])
})

it.each([
  ['K8s', 'Kubernetes'],
  ['JS', 'JavaScript'],
  ['NodeJS', 'Node.js'],
  ['ML', 'machine learning'],
  ['machine-learning', 'Machine Learning'],
  ['REST APIs', 'REST API'],
  ['batteries', 'battery'],
  ['CI/CD', 'CICD'],
])('sees %s in %s', (one, other) => {
  expect(words(one)).toEqual(words(other))
})

it.each([
  ['process', 'proces'],
  ['Java', 'JavaScript'],
  ['C', 'C#'],
  ['AWS', 'AW'],
])('does not take %s for %s', (one, other) => {
  expect(words(one)).not.toEqual(words(other))
})

it('ranks what the posting names often, its title first, and drops what every posting says', () => {
  const keywords = keywordsOf({
    title: 'Kafka Engineer',
    description: 'We use Kafka and Go. Go is required. Experience with Go.',
  })
  expect(keywords.map(({ text }) => text)).toEqual(['Kafka', 'Engineer', 'Go'])
  expect(keywords[0]).toEqual({ text: 'Kafka', term: 'kafka', weight: 6 })
})

it('takes terms of several words as one', () => {
  expect(termsOf('You know machine learning, Power Query and project management.')).toEqual([
    'machine learning',
    'Power Query',
    'project management',
  ])
})

it('takes an ordinary word only when the posting insists on it, and never the employer\u2019s own name', () => {
  const description = 'Acme likes forecasts. You explain a forecast, and every forecast to a baker. Acme bakes.'
  expect(keywordsOf({ title: '', description, company: 'Acme', location: '' }).map(({ text }) => text)).toEqual([
    'forecasts',
  ])
})

it('does not take the first word of a line or sentence for a name', () => {
  expect(termsOf('- Bring the latency down\n- Move the services\nComfort matters. Patience helps.')).toEqual([])
})

it('takes at most 40 terms from a posting', () => {
  const description = Array.from({ length: 200 }, (_, index) => `Term${index}x`).join(' ')
  expect(keywordsOf({ title: '', description })).toHaveLength(40)
})

it('scores a text by the terms it holds, each once, whole words only', () => {
  const keywords = [
    { text: 'Go', term: 'go', weight: 3 },
    { text: 'Kafka', term: 'kafka', weight: 2 },
  ]
  expect(score('Go, go, GO with Kafka', keywords)).toBe(5)
  expect(score('good', keywords)).toBe(0)
})

it('says which terms are covered, and finds none across two texts', () => {
  const terms = keywordsOf({ title: '', description: 'We do machine learning with Kafka on K8s.' })
  expect(coveredBy(terms, 'Ran Kubernetes', 'Fixed a machine', 'learning Go')).toEqual(['K8s'])
  expect(coveredBy(terms, 'ML in production')).toEqual(['machine learning'])
})

it.each(SAVED_PAGES.filter(([, page]) => 'title' in page))('finds what a reader would look for in %s', (_, page) => {
  const terms = keywordsOf(page as Posting).map(({ text }) => text)
  expect(terms.length).toBeGreaterThan(2)
  expect(terms.filter((term) => /^(the|and|you|our|with|will|to|a)$/i.test(term))).toEqual([])
})
