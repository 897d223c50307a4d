/** The console's door: sessions in cookies, tokens of programs, and who is shown to the sign-in page. */
import { hash, timingSafeEqual } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import { BodyTooLarge, readBounded } from '../bounded-body.ts'
import type { Log } from '../log.ts'
import type { Audit } from './audit.ts'
import type { Oidc } from './oidc.ts'
import { createOidcRoutes } from './oidc-routes.ts'
import { signInPage } from './sign-in.ts'
import type { Session, Staff } from './staff.ts'

/** Who asks. */
export interface Visitor {
  name: string
  /** Undefined for a program with a token. */
  session: Session | undefined
  /** Whether the session is still open, for what takes long. */
  isHere: () => boolean
}

export interface Gate {
  staff: Staff
  /** Where staff may sign in besides by token. */
  oidc?: Oidc | undefined
  audit: Audit
  addressOf: (connection: string | undefined, forwardedFor: string | undefined) => string
  log: Log
}

/** A form of ours is a few hundred bytes. */
const MAX_FORM_BYTES = 4 * 1024
const PAGES = /^\/support(\/[0-9a-f]{8,32}|\/audit)?(\?[\w=&%.:+-]*)?$/

/** With TLS, no page of another name and no unencrypted one can plant it. */
const cookieName = (secure: boolean) => (secure ? '__Host-pass-support' : 'pass-support')

export function createGate({ staff, oidc, audit, addressOf, log }: Gate) {
  const from = (c: Context) =>
    addressOf(
      (c.env as Partial<HttpBindings> | undefined)?.incoming?.socket?.remoteAddress,
      c.req.header('x-forwarded-for'),
    )

  function idIn(c: Context): string {
    return getCookie(c, cookieName(isSecure(c))) ?? ''
  }

  function openSession(c: Context, name: string, shown?: string): void {
    staff.close(idIn(c))
    const { id, maxAgeS } = staff.open(name, shown)
    const secure = isSecure(c)
    audit.write(name, 'sign-in')
    setCookie(c, cookieName(secure), id, { httpOnly: true, sameSite: 'Strict', secure, path: '/', maxAge: maxAgeS })
  }

  function letIn(c: Context, name: string, to: string): Response {
    openSession(c, name)
    return c.redirect(to, 303)
  }

  function wait(c: Context, seconds: number): void {
    c.header('retry-after', String(seconds))
    log.warn('support: too many failed sign-ins from one address')
  }

  /** Lets staff through. Everybody else gets the same answer whatever they asked for: a page, or for programs 401. */
  const onlyStaff: MiddlewareHandler = async (c, next) => {
    const bearer = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
    const checked = bearer === undefined ? undefined : staff.check(bearer, from(c))
    if (checked && 'name' in checked) {
      c.set('visitor', { name: checked.name, session: undefined, isHere: () => true } satisfies Visitor)
      return next()
    }
    const id = idIn(c)
    const session = staff.session(id)
    if (session) {
      const isHere = () => staff.session(id) !== undefined
      c.set('visitor', { name: session.name, session, isHere } satisfies Visitor)
      return next()
    }
    c.header('cache-control', 'no-store')
    if (checked && 'wait' in checked) {
      wait(c, checked.wait)
      return c.json({ error: { code: 'too_many_tries', message: 'Too many wrong tokens. Try again later.' } }, 429)
    }
    if (c.req.path.startsWith('/api/') || c.req.path.endsWith('/events') || bearer !== undefined) {
      const message = 'Sign in at /support, or send a support token as "Authorization: Bearer …".'
      c.header('www-authenticate', 'Bearer')
      return c.json({ error: { code: 'sign_in_needed', message } }, 401)
    }
    const to = c.req.method === 'GET' ? c.req.path + new URL(c.req.url).search : '/support'
    return c.redirect(to === '/support' ? '/support/sign-in' : `/support/sign-in?to=${encodeURIComponent(to)}`, 303)
  }

  /** For what changes something: only from a page of this session. */
  const onlyOwnForms: MiddlewareHandler = async (c, next) => {
    const { session } = visitorOf(c)
    const form = await formIn(c)
    // A program sends no cookie that another page could make a browser send.
    if (session && !isSame(form.get('csrf') ?? '', session.csrf)) return refuse(c)
    return next()
  }

  const routes = new Hono()
    .get('/support/sign-in', (c) => {
      const code = c.req.query('once')
      const to = pageIn(c.req.query('to'))
      if (code === undefined) return c.html(signInPage(to, { oidc }))
      const name = staff.follow(code)
      if (name !== undefined) return letIn(c, name, to)
      return c.html(signInPage(to, { oidc, problem: 'That link was used already, or is too old. Sign in again.' }), 401)
    })
    .post('/support/sign-in', async (c) => {
      const site = c.req.header('sec-fetch-site')
      if (site !== undefined && site !== 'same-origin') return refuse(c)
      const form = await formIn(c)
      const to = pageIn(form.get('to') ?? undefined)
      const checked = staff.check((form.get('token') ?? '').trim(), from(c))
      if (checked && 'name' in checked) return letIn(c, checked.name, to)
      if (checked) {
        wait(c, checked.wait)
        const minutes = Math.ceil(checked.wait / 60)
        return c.html(signInPage(to, { oidc, problem: `Too many wrong tokens. Try again in ${minutes} min.` }), 429)
      }
      log.warn('support: a wrong token was refused')
      return c.html(signInPage(to, { oidc, problem: 'This is not a token that we know.' }), 401)
    })
    .post('/support/sign-in-links', onlyStaff, (c) => {
      const { name, session } = visitorOf(c)
      if (session) return refuse(c)
      c.header('cache-control', 'no-store')
      return c.json({ path: `/support/sign-in?once=${staff.link(name)}` }, 201)
    })
    .post('/support/sign-out', onlyStaff, onlyOwnForms, (c) => {
      audit.write(visitorOf(c).name, 'sign-out')
      staff.close(idIn(c))
      const secure = isSecure(c)
      setCookie(c, cookieName(secure), '', { httpOnly: true, sameSite: 'Strict', secure, path: '/', maxAge: 0 })
      return c.redirect('/support/sign-in', 303)
    })

  if (oidc) routes.route('/', createOidcRoutes({ oidc, staff, log, from, idIn, isSecure, pageIn, openSession }))
  return { routes, onlyStaff, onlyOwnForms }
}

/** Who asks, behind the gate. */
export function visitorOf(c: Context): Visitor {
  return c.get('visitor')
}

/** Whether the browser is talked to over TLS. Who forges this header spoils a cookie of their own. */
function isSecure(c: Context): boolean {
  return (
    new URL(c.req.url).protocol === 'https:' || c.req.header('x-forwarded-proto')?.split(',')[0]?.trim() === 'https'
  )
}

/** A form that is too large is none. */
async function formIn(c: Context): Promise<URLSearchParams> {
  try {
    return new URLSearchParams(new TextDecoder().decode(await readBounded(c.req.raw, MAX_FORM_BYTES)))
  } catch (error) {
    if (error instanceof BodyTooLarge) return new URLSearchParams()
    throw error
  }
}

/** One of the console's own pages; anything else, wherever it leads, is the first of them. */
function pageIn(path: string | undefined): string {
  return path !== undefined && PAGES.test(path) ? path : '/support'
}

function isSame(given: string, known: string): boolean {
  return timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', known, 'buffer'))
}

function refuse(c: Context): Response {
  return c.json({ error: { code: 'form_not_ours', message: 'Open the page again and press the button there.' } }, 403)
}
