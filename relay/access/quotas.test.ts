import { expect, test } from 'vitest'
import { createQuotas, type Limits } from './quotas.ts'

const HOUR_MS = 3_600_000
const limits = (install: number, overall?: number): Limits => ({
  install: { runs: install },
  address: {},
  overall: overall === undefined ? {} : { runs: overall },
  synthetic: {},
})

function quotas(of: Limits, maxBuckets?: number) {
  const clock = { now: 1_000_000 }
  const { charge, size } = createQuotas(of, () => clock.now, maxBuckets)
  return { clock, size, runs: (install: string, cost = 1) => charge({ install, overall: '' }, 'runs', cost) }
}

test('A bucket fills steadily, and never beyond its limit', () => {
  const { clock, runs } = quotas(limits(4))
  expect(runs('a', 4)).toBeUndefined()
  expect(runs('a')).toMatchObject({ left: 0, retryAfterS: 900 })
  clock.now += HOUR_MS / 4 - 1
  expect(runs('a')).toMatchObject({ left: 0, retryAfterS: 1 })
  clock.now += 1
  expect(runs('a')).toBeUndefined()
  clock.now += 100 * HOUR_MS
  expect(runs('a', 4)).toBeUndefined()
  expect(runs('a')).toMatchObject({ left: 0 })
})

test('What costs more than a bucket holds needs a full one, and has to be paid off', () => {
  const { clock, runs } = quotas(limits(4))
  expect(runs('a', 8)).toBeUndefined()
  expect(runs('a')).toMatchObject({ left: 0, retryAfterS: 5 * 900 })
  clock.now += 2 * HOUR_MS - 1
  expect(runs('a', 8)).toMatchObject({ retryAfterS: 1 })
  clock.now += 1
  expect(runs('a', 8)).toBeUndefined()
})

test('When one level refuses, no level is charged; the one to wait for longest is named', () => {
  const { clock, runs } = quotas(limits(2, 3))
  expect([runs('a'), runs('a')]).toEqual([undefined, undefined])
  expect(runs('a')).toMatchObject({ level: 'install', limit: 2 })
  expect(runs('b')).toBeUndefined()
  expect(runs('b')).toMatchObject({ level: 'overall', limit: 3, retryAfterS: 1_200 })
  expect(runs('a')).toMatchObject({ level: 'install', retryAfterS: 1_800 })
  clock.now += HOUR_MS / 3
  expect(runs('b')).toBeUndefined()
})

test('A clock that is set back fills nothing and takes nothing, and goes on filling from there', () => {
  const { clock, runs } = quotas(limits(2))
  runs('a', 2)
  clock.now -= 10 * HOUR_MS
  expect(runs('a')).toMatchObject({ left: 0, retryAfterS: 1_800 })
  clock.now += HOUR_MS / 2
  expect(runs('a')).toBeUndefined()
})

test('Buckets are bounded: the one that was not asked for longest is forgotten, which fills it', () => {
  const { runs, size } = quotas(limits(1), 100)
  for (let n = 0; n < 10_000; n++) runs(`install ${n}`)
  expect(size()).toBe(100)
  expect(runs('install 9999')).toBeDefined()
  expect(runs('install 1')).toBeUndefined()
})

test('A bucket that is asked for again is among the last to be forgotten', () => {
  const { runs } = quotas(limits(2), 100)
  const others = (from: number) => {
    for (let n = 0; n < 60; n++) runs(`install ${from + n}`)
  }
  runs('busy')
  others(0)
  runs('busy')
  others(60)
  expect(runs('busy')).toBeDefined()
})
