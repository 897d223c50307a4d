/** Takes requests from the relay only: it has checked who asks, and says so; anybody else could say anything. */

import { hash, timingSafeEqual } from 'node:crypto'
import { trace } from '@opentelemetry/api'
import type { Context, MiddlewareHandler } from 'hono'
import { METRICS } from '../metric-names.ts'
import { counter } from '../metrics.ts'
import { doneFor, SYNTHETIC_ATTRIBUTES } from '../synthetic.ts'
import { Failure } from './failure.ts'
import { SERVER_KEY_HEADER, SYNTHETIC_HEADER } from './relay-contract.ts'

const attempts = counter(METRICS.authAttempts)
const failures = counter(METRICS.authFailures)

// Digests have one length, which timingSafeEqual needs and which hides that of the key.
const digest = (key: string) => hash('sha256', key, 'buffer')

/**
 * Throws Failure('not_allowed'), a 401, for a request without one of the keys. Several, so that one can be replaced. What
 * the relay says is a check's is done for a check.
 */
export function onlyRelay(keys: readonly string[]): MiddlewareHandler {
  const known = keys.map(digest)
  return async (c, next) => {
    const given = digest(c.req.header(SERVER_KEY_HEADER) ?? '')
    if (!known.map((key) => timingSafeEqual(key, given)).includes(true)) {
      attempts.add({ outcome: 'refused', synthetic: false })
      failures.add({ reason: 'relay_key_refused' })
      throw new Failure('not_allowed', { reason: 'server_key', status: 401, detail: WHAT_TO_DO })
    }
    const synthetic = isOfCheck(c)
    attempts.add({ outcome: 'accepted', synthetic })
    if (!synthetic) return next()
    c.set('synthetic', true)
    trace.getActiveSpan()?.setAttributes(SYNTHETIC_ATTRIBUTES)
    await doneFor({ synthetic }, next)
  }
}

/** Whether the relay says that a synthetic check asks. To be believed behind {@link onlyRelay} only. */
export function isOfCheck(c: Context): boolean {
  return c.req.header(SYNTHETIC_HEADER) === 'true'
}

const WHAT_TO_DO = `Only the relay may ask: start both with the same SERVER_KEY. It comes in ${SERVER_KEY_HEADER}.`
