/** Signing in with an account elsewhere: the way there, and the way back. */
import { type Context, Hono } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { Log } from '../log.ts'
import { type Oidc, type OidcProblem, OidcRefused, SIGN_IN_S, type SignedIn } from './oidc.ts'
import { signedInPage, signInPage } from './sign-in.ts'
import type { Staff } from './staff.ts'

interface Door {
  oidc: Oidc
  staff: Staff
  log: Log
  /** The network address. */
  from: (c: Context) => string
  /** The session's ID that the browser shows, or nothing. */
  idIn: (c: Context) => string
  isSecure: (c: Context) => boolean
  /** One of the console's own pages, whatever is asked for. */
  pageIn: (path: string | undefined) => string
  openSession: (c: Context, name: string, shown: string) => void
}

const PROBLEMS: Record<OidcProblem, { status: 400 | 401 | 403 | 503; message: string }> = {
  unavailable: { status: 503, message: 'The sign-in service is not answering. Try again in a minute.' },
  busy: { status: 503, message: 'Many people are signing in right now. Try again in a minute.' },
  not_begun_here: { status: 400, message: 'That took too long, or was begun in another window. Sign in again.' },
  declined: { status: 401, message: 'The sign-in service did not sign you in. Try again.' },
  not_valid: { status: 401, message: 'The sign-in service gave an answer that we cannot trust. Try again.' },
  not_allowed: { status: 403, message: 'Your account may not look at runs here. Ask whoever runs this relay.' },
}
/** What a stranger can cause as often as they like, and what therefore counts against their address. */
const THEIRS: ReadonlySet<OidcProblem> = new Set(['not_begun_here', 'declined', 'not_valid', 'not_allowed'])

const cookieName = (secure: boolean) => (secure ? '__Host-pass-support-oidc' : 'pass-support-oidc')

export function createOidcRoutes({ oidc, staff, log, from, idIn, isSecure, pageIn, openSession }: Door): Hono {
  function refused(c: Context, error: unknown): Response | Promise<Response> {
    if (!(error instanceof OidcRefused)) throw error
    const { problem, cause } = error
    if (THEIRS.has(problem)) staff.failedAt(from(c))
    // Of the cause its code: a provider's message may name the person.
    log.warn({ problem, cause: codeOf(cause) }, 'support: nobody was signed in by OpenID Connect')
    const { status, message } = PROBLEMS[problem]
    return c.html(signInPage('/support', { oidc, problem: message }), status)
  }

  function wait(c: Context, seconds: number): Response | Promise<Response> {
    c.header('retry-after', String(seconds))
    const problem = `Too many failed sign-ins. Try again in ${Math.ceil(seconds / 60)} min.`
    return c.html(signInPage('/support', { oidc, problem }), 429)
  }

  return (
    new Hono()
      // By a link, not a form: the policy lets forms lead nowhere but here. It changes nothing but its own cookie.
      .get('/support/oidc', async (c) => {
        try {
          const { url, cookie } = await oidc.begin(pageIn(c.req.query('to')), idIn(c))
          const secure = isSecure(c)
          // Lax: the way back is begun by the provider's page, and a strict cookie would not come along.
          setCookie(c, cookieName(secure), cookie, {
            ...{ httpOnly: true, sameSite: 'Lax', secure, path: '/', maxAge: SIGN_IN_S },
          })
          return c.redirect(url, 303)
        } catch (error) {
          return refused(c, error)
        }
      })
      .get('/support/oidc/return', async (c) => {
        const seconds = staff.waitOf(from(c))
        if (seconds !== undefined) return wait(c, seconds)
        const name = cookieName(isSecure(c))
        const cookie = getCookie(c, name) ?? ''
        deleteCookie(c, name, { path: '/', secure: isSecure(c) })
        let signedIn: SignedIn
        try {
          signedIn = await oidc.finish(new URL(c.req.url).search, cookie)
        } catch (error) {
          return refused(c, error)
        }
        const { who, shown, to, before } = signedIn
        staff.close(before)
        openSession(c, who, shown)
        return c.html(signedInPage(pageIn(to)))
      })
  )
}

function codeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
}
