import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Account,
  CLIENT_ID,
  CLIENT_SECRET,
  type OidcProvider,
  startOidcProvider,
} from '../../fixtures/oidc/provider.ts'
import { sampleRequest, sampleSpan, TRACE_ID, temporaryStore } from '../sample-run.ts'
import { createOidc, type OidcConfig } from './oidc.ts'
import { consoleOf, put } from './sample-console.ts'

const REDIRECT = 'http://127.0.0.1/support/oidc/return'
const ADA: Account = {
  sub: '248289761001',
  claims: { email: 'ada@example.com', email_verified: true, groups: ['support', 'choir'] },
}

let provider: OidcProvider
beforeAll(async () => {
  provider = await startOidcProvider(REDIRECT)
})
afterAll(() => provider.close())

/** A console whose staff come from a provider; `of` instead of some settings. */
async function consoleWithProvider(of: Partial<OidcConfig> = {}, now: () => number = Date.now) {
  provider.account = ADA
  provider.requests.length = 0
  const config: OidcConfig = {
    ...{ issuer: provider.issuer, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, redirectUrl: REDIRECT },
    ...{ name: 'Example', scope: 'openid email groups', groupsClaim: 'groups' },
    allowed: { domains: ['example.com'], groups: [], subjects: [] },
    ...of,
  }
  const store = temporaryStore()
  await put(store, sampleRequest([sampleSpan('00000000000000a0', { name: 'telling-name' })]))
  const console = consoleOf(store, { oidc: createOidc(config, now), now })
  /** Presses the button; answers with where it leads and what the browser has to bring back. */
  const begin = async (to = '/support', headers: Record<string, string> = {}) => {
    const response = await console.get(`/support/oidc?to=${encodeURIComponent(to)}`, headers)
    return { response, url: response.headers.get('location') ?? '', cookie: cookieOf(response) }
  }
  /** Comes back from the provider. */
  const come = (search: string, cookie: string, headers: Record<string, string> = {}) =>
    console.get(`/support/oidc/return${search}`, { ...(cookie ? { cookie } : {}), ...headers })
  /** All of it, as a browser does it. */
  const signIn = async (to?: string) => {
    const { url, cookie } = await begin(to)
    return come(await throughProvider(url), cookie)
  }
  return { ...console, begin, come, signInThere: signIn }
}

const cookieOf = (response: Response, name = 'pass-support-oidc') =>
  response.headers
    .getSetCookie()
    .find((cookie) => cookie.startsWith(`${name}=`))
    ?.split(';')[0] ?? ''

/** Follows the provider's redirects with its cookies until they lead back; answers with the query they lead with. */
async function throughProvider(url: string): Promise<string> {
  const jar = new Map<string, string>()
  for (let at = url; ; ) {
    if (at.startsWith(REDIRECT)) return new URL(at).search
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } })
    for (const set of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (set.split(';')[0] ?? '').split('=')
      jar.set(name, value)
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`The provider leads nowhere: ${response.status} ${await response.text()}`)
    at = new URL(location, at).href
  }
}

test('The way there asks for a code with PKCE, state and nonce, and puts nothing of it where a script reads it', async () => {
  const { begin } = await consoleWithProvider()
  const { response, url, cookie } = await begin(`/support/${TRACE_ID}`)
  expect(response.status).toBe(303)
  const asked = new URL(url)
  expect(asked.origin).toBe(provider.issuer)
  expect(Object.fromEntries(asked.searchParams)).toMatchObject({
    ...{ response_type: 'code', client_id: CLIENT_ID, redirect_uri: REDIRECT, code_challenge_method: 'S256' },
    scope: 'openid email groups',
    state: expect.stringMatching(/^[\w-]{43}$/),
    nonce: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
  })
  const set = response.headers.get('set-cookie') ?? ''
  expect(set).toMatch(/; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/)
  const another = await begin()
  expect(new URL(another.url).searchParams.get('state')).not.toBe(asked.searchParams.get('state'))
  expect(another.cookie).not.toBe(cookie)
})

test('Who comes back has a session, is led to where they wanted to be, and is on record by subject, not by name', async () => {
  const { signInThere, get, page, support } = await consoleWithProvider()
  const answer = await signInThere(`/support/${TRACE_ID}`)
  expect(answer.status).toBe(200)
  const text = await answer.text()
  expect(text).toContain(`<meta http-equiv="refresh" content="0; url=/support/${TRACE_ID}">`)
  const session = answer.headers.getSetCookie().find((cookie) => cookie.startsWith('pass-support=')) ?? ''
  expect(session).toMatch(/HttpOnly; SameSite=Strict$/)
  expect(answer.headers.getSetCookie().join()).toContain('pass-support-oidc=; Max-Age=0')
  const { document } = await page(`/support/${TRACE_ID}`, { cookie: session.split(';')[0] ?? '' })
  expect(document.body.textContent).toContain('telling-name')
  expect(document.querySelector('header')?.textContent, 'they see who they are').toContain('ada@example.com')
  expect((await get(`/support/${TRACE_ID}`, {})).status).toBe(303)
  const lines = support.audit.newest(10)
  expect(lines.map(({ who, what }) => [who, what])).toEqual([
    ['oidc:248289761001', 'look-up'],
    ['oidc:248289761001', 'sign-in'],
  ])
  expect(JSON.stringify(lines)).not.toMatch(/ada|example/)
})

test.each<[string, Partial<OidcConfig['allowed']>, Account['claims'], number]>([
  ['an address of the domain', { domains: ['example.com'] }, {}, 200],
  ['an address of another domain', { domains: ['example.com'] }, { email: 'eve@example.com.evil.example' }, 403],
  ['a domain within the name', { domains: ['example.com'] }, { email: '"ada@example.com"@evil.example' }, 403],
  ['an address that nobody has verified', { domains: ['example.com'] }, { email_verified: false }, 403],
  ['an address of which nothing is said', { domains: ['example.com'] }, { email_verified: undefined }, 403],
  ['a group', { groups: ['support'] }, {}, 200],
  ['a group by another name', { groups: ['support'] }, { groups: ['supporters'] }, 403],
  ['one group, and not a list', { groups: ['support'] }, { groups: 'support' }, 200],
  ['a subject', { subjects: ['248289761001'] }, { email: undefined, groups: undefined }, 200],
  ['nothing that is asked for', { groups: ['admins'], subjects: ['1'] }, {}, 403],
])('Who may sign in is by configuration: %s', async (_, allowed, claims, status) => {
  const { signInThere } = await consoleWithProvider({
    allowed: { domains: [], groups: [], subjects: [], ...allowed },
  })
  provider.account = { sub: ADA.sub, claims: { ...ADA.claims, ...claims } }
  const answer = await signInThere()
  expect(answer.status).toBe(status)
  expect(cookieOf(answer, 'pass-support') !== '').toBe(status === 200)
  if (status === 403) expect(await answer.text()).toContain('may not look at runs here')
})

test('What does not belong to this browser, or was used before, signs nobody in', async () => {
  let now = Date.now()
  const { begin, come, support } = await consoleWithProvider({}, () => now)
  const refuse = async (answer: Response, status: number) => {
    expect([answer.status, cookieOf(answer, 'pass-support')]).toEqual([status, ''])
    expect(await answer.text()).toContain('Sign in')
  }
  const first = await begin()
  const query = await throughProvider(first.url)
  await refuse(await come(query, ''), 400)
  await refuse(await come(query, 'pass-support-oidc=guess.guess'), 400)
  const forged = Buffer.from(JSON.stringify({ state: 'x', until: now * 2 })).toString('base64url')
  await refuse(await come(query, `pass-support-oidc=${forged}.${'A'.repeat(43)}`), 400)
  const other = await begin()
  await refuse(await come(query, other.cookie), 401)
  const withoutState = new URLSearchParams(query)
  withoutState.delete('state')
  await refuse(await come(`?${withoutState}`, first.cookie), 401)
  const fromElsewhere = new URLSearchParams(query)
  fromElsewhere.set('iss', 'https://evil.example')
  await refuse(await come(`?${fromElsewhere}`, first.cookie), 401)
  expect((await come(query, first.cookie)).status).toBe(200)
  await refuse(await come(query, first.cookie), 401)
  const late = await begin()
  const lateQuery = await throughProvider(late.url)
  now += 11 * 60_000
  await refuse(await come(lateQuery, late.cookie), 400)
  expect(support.audit.newest(10).filter(({ what }) => what === 'sign-in')).toHaveLength(1)
})

test('A code that was asked for with another verifier is worth nothing', async () => {
  const { begin, come } = await consoleWithProvider()
  const [mine, theirs] = [await begin(), await begin()]
  const stolen = new URLSearchParams(await throughProvider(theirs.url))
  // Whoever steals a code still has no cookie of the browser that asked; with their own state it is the wrong verifier.
  stolen.set('state', new URL(mine.url).searchParams.get('state') ?? '')
  expect((await come(`?${stolen}`, mine.cookie)).status).toBe(401)
})

test('Who says no there is told so here', async () => {
  const { signInThere } = await consoleWithProvider()
  provider.account = undefined
  const answer = await signInThere()
  expect(answer.status).toBe(401)
  expect(await answer.text()).toContain('did not sign you in')
})

test('After ten that failed an address has to wait, for tokens too', async () => {
  const { come, post } = await consoleWithProvider()
  for (let n = 0; n < 10; n++) expect((await come('?code=x&state=y', '')).status).toBe(400)
  const late = await come('?code=x&state=y', '')
  expect([late.status, Number(late.headers.get('retry-after')) > 800]).toEqual([429, true])
  expect((await post('/support/sign-in', { token: 'x' })).status).toBe(429)
  expect(provider.requests, 'and nothing was asked of the provider').toEqual([])
})

test('With the provider away tokens sign in as ever', async () => {
  const { begin, post, get, signIn } = await consoleWithProvider({ issuer: 'http://localhost:1' })
  const { response } = await begin()
  expect(response.status).toBe(503)
  expect(await response.text()).toContain('not answering')
  expect((await post('/support/sign-in', { token: 'x' })).status).toBe(401)
  const { cookie } = await signIn()
  expect((await get('/support', cookie)).status).toBe(200)
})

test.each(['https://evil.example/', '//evil.example', '/support/../../evil', 'javascript:alert(1)'])(
  'Neither way leads to %j',
  async (to) => {
    const { signInThere } = await consoleWithProvider()
    expect(await (await signInThere(to)).text()).toContain('content="0; url=/support"')
  },
)

test('The session that the browser had before ends, and a chosen one is not taken over', async () => {
  const { begin, come, get, signIn } = await consoleWithProvider()
  const { cookie: before } = await signIn()
  const { url, cookie } = await begin('/support', before)
  const chosen = `pass-support=${'A'.repeat(43)}`
  const answer = await come(await throughProvider(url), `${cookie}; ${chosen}`)
  const now = cookieOf(answer, 'pass-support')
  expect(now).not.toBe(chosen)
  expect((await get('/support', { cookie: now })).status).toBe(200)
  expect((await get('/support', { cookie: chosen })).status).toBe(303)
  expect((await get('/support', before)).status).toBe(303)
})

test('The page to sign in on offers both, and only the token where no provider is set up', async () => {
  const { page } = await consoleWithProvider()
  const { document } = await page(`/support/sign-in?to=/support/${TRACE_ID}`, {})
  expect(document.querySelector('.account a')?.textContent).toBe('Sign in with Example')
  expect(document.querySelector('.account a')?.getAttribute('href')).toBe(`/support/oidc?to=%2Fsupport%2F${TRACE_ID}`)
  const plain = consoleOf(temporaryStore())
  expect((await plain.page('/support/sign-in', {})).document.querySelector('.account')).toBeNull()
  expect((await plain.get('/support/oidc', {})).status).not.toBe(200)
})
