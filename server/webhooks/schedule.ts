/** When a webhook is tried again, and when no more: the schedule that Standard Webhooks publishes. */

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN

/** Before each attempt, since the one before it, milliseconds: ten of them, in a little over three days. */
const WAITS = [0, 5 * S, 5 * MIN, 30 * MIN, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H]
/** Messages that failed together must not come back together: each waits up to so much longer. */
const JITTER = 0.2
/** What an endpoint may ask for; who says a week has made a mistake. */
const MAX_RETRY_AFTER_MS = 24 * H
/** The endpoint has too much to do: what else is for it waits as well. */
const THROTTLED = new Set([429, 502, 504])

/** What came of an attempt: an answer, or a code of why there was none. */
export type Outcome = { status: number; retryAfterMs?: number | undefined } | { error: string }

export type Verdict =
  | { kind: 'taken' }
  /** Never again, and nothing else either. */
  | { kind: 'gone'; reason: string }
  | { kind: 'dead'; reason: string }
  | { kind: 'again'; reason: string; waitMs: number; throttled: boolean }

/** `attempts` made so far, this one included; `random` from 0 to 1. */
export function judge(outcome: Outcome, attempts: number, random: () => number): Verdict {
  const status = 'status' in outcome ? outcome.status : undefined
  if (status !== undefined && status >= 200 && status < 300) return { kind: 'taken' }
  const reason = 'error' in outcome ? outcome.error : String(status)
  if (status === 410) return { kind: 'gone', reason }
  const wait = WAITS[attempts]
  if (wait === undefined) return { kind: 'dead', reason }
  const asked = 'status' in outcome ? Math.min(outcome.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0
  const waitMs = Math.round(Math.max(wait * (1 + JITTER * random()), asked))
  return { kind: 'again', reason, waitMs, throttled: status !== undefined && THROTTLED.has(status) }
}
