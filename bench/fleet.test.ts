import { expect, it } from 'vitest'
import { arrivals, type Demand, peakRate, peakToMean, seeded, shareOfBusiest } from './demand.ts'
import { type Fleet, simulate } from './fleet.ts'

const HOUR_MS = 3_600_000
const DEMAND: Demand = { installs: 1_000_000, runsPerWeek: 2, perSitting: 3, pauseMs: 120_000, skew: 1.5 }
/** One server, no model: a queue that books have formulas for. */
const ONE: Fleet = {
  ...{ zones: 1, serversPerZone: 1, places: Number.POSITIVE_INFINITY, cores: 1 },
  ...{ modelMs: 0, modelSpread: 0, cpuMs: 100, mostOpen: Number.POSITIVE_INFINITY, foundAfterMs: [10_000, 18_000] },
}
const CELL: Fleet = { ...ONE, zones: 3, serversPerZone: 2, places: 40, cores: 2, modelMs: 8_000, modelSpread: 0.5 }
const alone = { ...DEMAND, perSitting: 1, skew: 0 }

it('as many runs come as were asked for, more of them close together than by chance alone', () => {
  const rate = peakRate(DEMAND)
  const mean = (1_000_000 * 2) / (7 * 24 * 3_600)
  expect(rate / mean).toBeCloseTo(peakToMean(), 9)
  const inSeconds = (of: Demand) => {
    const times = arrivals(of, 20, HOUR_MS, seeded(7))
    const counts = new Array(360).fill(0)
    for (const at of times) counts[Math.floor(at / 10_000)] += 1
    const average = times.length / counts.length
    const variance = counts.reduce((sum, count) => sum + (count - average) ** 2, 0) / counts.length
    return { perSecond: times.length / 3_600, dispersion: variance / average }
  }
  expect(inSeconds(alone).perSecond).toBeCloseTo(20, 0)
  expect(inSeconds(alone).dispersion).toBeCloseTo(1, 0)
  const bursts = inSeconds({ ...DEMAND, pauseMs: 2_000 })
  expect(bursts.dispersion).toBeGreaterThan(3)
})

it('of installs with σ = 1.5 the busiest hundredth makes a fifth of all runs, and of equal ones a hundredth', () => {
  expect(shareOfBusiest(DEMAND)).toBeCloseTo(0.204, 3)
  expect(shareOfBusiest(alone)).toBeCloseTo(0.01, 4)
})

it('one core waits as long as the formula for such a queue has it (M/D/1: ρ/(2(1−ρ)) of a service)', () => {
  const times = arrivals(alone, 7, 2 * HOUR_MS, seeded(3))
  const { busy, waitMs, runs } = simulate(ONE, times, seeded(4))
  expect(runs).toBe(times.length)
  expect(busy).toBeCloseTo(0.7, 1)
  // The median of M/D/1 at 0.7 is a little over half of its mean, 117 ms.
  expect(waitMs.p50).toBeGreaterThan(30)
  expect(waitMs.p50).toBeLessThan(117)
  expect(waitMs.p99).toBeGreaterThan(300)
  expect(waitMs.p99).toBeLessThan(1_000)
})

it('the runs of a zone that goes are found by the others, and all of them end', () => {
  const times = arrivals(DEMAND, 10, HOUR_MS, seeded(5))
  const well = simulate(CELL, times, seeded(6))
  const outage = simulate(CELL, times, seeded(6), { atMs: HOUR_MS / 2, forMs: HOUR_MS / 4 })
  expect(well).toMatchObject({ runs: times.length, refused: 0, takenOver: 0 })
  expect(outage.runs + outage.refused).toBe(times.length)
  // About a third of those under way, 8 to 10 s each: Little's law.
  expect(outage.takenOver).toBeGreaterThan(15)
  expect(outage.takenOver).toBeLessThan(60)
  // Whoever was there at the time waits until they are found, at least.
  expect(outage.waitMs.most).toBeGreaterThan(10_000)
  expect(well.waitMs.most).toBeLessThan(2_000)
})

it('what is too much for those that are left is refused, and nobody waits without end', () => {
  const times = arrivals(DEMAND, 40, HOUR_MS / 4, seeded(8))
  const small = { ...CELL, places: 30, mostOpen: 150 }
  const { refused, mostOpen, runs } = simulate(small, times, seeded(9), { atMs: HOUR_MS / 16, forMs: HOUR_MS / 8 })
  expect(refused).toBeGreaterThan(200)
  expect(mostOpen).toBe(150)
  expect(runs + refused).toBe(times.length)
})

it('the same numbers give the same fleet', () => {
  const run = () => simulate(CELL, arrivals(DEMAND, 5, HOUR_MS / 4, seeded(1)), seeded(2))
  expect(run()).toEqual(run())
})
