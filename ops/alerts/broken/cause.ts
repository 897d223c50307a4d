/** One thing that is broken on purpose, and the alerts that are to tell of it. */

import type { Target } from '../../observe/prometheus.ts'

export interface Cause {
  what: string
  alerts: [alert: string, labels?: Record<string, string>][]
  /** How long each alert may take, milliseconds, where a minute is not enough: seconds that a rule compares stay seconds. */
  patienceMs?: number
  /** Why it cannot be made on this machine, where that is so. */
  impossible?: () => Promise<string | undefined>
  /** Goes on until the signal comes. */
  provoke: (signal: AbortSignal) => Promise<unknown>
  /** Makes it whole again. */
  repair?: () => unknown
}

/** What Prometheus is to scrape, by the address of its metrics. */
export const target = (job: string, url: string): Target => ({ job, address: new URL(url).host })

/** Resolves when the signal comes. */
export function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
