import { expect, it } from 'vitest'
import { median, medianWithin } from './median.ts'

it('the median of an even number of values lies between the two in the middle, and of none is no number', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([9, 1, 2])).toBe(2)
  expect(median([])).toBeNaN()
})

it('an interval is as wide as few values leave it, and narrows with many', () => {
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => (index + 1) / count)
  expect(medianWithin(upTo(4))).toEqual({ median: 0.625, from: 0.25, to: 1 })
  expect(medianWithin(upTo(100))).toEqual({ median: 0.505, from: 0.41, to: 0.6 })
})
