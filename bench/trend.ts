/** Whether something grows: a line through what was measured over time, which single peaks do not turn. */

import { median, rounded } from './median.ts'

export interface Sample {
  /** Milliseconds, from whenever. */
  atMs: number
  value: number
}

export interface Trend {
  samples: number
  least: number
  median: number
  most: number
  /** Slope of the line through the least of each `bucket`: what leaks raises the least, and a collector's waves do not. */
  perHour: number
}

const HOUR_MS = 3_600_000

/** Theil and Sen: the median of the slopes between any two. All NaN, which JSON writes as null, of fewer than three buckets. */
export function trendOf(samples: readonly Sample[], bucketMs: number): Trend {
  const values = samples.map(({ value }) => value)
  const buckets = Map.groupBy(samples, ({ atMs }) => Math.floor(atMs / bucketMs))
  const least = [...buckets].map(([bucket, of]) => ({
    at: bucket * bucketMs,
    value: Math.min(...of.map((s) => s.value)),
  }))
  const slopes = least.flatMap((a, index) => least.slice(index + 1).map((b) => (b.value - a.value) / (b.at - a.at)))
  return {
    samples: samples.length,
    least: rounded(Math.min(...values)),
    median: rounded(median(values)),
    most: rounded(Math.max(...values)),
    perHour: least.length < 3 ? Number.NaN : rounded(median(slopes) * HOUR_MS),
  }
}
