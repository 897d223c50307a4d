import { expect, it } from 'vitest'
import { medianRatio, type Pair, ratioOf } from './bootstrap.ts'
import { medianOf } from './median.ts'

/** Always the same numbers, so that nothing here is a matter of luck. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state / 2 ** 31
  }
}

function pairs(count: number, cost: number): Pair[] {
  const random = createRandom(7)
  // The machine is at times three times as slow, for both of a round.
  return Array.from({ length: count }, () => {
    const slow = 1 + 2 * random()
    return { with: 100 * slow * cost * (0.98 + 0.04 * random()), without: 100 * slow * (0.98 + 0.04 * random()) }
  })
}

it('finds a cost of a twentieth on a machine that is at times three times as slow', () => {
  const { ratio, from, to } = ratioOf(pairs(300, 1.05), medianOf, createRandom(1))
  expect(from).toBeGreaterThan(1.02)
  expect(to).toBeLessThan(1.08)
  expect(ratio).toBeGreaterThan(from)
})

it('does not find one where there is none, and says how little it knows of few', () => {
  const many = ratioOf(pairs(300, 1), medianOf, createRandom(1))
  expect(many.from).toBeLessThan(1)
  expect(many.to).toBeGreaterThan(1)
  const few = ratioOf(pairs(10, 1), medianOf, createRandom(1))
  expect(few.to - few.from).toBeGreaterThan(many.to - many.from)
})

it('knows nothing of nothing', () => {
  expect(medianRatio([]).ratio).toBeNaN()
})
