import { expect, test } from 'vitest'
import { keepRunning } from './schedule.ts'

/** A clock that only goes on when somebody waits, and says what was run when. */
function byClock({ takes = 0, random = (): number => 0.5, until = 10_000 } = {}) {
  const stop = new AbortController()
  const runs: { check: string; at: number }[] = []
  let [time, atOnce, most] = [0, 0, 0]
  const ended = keepRunning({
    checks: ['generate', 'compile', 'e2e'],
    intervalMs: 3_000,
    stop: stop.signal,
    now: () => time,
    random,
    wait: async (ms, signal) => {
      time += ms
      if (time > until) stop.abort()
      signal.throwIfAborted()
    },
    run: async (check) => {
      most = Math.max(most, ++atOnce)
      runs.push({ check, at: time })
      await Promise.resolve()
      time += takes
      atOnce--
    },
  })
  return { ended, runs, most: () => most }
}

test('Each check runs once an interval, the first at once and the others spread over it', async () => {
  const { ended, runs } = byClock()
  await ended
  expect(runs.slice(0, 6)).toEqual([
    { check: 'generate', at: 0 },
    { check: 'compile', at: 1_000 },
    { check: 'e2e', at: 2_000 },
    { check: 'generate', at: 3_000 },
    { check: 'compile', at: 4_000 },
    { check: 'e2e', at: 5_000 },
  ])
})

test('Intervals are longer or shorter by a fifth at most', async () => {
  const early = byClock({ random: () => 0 })
  await early.ended
  expect(early.runs.filter(({ check }) => check === 'e2e').map(({ at }) => at)).toEqual([2_000, 4_400, 6_800, 9_200])
  const late = byClock({ random: () => 1 })
  await late.ended
  expect(late.runs.filter(({ check }) => check === 'e2e').map(({ at }) => at)).toEqual([2_000, 5_600, 9_200])
})

test('Checks that take longer than their interval never run at the same time, and what was missed is not made up for', async () => {
  const { ended, runs, most } = byClock({ takes: 4_000, until: 40_000 })
  await ended
  expect(most()).toBe(1)
  const [first, second] = runs.filter(({ check }) => check === 'generate').map(({ at }) => at)
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(12_000)
})

test('What a run throws ends the schedule, and is not lost', async () => {
  const options = { checks: ['generate'], intervalMs: 1_000, now: () => 0, random: () => 0, wait: async () => {} }
  const run = async () => {
    throw new Error('of the run')
  }
  await expect(keepRunning({ ...options, run, stop: new AbortController().signal })).rejects.toThrow('of the run')
})
