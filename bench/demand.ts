/**
 * When people press Generate, as it may be: a week and a day have shapes, people come for several resumes at a sitting, and
 * some come much more often than others. All of it is assumed, until there are people: `ops/deploy/CAPACITY.md` says what.
 */

export interface Demand {
  installs: number
  /** Of one install, on average, in a week. */
  runsPerWeek: number
  /** Runs of one sitting, on average, and the pause between two of them, milliseconds. */
  perSitting: number
  pauseMs: number
  /** How unequal installs are: σ of a log-normal distribution of how often each comes. */
  skew: number
}

/** Relative to one another: hours of a working day somewhere, where most people live in a third of the time zones. */
const HOURS = [2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 11, 11, 10, 9, 8, 8, 9, 9, 8, 6, 4]
const DAYS = [1.2, 1.2, 1.15, 1.1, 0.95, 0.6, 0.8]
/** An install may not make more in an hour: the relay's quota. */
const QUOTA = 60

const HOUR_S = 3_600

/** Of the busiest hour of the week, to the average one. */
export function peakToMean(): number {
  return (Math.max(...HOURS) / mean(HOURS)) * (Math.max(...DAYS) / mean(DAYS))
}

/** Runs a second in the busiest hour. */
export function peakRate({ installs, runsPerWeek }: Demand): number {
  return ((installs * runsPerWeek) / (7 * 24 * HOUR_S)) * peakToMean()
}

/** Which part of all runs the busiest hundredth of the installs makes. */
export function shareOfBusiest({ skew }: Demand): number {
  return normalBelow(skew - 2.3263)
}

/**
 * Times of runs, milliseconds from the start, in order, at `rate` runs a second: sittings come by chance, those of busy
 * installs are longer, and none is longer than the quota allows.
 */
export function arrivals(demand: Demand, rate: number, forMs: number, random: () => number): number[] {
  const times: number[] = []
  const sittings = (rate / 1_000 / lengthOf(demand)) * forMs
  for (let at = 0, end = forMs; ; ) {
    at += (-Math.log(1 - random()) * forMs) / sittings
    if (at >= end) break
    const runs = sittingOf(demand, random)
    for (let run = 0, when = at; run < runs && when < end; run++) {
      times.push(when)
      when += -Math.log(1 - random()) * demand.pauseMs
    }
  }
  return times.sort((a, b) => a - b)
}

/** Geometric, around a mean that is the install's own. */
function sittingOf({ perSitting, skew }: Demand, random: () => number): number {
  const own = 1 + (perSitting - 1) * Math.exp(skew * normal(random) - skew ** 2 / 2)
  const runs = 1 + Math.floor(Math.log(1 - random()) / Math.log(1 - 1 / own))
  return Math.min(QUOTA, Number.isFinite(runs) ? runs : 1)
}

const lengths = new Map<string, number>()
/** Runs of a sitting on average, with those left out that the quota refuses: by trial, always the same. */
function lengthOf(demand: Demand): number {
  const key = `${demand.perSitting} ${demand.skew}`
  const known = lengths.get(key)
  if (known !== undefined) return known
  const random = seeded(1)
  const length = mean(Array.from({ length: 100_000 }, () => sittingOf(demand, random)))
  lengths.set(key, length)
  return length
}

/** Numbers from 0 to 1 that look like chance, and are the same every time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Of a normal distribution (Box and Muller). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** How much of a normal distribution is below (Abramowitz and Stegun 7.1.26, to 10⁻⁷). */
function normalBelow(value: number): number {
  const x = Math.abs(value) / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * x)
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
  const within = 1 - series * Math.exp(-x * x)
  return value < 0 ? (1 - within) / 2 : (1 + within) / 2
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
