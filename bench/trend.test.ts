import { expect, it } from 'vitest'
import { trendOf } from './trend.ts'

const MINUTE_MS = 60_000
/** An hour, a sample every ten seconds, with the waves of a collector of garbage. */
const hour = (value: (minute: number) => number) =>
  Array.from({ length: 360 }, (_, index) => ({ atMs: index * 10_000, value: value(index / 6) + (index % 6) * 5 }))

it('sees what grows by a little under waves that are higher', () => {
  expect(
    trendOf(
      hour((minute) => 100 + minute / 10),
      MINUTE_MS,
    ).perHour,
  ).toBeCloseTo(6, 1)
})

it('takes neither waves nor single peaks for growth', () => {
  expect(
    trendOf(
      hour((minute) => (minute > 40 && minute < 45 ? 300 : 100)),
      MINUTE_MS,
    ),
  ).toMatchObject({
    perHour: 0,
    median: 115,
    most: 325,
  })
})

it('says nothing of what it has hardly seen', () => {
  expect(
    trendOf(
      [
        { atMs: 0, value: 1 },
        { atMs: 1, value: 9 },
      ],
      MINUTE_MS,
    ).perHour,
  ).toBeNaN()
})
