import { expect, it } from 'vitest'
import { countMatched, keywordsOf, score, words } from './keywords.ts'

it('keeps the marks that names need', () => {
  expect(words('C++, C#, Node.js and CI/CD.')).toEqual(['c++', 'c#', 'node.js', 'and', 'ci/cd'])
})

it('ranks what the posting names often, its title first, and drops what every posting says', () => {
  const keywords = keywordsOf({
    title: 'Kafka Engineer',
    description: 'We use Kafka and Go. Go is required. Experience with Go.',
  })
  expect(keywords.map(({ term }) => term)).toEqual(['kafka', 'engineer', 'go'])
  expect(keywords[0]).toEqual({ term: 'kafka', weight: 6 })
})

it('takes at most 40 terms from a posting', () => {
  const description = Array.from({ length: 200 }, (_, index) => `term${index}x`).join(' ')
  expect(keywordsOf({ title: '', description })).toHaveLength(40)
})

it('scores a text by the terms it holds, each once, whole words only', () => {
  const keywords = [
    { term: 'go', weight: 3 },
    { term: 'kafka', weight: 2 },
  ]
  expect(score('Go, go, GO with Kafka', keywords)).toBe(5)
  expect(score('good', keywords)).toBe(0)
  expect(countMatched(['uses Kafka', 'and nothing else'], keywords)).toBe(1)
})
