/** What Prometheus learns of each run of a check. */

import { METRICS } from '../../metric-names.ts'
import { counter, gauge } from '../../metrics.ts'
import type { Report } from './verdict.ts'

const success = gauge(METRICS.syntheticSuccess)
const duration = gauge(METRICS.syntheticDuration)
const lastRun = gauge(METRICS.syntheticLastRun)
const runs = counter(METRICS.syntheticRuns)

/** `now`: epoch milliseconds. */
export function count({ check, result, durations }: Report, now: number): void {
  runs.add({ check, result })
  success.set({ check }, result === 'passed' ? 1 : 0)
  lastRun.set({ check }, now / 1_000)
  // Of one that failed it would say how soon.
  if (result === 'passed' || result === 'slow') duration.set({ check }, (durations.waited ?? 0) / 1_000)
}
