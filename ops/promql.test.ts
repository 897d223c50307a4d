import { expect, it } from 'vitest'
import { groupingLabelsOf, selectorsIn } from './promql.ts'

it('finds each selector with what picks and groups it', () => {
  const expression =
    'sum by (stage) (rate(a_total{x="1"}[5m] offset 1d)) / on (stage) group_left (y) sum by (stage) (b)'
  expect(selectorsIn(expression)).toEqual([
    { metric: 'a_total', matchers: [{ label: 'x', operator: '=', value: '1' }], groupedBy: ['stage'] },
    { metric: 'b', matchers: [], groupedBy: ['stage'] },
  ])
  expect(groupingLabelsOf(expression)).toEqual(['stage', 'stage', 'y', 'stage'])
})

it('takes no label of the grouping for what is behind "and", nor one that label_replace has made', () => {
  expect(
    selectorsIn('sum by (stage, kind) (label_replace(a and on (i) b{v=~".*"}, "kind", "$1", "k", "(.*)"))'),
  ).toEqual([
    { metric: 'a', matchers: [], groupedBy: ['stage'] },
    { metric: 'b', matchers: [{ label: 'v', operator: '=~', value: '.*' }], groupedBy: [] },
  ])
})

it('refuses what Prometheus could not read', () => {
  expect(() => selectorsIn('sum by (stage (a)')).toThrow(SyntaxError)
})
