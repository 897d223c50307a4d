/** What the relay is told of a run's times, with requests that are made anyway: nearly all runs send no spans. */

import { TIMINGS_HEADER, type Timing } from '../relay/timings-contract.ts'

/** What the relay takes: of a longer time, or one before the click, only clocks can tell. */
const MAX_MS = 600_000

/** The header with these milliseconds; none when there is nothing that the relay would take. */
export function timingsHeader(timings: Partial<Record<Timing, number | undefined>>): Record<string, string> {
  const told = Object.entries(timings).flatMap(([name, ms]) => {
    const rounded = Math.round(ms ?? -1)
    return rounded >= 0 && rounded <= MAX_MS ? [`${name}=${rounded}`] : []
  })
  return told.length > 0 ? { [TIMINGS_HEADER]: told.join(', ') } : {}
}
