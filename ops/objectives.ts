/** What the service promises: dashboards draw it, alerts watch it. Synthetic checks never count. */
import type { FAILURES } from '../server/contract.ts'

/** Of the runs that ended well or by a failure of ours, the part that must end well, over `WINDOW`. */
export const SUCCESS = 0.99
/** Of the runs that ended well, the part that must take at most `FAST_SECONDS` from the click to the PDF. */
export const FAST = 0.95
/** A bucket of the metric, so that it is counted and not guessed. */
export const FAST_SECONDS = 30
export const WINDOW = '30d'

/** Failures that no repair of ours would have prevented: what the page, the profile or the person's browser did. */
export const NOT_OURS = [
  'profile_missing',
  'profile_invalid',
  'page_unreadable',
  'page_interrupted',
  'posting_not_found',
  'request_invalid',
  'request_too_large',
  'run_not_found',
  'not_allowed',
  'rate_limited',
] as const satisfies (keyof typeof FAILURES)[]
