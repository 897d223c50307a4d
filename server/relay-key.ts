/** Takes requests from the relay only: it has checked who asks, and says so; anybody else could say anything. */

import { hash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { Failure } from './failure.ts'
import { SERVER_KEY_HEADER } from './relay-contract.ts'

// Digests have one length, which timingSafeEqual needs and which hides that of the key.
const digest = (key: string) => hash('sha256', key, 'buffer')

/** Throws Failure('not_allowed'), a 401, for a request without one of the keys. Several, so that one can be replaced. */
export function onlyRelay(keys: readonly string[]): MiddlewareHandler {
  const known = keys.map(digest)
  return async (c, next) => {
    const given = digest(c.req.header(SERVER_KEY_HEADER) ?? '')
    if (!known.map((key) => timingSafeEqual(key, given)).includes(true)) {
      throw new Failure('not_allowed', { reason: 'server_key', status: 401, detail: WHAT_TO_DO })
    }
    await next()
  }
}

const WHAT_TO_DO = `Only the relay may ask: start both with the same SERVER_KEY. It comes in ${SERVER_KEY_HEADER}.`
