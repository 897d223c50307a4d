import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { isSampled } from './sampling.ts'

test('the threshold is that of one percent, on the first 24 of the 56 random bits', () => {
  const id = (digits: string) => `${'0'.repeat(18)}${digits}${'0'.repeat(8)}`
  expect(['fd70a3', 'fd70a4', 'ffffff', '000000'].map(id).map(isSampled)).toEqual([false, true, true, false])
})

test('about one random ID in a hundred is chosen', () => {
  const chosen = Array.from({ length: 100_000 }, () => randomBytes(16).toString('hex')).filter(isSampled).length
  // Ten standard deviations: never in the life of this project.
  expect(chosen).toBeGreaterThan(1_000 - 315)
  expect(chosen).toBeLessThan(1_000 + 315)
})
