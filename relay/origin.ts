/**
 * Who may speak to the relay: programs, extensions, and its own pages. Not the pages of others.
 *
 * CORS alone only hides answers: a page may send a POST that looks like a form's without asking first. And a page whose
 * own name resolves to this address (DNS rebinding) is of the same origin, so that nothing is hidden from it; but the
 * name it was reached by gives it away.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { METRICS } from '../metric-names.ts'
import { counter } from '../metrics.ts'
import { answerStatus, isExport } from './rpc-status.ts'

/** Names by which only this machine reaches itself; a stranger's DNS cannot claim them. */
export const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']
const failures = counter(METRICS.authFailures)

/** Orchestrators probe by address, and these tell nothing of anybody. */
const OPEN_TO_ANY_HOST = ['/healthz', '/readyz']

/** Whether an Origin header is an extension's. Which one can be forged, so it is no matter of trust. */
export function isExtension(origin: string): boolean {
  return /^(chrome|moz)-extension:\/\/[\w-]+$/.test(origin)
}

/**
 * Answers 403 to every request of a web page that is not the relay's own, and to every request by a host name that is
 * neither a loopback name nor in `hosts` (lower case, without ports). Requests without an Origin are no page's.
 */
export function admit(hosts: readonly string[]): MiddlewareHandler {
  const names = new Set([...LOOPBACK, ...hosts])
  return async (c, next) => {
    const host = hostOf(c)
    if (!OPEN_TO_ANY_HOST.includes(c.req.path) && !names.has(host?.hostname ?? '')) {
      return refuse(c, 'host_not_allowed', 'The relay does not know this host name; RELAY_HOSTS can name it.')
    }
    const origin = c.req.header('origin')
    // The own origin by its host and port only: whoever ends TLS in front of the relay changes the scheme.
    if (origin !== undefined && !isExtension(origin) && !isOwn(origin, host)) {
      return refuse(c, 'origin_not_allowed', 'Web pages may not use the relay.')
    }
    await next()
  }
}

/** The Host header, in the one way a URL spells it. Undefined when it is no host. */
function hostOf(c: Context): URL | undefined {
  return URL.parse(`http://${c.req.header('host') ?? new URL(c.req.url).host}`) ?? undefined
}

function isOwn(origin: string, host: URL | undefined): boolean {
  if (!/^https?:\/\//.test(origin)) return false
  // Both as http, so that a port which is left out means the same in both.
  return host !== undefined && URL.parse(origin.replace(/^https:/, 'http:'))?.host === host.host
}

function refuse(c: Context, code: 'host_not_allowed' | 'origin_not_allowed', message: string): Response {
  failures.add({ reason: code })
  if (isExport(c)) return answerStatus(c, 403, `${code}: ${message}`)
  return c.json({ error: { code, message } }, 403)
}
