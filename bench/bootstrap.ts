/** Ratios of two things that were measured in turn, with how far they can be trusted. */

import { medianOf, rounded } from './median.ts'

/** What was measured in one round, with and without. */
export interface Pair {
  with: number
  without: number
}

export interface Ratio {
  ratio: number
  /** The interval that holds the true one 95 times in 100. */
  from: number
  to: number
}

const RESAMPLES = 2_000

/** Of values in order. */
type Statistic = (sorted: Float64Array) => number

/**
 * The ratio of a statistic of the ones to that of the others, and its interval by the bootstrap: rounds are drawn again and
 * again, each as a pair, so that what befell both of a round counts for neither. `random` gives numbers from 0 to 1.
 */
export function ratioOf(pairs: readonly Pair[], statistic: Statistic, random: () => number = Math.random): Ratio {
  const [ones, others] = [new Float64Array(pairs.length), new Float64Array(pairs.length)]
  const ratioOfDrawn = (draw: (index: number) => number) => {
    for (let index = 0; index < pairs.length; index++) {
      const pair = pairs[draw(index)]
      ones[index] = pair?.with ?? Number.NaN
      others[index] = pair?.without ?? Number.NaN
    }
    return statistic(ones.sort()) / statistic(others.sort())
  }
  const ratio = ratioOfDrawn((index) => index)
  const ratios = Float64Array.from({ length: RESAMPLES }, () => ratioOfDrawn(() => Math.floor(random() * pairs.length)))
  ratios.sort()
  const at = (q: number) => ratios[Math.floor(q * (RESAMPLES - 1))] ?? Number.NaN
  return { ratio: rounded(ratio), from: rounded(at(0.025)), to: rounded(at(0.975)) }
}

export const medianRatio = (pairs: readonly Pair[]): Ratio => ratioOf(pairs, medianOf)
export const p95Ratio = (pairs: readonly Pair[]): Ratio =>
  ratioOf(pairs, (sorted) => sorted[Math.ceil(0.95 * sorted.length) - 1] ?? Number.NaN)
