/**
 * Keeps browsers out. The relay is who talks to this server; a web page that finds its port could otherwise spend the
 * model's quota, or read a resume under a name of its own that it has pointed here (DNS rebinding).
 */

import type { MiddlewareHandler } from 'hono'
import { Failure } from './failure.ts'

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])$/

/** Throws Failure('not_allowed') for a request with an `Origin`, and for a `Host` that is neither loopback nor listed. */
export function onlyServices(hosts: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.header('origin') !== undefined) throw new Failure('not_allowed', { reason: 'origin' })
    const name = new URL(c.req.url).hostname
    if (!LOOPBACK.test(name) && !hosts.includes(name)) throw new Failure('not_allowed', { reason: 'host' })
    await next()
  }
}
