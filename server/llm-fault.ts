/** What an endpoint's fault means: in our words, whether to ask again, and when. */

import OpenAI from 'openai'
import type { Outcome } from '../breaker.ts'
import { Failure } from './failure.ts'

/** Requests for one answer. */
const MAX_ATTEMPTS = 3
/** An answer of the wrong form is asked for once more: a second try is as long as the first. */
const MAX_INVALID = 2
const FIRST_WAIT_MS = 500
/** Asked for more patience than this, we tell the person instead: they are waiting. */
const MAX_WAIT_MS = 5_000

/** Forms of answer that another try may mend. The others would end the same way. */
const MENDABLE = new Set(['not_json', 'wrong_shape', 'cut_off', 'not_a_stream'])

/** The failure that an error of the client is. Its `reason` is the provider's status, or a class of our own. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  // What is left of the stream's own complaints: events that are not JSON.
  if (error instanceof SyntaxError) return new Failure('llm_invalid_output', { reason: 'not_a_stream', cause: error })
  if (error instanceof OpenAI.APIConnectionTimeoutError) return new Failure('llm_timeout', { cause: error })
  if (error instanceof OpenAI.APIConnectionError) {
    return new Failure('llm_unavailable', { reason: 'no_connection', cause: error })
  }
  // undici's word for a body that ends before its time.
  if (error instanceof TypeError) return new Failure('llm_unavailable', { reason: 'connection_lost', cause: error })
  if (!(error instanceof OpenAI.APIError)) return new Failure('llm_error', { cause: error })
  if (error.status === undefined) return new Failure('llm_error', { reason: 'error_event', cause: error })
  const context = { reason: String(error.status), cause: error }
  if (error.status === 401 || error.status === 403) return new Failure('llm_unauthorized', context)
  if (error.status === 429) return new Failure('llm_rate_limited', context)
  if (error.status === 413 || error.code === 'context_length_exceeded') return new Failure('request_too_large', context)
  if (error.code === 'content_filter') return new Failure('llm_refused', { ...context, reason: 'content_filter' })
  if (error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 409) {
    return new Failure('llm_misconfigured', context)
  }
  return new Failure('llm_error', context)
}

/** How long to wait before the next request, milliseconds; undefined when there should be none. */
export function waitBefore(attempt: number, failure: Failure, now: number = Date.now()): number | undefined {
  const { code, reason, cause } = failure
  const invalid = code === 'llm_invalid_output'
  if (attempt >= (invalid ? MAX_INVALID : MAX_ATTEMPTS)) return undefined
  if (invalid) return MENDABLE.has(reason ?? '') ? 0 : undefined
  if (code !== 'llm_error' && code !== 'llm_rate_limited' && code !== 'llm_unavailable') return undefined
  // Its account is empty: that is not over in a moment.
  if (cause instanceof OpenAI.APIError && cause.code === 'insufficient_quota') return undefined
  const asked = cause instanceof OpenAI.APIError ? retryAfter(cause.headers, now) : undefined
  if (asked !== undefined) return asked <= MAX_WAIT_MS ? asked : undefined
  // Jitter, so that those who were refused together do not come back together.
  return FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2)
}

/** Seconds or a date (RFC 9110, 10.2.3), or the milliseconds that OpenAI sends besides. */
function retryAfter(headers: Headers | undefined, now: number): number | undefined {
  const milliseconds = Number(headers?.get('retry-after-ms') ?? Number.NaN)
  if (milliseconds >= 0) return milliseconds
  const value = headers?.get('retry-after')
  if (!value) return undefined
  const wait = /^\d+(\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}

/** What it says about the endpoint's health. A refusal is an answer, a busy one is alive. */
export function outcomeOf(failure: Failure): Outcome {
  const { code, reason } = failure
  if (code === 'llm_error' || code === 'llm_unavailable') return 'failed'
  if (code === 'llm_timeout') return reason === 'deadline' ? 'neither' : 'failed'
  return failure.isStop || code === 'llm_rate_limited' ? 'neither' : 'answered'
}
