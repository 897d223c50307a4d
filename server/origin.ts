/**
 * Keeps browsers out. The relay is who talks to this server; a web page that finds its port could otherwise spend the
 * model's quota, or read a resume under a name of its own that it has pointed here (DNS rebinding).
 */

import type { MiddlewareHandler } from 'hono'
import { METRICS } from '../metric-names.ts'
import { counter } from '../metrics.ts'
import { Failure } from './failure.ts'

const failures = counter(METRICS.authFailures)

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])$/

/** Throws Failure('not_allowed') for a request with an `Origin`, and for a `Host` that is neither loopback nor listed. */
export function onlyServices(hosts: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.header('origin') !== undefined) throw refused('origin')
    const name = new URL(c.req.url).hostname
    if (!LOOPBACK.test(name) && !hosts.includes(name)) throw refused('host')
    await next()
  }
}

function refused(reason: 'origin' | 'host'): Failure {
  failures.add({ reason: `${reason}_not_allowed` })
  return new Failure('not_allowed', { reason })
}
