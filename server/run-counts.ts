/** How runs end, counted; and how long those took that ended in no PDF, from the click. The relay counts the others. */

import { METRICS } from '../metric-names.ts'
import { counter, histogram } from '../metrics.ts'
import { FAILURES, type FailureCode } from './contract.ts'

const runs = counter(METRICS.runs)
const duration = histogram(METRICS.runDuration)

/** What a run that has worked has in the place of a failure's code. */
const NONE = 'none'

// From the start: the first failure of a kind must be seen to be one more.
for (const synthetic of [true, false]) {
  runs.add({ outcome: 'ok', failure_code: NONE, synthetic }, 0)
  for (const code of Object.keys(FAILURES) as FailureCode[]) {
    runs.add({ outcome: outcomeOf(code), failure_code: code, synthetic }, 0)
  }
}

export interface RunEnd {
  /** Undefined for one that has worked. */
  code: FailureCode | undefined
  /** Since the server has known it, milliseconds. */
  ageMs: number
  /** From the click until then; undefined where nobody has told, and then only the run counts, and not its time. */
  elapsedMs: number | undefined
  synthetic: boolean
  /** Its trace, for who looks at a point in a chart. */
  id: string | undefined
}

/** A run has ended for the person who waits for it. */
export function countEnd({ code, ageMs, elapsedMs, synthetic, id }: RunEnd): void {
  const outcome = outcomeOf(code)
  runs.add({ outcome, failure_code: code ?? NONE, synthetic }, 1, id)
  // The PDF is still on its way: the relay sees it arrive.
  if (code === undefined || elapsedMs === undefined) return
  duration.observe({ outcome, synthetic }, (elapsedMs + ageMs) / 1_000, id)
}

export function outcomeOf(code: FailureCode | undefined): 'ok' | 'failed' | 'cancelled' {
  if (code === undefined) return 'ok'
  return code === 'cancelled' ? 'cancelled' : 'failed'
}
