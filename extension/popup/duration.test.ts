import { expect, test } from 'vitest'
import { agoText, durationText, elapsedText, sizeText } from './duration.ts'

test('a duration has a fitting unit', () => {
  const texts = [-5, 0, 82.4, 999.4, 999.6, 3_400, 59_940, 59_960, 72_000].map(durationText)
  expect(texts).toEqual(['0 ms', '0 ms', '82 ms', '999 ms', '1.0 s', '3.4 s', '59.9 s', '1 min 0 s', '1 min 12 s'])
})

test('a running clock shows whole seconds', () => {
  expect([-1, 999, 59_999, 60_000, 125_000].map(elapsedText)).toEqual(['0 s', '0 s', '59 s', '1 min 0 s', '2 min 5 s'])
})

test('what is past is told in the largest fitting unit', () => {
  const texts = [0, 60_000, 3_599_000, 3_600_000, 86_400_000, 172_800_000].map(agoText)
  expect(texts).toEqual(['just now', '1 min ago', '59 min ago', '1 h ago', '1 day ago', '2 days ago'])
})

test('a size has a fitting unit', () => {
  expect([830, 48_211, 999_700, 1_230_000].map(sizeText)).toEqual(['830 B', '48 KB', '1.0 MB', '1.2 MB'])
})
