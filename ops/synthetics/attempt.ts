/** One check from its start to its verdict: a try, and where that did not pass, one more. */

import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { CheckFailed, type CheckName, HarnessFailed, type Report, type Result, type Via } from './verdict.ts'

/** What a check is told, and tells, of its present try. */
export interface Attempt {
  /** Trace ID and idempotency key. A browser makes its own, and sets it here. */
  id: string
  via?: Via
  /** Aborts when it has taken too long, or nobody waits for it any more. */
  signal: AbortSignal
  /** Begins the next phase; the one before has ended. */
  phase(name: string): void
}

export interface Check {
  name: CheckName
  /** What `waited` may be, milliseconds. */
  objectiveMs: number
  /** Phases that a person would wait through: no browser's start, no sign-in. */
  waited: readonly string[]
  run(attempt: Attempt): Promise<void>
}

export interface PerformOptions {
  /** 32 lower-case hex digits: the same again does no second work. A new one unless it is given. */
  runId?: string | undefined
  /** Ends it without a verdict. */
  stop?: AbortSignal
  limitMs?: number
  wait?: (ms: number, signal: AbortSignal) => Promise<unknown>
  random?: () => number
}

const ATTEMPTS = 2
const BACKOFF_MS = 2_000
/** Less than what a browser waits for a run by itself. */
const LIMIT_MS = 110_000
const NEVER = new AbortController().signal

/** The verdict; never throws but when it is stopped. */
export async function perform(check: Check, options: PerformOptions = {}): Promise<Report> {
  const { runId = randomBytes(16).toString('hex'), stop = NEVER, random = Math.random } = options
  const { wait = (ms, signal) => delay(ms, undefined, { signal }) } = options
  for (let attempts = 1; ; attempts++) {
    const { again, ...tried } = await attemptOnce(check, idOf(runId, attempts), stop, options.limitMs ?? LIMIT_MS)
    stop.throwIfAborted()
    const report = { check: check.name, run_id: runId, ok: tried.result === 'passed', ...tried, attempts }
    if (report.ok || !again || attempts === ATTEMPTS) return report
    await wait(BACKOFF_MS * (1 + random()), stop)
  }
}

/** The same for the same run and try, so that a run that was tried twice is found again, too. */
function idOf(runId: string, attempt: number): string {
  return attempt === 1 ? runId : createHash('sha256').update(`${runId}:${attempt}`).digest('hex').slice(0, 32)
}

async function attemptOnce(check: Check, id: string, stop: AbortSignal, limitMs: number) {
  const durations: Record<string, number> = {}
  let phase = 'start'
  let since = performance.now()
  const close = () => {
    durations[phase] = Math.round((durations[phase] ?? 0) + performance.now() - since)
    since = performance.now()
  }
  const limit = AbortSignal.timeout(limitMs)
  const attempt: Attempt = {
    id,
    signal: AbortSignal.any([stop, limit]),
    phase: (name) => {
      close()
      phase = name
    },
  }
  const told = (result: Result, errorType: string | null, again = true) => {
    close()
    durations.waited = check.waited.reduce((sum, name) => sum + (durations[name] ?? 0), 0)
    const { id: trace_id, via } = attempt
    return { result, phase, durations, trace_id, error_type: errorType, again, ...(via ? { via } : {}) }
  }
  try {
    await check.run(attempt)
    const waited = told('passed', null)
    return (waited.durations.waited ?? 0) <= check.objectiveMs
      ? waited
      : { ...waited, result: 'slow' as const, error_type: 'slow' }
  } catch (error) {
    if (limit.aborted) return told('failed', 'timeout')
    if (error instanceof CheckFailed) return told('failed', error.errorType)
    if (error instanceof HarnessFailed) return told('harness_failed', error.errorType, error.again)
    return told('harness_failed', error instanceof Error ? error.name : 'unknown')
  }
}
