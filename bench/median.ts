/** Medians that are held against limits: rounded for reading only, and told with how far they can be trusted. */

/** NaN, which JSON writes as null, of nothing. */
export function median(values: readonly number[]): number {
  return medianOf(values.toSorted((a, b) => a - b))
}

/** The same of values that are in order already. */
export function medianOf(sorted: ArrayLike<number>): number {
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}

/**
 * The median with the interval that holds the true one 95 times in 100, whatever the values' distribution: the noise
 * of a machine with other work to do is anything but normal.
 */
export function medianWithin(values: readonly number[]): { median: number; from: number; to: number } {
  const sorted = values.toSorted((a, b) => a - b)
  // Ranks at n/2 ± 1.96·√n/2 (binomial, approximated).
  const rank = Math.max(0, Math.floor((sorted.length - 1.96 * Math.sqrt(sorted.length)) / 2))
  const [from = Number.NaN, to = Number.NaN] = [sorted[rank], sorted[sorted.length - 1 - rank]]
  return { median: rounded(medianOf(sorted)), from: rounded(from), to: rounded(to) }
}

/** Four decimals. */
export function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4
}
