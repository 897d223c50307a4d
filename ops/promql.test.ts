import { expect, it } from 'vitest'
import { selectorsIn } from './promql.ts'

it('finds each selector with the labels that pick and group it', () => {
  expect(selectorsIn('sum by (stage) (rate(a_total{x="1"}[5m] offset 1d)) / on (stage) sum by (stage) (b)')).toEqual([
    { metric: 'a_total', labels: ['x', 'stage'] },
    { metric: 'b', labels: ['stage'] },
  ])
})

it('takes no label of the grouping for what is behind "and", nor one that label_replace has made', () => {
  expect(
    selectorsIn('sum by (stage, kind) (label_replace(a and on (i) b{v=~".*"}, "kind", "$1", "k", "(.*)"))'),
  ).toEqual([
    { metric: 'a', labels: ['stage'] },
    { metric: 'b', labels: ['v'] },
  ])
})

it('refuses what Prometheus could not read', () => {
  expect(() => selectorsIn('sum by (stage (a)')).toThrow(SyntaxError)
})
