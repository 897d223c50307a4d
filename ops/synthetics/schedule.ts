/**
 * When which check runs: each of them every so often, never two at a time, and never in step with anything else that
 * runs by the clock.
 */

export interface ScheduleOptions<T> {
  checks: readonly T[]
  /** Between two starts of the same check, milliseconds. */
  intervalMs: number
  /** Runs one to its end. What it throws ends the schedule. */
  run: (check: T) => Promise<void>
  stop: AbortSignal
  now: () => number
  /** Resolves after so long, or rejects when the signal aborts. */
  wait: (ms: number, signal: AbortSignal) => Promise<unknown>
  random: () => number
}

/** Each interval is longer or shorter by at most this part. */
const JITTER = 0.2

/** Resolves when it is stopped and the check that was under way has cleared up. */
export async function keepRunning<T>(options: ScheduleOptions<T>): Promise<void> {
  const { checks, intervalMs, run, stop, now, wait, random } = options
  // Spread over the first interval; the first one at once, so that a start shows whether anything works.
  const due = checks.map((check, index) => ({ check, at: now() + (index * intervalMs) / checks.length }))
  while (!stop.aborted) {
    const [next] = due.sort((a, b) => a.at - b.at)
    if (!next) return
    try {
      await wait(Math.max(0, next.at - now()), stop)
      const startedAt = now()
      await run(next.check)
      // From its start, and never to be made up for: a check that took longer than its interval is not run twice.
      next.at = Math.max(now(), startedAt + intervalMs * (1 + JITTER * (2 * random() - 1)))
    } catch (error) {
      if (!stop.aborted) throw error
    }
  }
}
