/** Nearest rank; two decimals. NaN, which JSON writes as null, of nothing. */
export function percentile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
  return Math.round(value * 100) / 100
}
