import { expect, test } from 'vitest'
import { createApp } from '../app.ts'
import {
  AS_SERVICE,
  AS_STAFF,
  sampleParts,
  sampleRequest,
  sampleSpan,
  sampleSupport,
  TRACE_ID,
  temporaryStore,
} from '../sample-run.ts'
import { consoleOf, consoleWith, NOW, put } from './sample-console.ts'

const run = sampleRequest([sampleSpan('00000000000000a0', { name: 'telling-name' })])
const PATHS = [
  '/support',
  `/support?id=${TRACE_ID}`,
  `/support/${TRACE_ID}`,
  `/support/${TRACE_ID.slice(0, 8)}`,
  `/support/${TRACE_ID.toUpperCase()}`,
  `/support/${TRACE_ID}?rows=all`,
  `/support/${TRACE_ID}/events`,
  '/support/audit',
  `/api/traces/${TRACE_ID}`,
  `/api/traces/${TRACE_ID}?download`,
]
/** Ways to the same places that a check of the path's beginning would miss. */
const TRICKS = [
  `//support/${TRACE_ID}`,
  `/./support/${TRACE_ID}`,
  `/support//${TRACE_ID}`,
  `/support/sign-in/../${TRACE_ID}`,
  `/support/sign-in/%2e%2e/${TRACE_ID}`,
  `/support/sign-in%2f..%2f${TRACE_ID}`,
  `/support/console.css/../${TRACE_ID}`,
  `/SUPPORT/${TRACE_ID}`,
  `/support/${TRACE_ID}/`,
  `/support/${TRACE_ID};x=console.css`,
  `/support/${TRACE_ID}%00.css`,
  `/support%2f${TRACE_ID}`,
  `/api/./traces/${TRACE_ID}`,
  `/API/traces/${TRACE_ID}`,
  `/api/traces/${TRACE_ID}/`,
  `/healthz/../api/traces/${TRACE_ID}`,
]

test('Without a session nothing tells of a trace: no page, no API, no asset, by no spelling of its path', async () => {
  const store = temporaryStore()
  await put(store, run)
  const { app, get } = consoleOf(store)
  for (const path of [`/support/${TRACE_ID}`, `/api/traces/${TRACE_ID}`]) {
    expect(await (await get(path)).text(), 'staff would see it').toContain('telling-name')
  }
  const nobodys = [
    {},
    { cookie: 'pass-support=guess' },
    { cookie: `pass-support=${'A'.repeat(43)}` },
    AS_SERVICE,
    { authorization: 'Bearer wrong' },
    { authorization: 'Basic YWRhOmFkYQ==' },
    { 'x-forwarded-for': '127.0.0.1', host: 'localhost' },
  ] as Record<string, string>[]
  for (const headers of nobodys) {
    for (const path of [...PATHS, ...TRICKS, '/support/console.css', '/support/console.js', '/support/sign-in']) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS']) {
        const answer = await app.request(path, { method, headers })
        const said = (await answer.text()) + JSON.stringify([...answer.headers])
        expect(`${method} ${path}: ${said.includes('telling-name')}`).toBe(`${method} ${path}: false`)
        const refused = [303, 401, 404, 429].includes(answer.status)
        if (PATHS.includes(path)) expect(`${method} ${path} ${refused}`).toBe(`${method} ${path} true`)
      }
    }
  }
})

test('Pages are kept by no browser, and what they are drawn with is, under an address of its own', async () => {
  const { get, page } = await consoleWith(run)
  const { response, document } = await page(`/support/${TRACE_ID}`)
  expect(response.headers.get('cache-control')).toBe('no-store')
  const style = document.querySelector('link[rel=stylesheet]')?.getAttribute('href') ?? ''
  expect(style).toMatch(/^\/support\/console\.css\?v=[0-9a-f]{12}$/)
  expect((await get(style, {})).headers.get('cache-control')).toContain('immutable')
})

test('An ID that is here and one that is not are answered alike without a session', async () => {
  const { app } = await consoleWith(run)
  const answers = ['/support/', '/api/traces/'].map(async (path) => {
    const [here, gone] = await Promise.all([TRACE_ID, 'f'.repeat(32)].map((id) => app.request(path + id)))
    const plain = async (answer: Response | undefined, id: string) =>
      JSON.stringify([answer?.status, await answer?.text(), [...(answer?.headers ?? [])]]).replaceAll(id, '')
    expect(await plain(here, TRACE_ID)).toBe(await plain(gone, 'f'.repeat(32)))
  })
  await Promise.all(answers)
})

test('Who signs in gets a cookie that no script reads and no other site sends, and is led to where they wanted to be', async () => {
  const { get, post, page } = await consoleWith(run)
  const away = await get(`/support/${TRACE_ID}`, {})
  expect(away.status).toBe(303)
  const form = await page(away.headers.get('location') ?? '', {})
  const to = form.document.querySelector<HTMLInputElement>('input[name=to]')?.value ?? ''
  expect(form.document.querySelector('input[type=password]')?.getAttribute('autocomplete')).toBe('current-password')
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  const answer = await post('/support/sign-in', { token, to })
  expect([answer.status, answer.headers.get('location')]).toEqual([303, `/support/${TRACE_ID}`])
  const cookie = answer.headers.get('set-cookie') ?? ''
  expect(cookie).toMatch(/^pass-support=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/)
  expect(cookie).not.toContain(token)
  expect((await get(`/support/${TRACE_ID}`, { cookie: cookie.split(';')[0] ?? '' })).status).toBe(200)
})

test('Over TLS, also where a proxy ends it, the cookie is Secure and bound to its host', async () => {
  const { post, get } = await consoleWith(run)
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  const answer = await post('/support/sign-in', { token }, { 'x-forwarded-proto': 'https' })
  const cookie = answer.headers.get('set-cookie') ?? ''
  expect(cookie).toMatch(/^__Host-pass-support=.*; Secure/)
  const [pair = ''] = cookie.split(';')
  expect((await get('/support', { cookie: pair, 'x-forwarded-proto': 'https' })).status).toBe(200)
  expect((await get('/support', { cookie: pair })).status).toBe(303)
})

test.each([
  'https://evil.example/',
  '//evil.example',
  '/\\evil.example',
  '/support/../../evil',
  '/support@evil.example',
  '/support\r\nlocation: https://evil.example',
  'javascript:alert(1)',
  '/api/traces/4bf92f35',
  '/support/sign-out',
])('Signing in leads to a page of the console, and not to %j', async (to) => {
  const { post, get, support } = await consoleWith(run)
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  const answer = await post('/support/sign-in', { token, to })
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/support'])
  const link = await get(`/support/sign-in?once=${support.staff.link('ada')}&to=${encodeURIComponent(to)}`, {})
  expect([link.status, link.headers.get('location')]).toEqual([303, '/support'])
})

test('A session that somebody else has chosen is not taken over, and the one before ends', async () => {
  const { get, signIn, post } = await consoleWith(run)
  const chosen = { cookie: `pass-support=${'A'.repeat(43)}` }
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  const answer = await post('/support/sign-in', { token }, chosen)
  expect(answer.headers.get('set-cookie')).not.toContain('A'.repeat(43))
  expect((await get('/support', chosen)).status).toBe(303)
  const { cookie: first } = await signIn()
  expect((await get('/support', first)).status).toBe(200)
  await post('/support/sign-in', { token }, first)
  expect((await get('/support', first)).status).toBe(303)
})

test('Signing out ends the session for good', async () => {
  const { get, page, post, signIn } = await consoleWith(run)
  const { cookie } = await signIn()
  const { document } = await page('/support', cookie)
  const csrf = document.querySelector<HTMLInputElement>('form[action="/support/sign-out"] [name=csrf]')?.value ?? ''
  const out = await post('/support/sign-out', { csrf }, cookie)
  expect([out.status, out.headers.get('location')]).toEqual([303, '/support/sign-in'])
  expect(out.headers.get('set-cookie')).toContain('Max-Age=0')
  expect((await get('/support', cookie)).status).toBe(303)
})

test('A session ends after twelve hours, and after two without a page', async () => {
  let now = NOW
  const { get, signIn } = consoleOf(temporaryStore(), { now: () => now })
  const { cookie: idle } = await signIn()
  now += 119 * 60_000
  expect((await get('/support', idle)).status).toBe(200)
  now += 121 * 60_000
  expect((await get('/support', idle)).status).toBe(303)
  const { cookie: busy } = await signIn()
  for (let hour = 0; hour < 11; hour++) {
    now += 60 * 60_000
    expect((await get('/support', busy)).status).toBe(200)
  }
  now += 61 * 60_000
  expect((await get('/support', busy)).status).toBe(303)
})

test('After ten wrong tokens an address has to wait, whatever it sends; another has not', async () => {
  let now = NOW
  const store = temporaryStore()
  const addressOf = (_: string | undefined, forwardedFor: string | undefined) => forwardedFor ?? ''
  const { post, get } = consoleOf(store, { now: () => now, addressOf })
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  const [here, there] = [{ 'x-forwarded-for': '192.0.2.1' }, { 'x-forwarded-for': '192.0.2.2' }]
  for (let n = 0; n < 5; n++) expect((await post('/support/sign-in', { token: `${n}` }, here)).status).toBe(401)
  for (let n = 0; n < 5; n++) {
    const answer = await get('/api/traces/ffffffff', { ...here, authorization: `Bearer ${n}` })
    expect(answer.status).toBe(401)
  }
  const late = await post('/support/sign-in', { token }, here)
  expect([late.status, late.headers.get('retry-after')]).toEqual([429, '900'])
  expect((await get('/api/traces/ffffffff', { ...here, ...AS_STAFF })).status).toBe(429)
  expect((await post('/support/sign-in', { token }, there)).status).toBe(303)
  now += 15 * 60_000
  expect((await post('/support/sign-in', { token }, here)).status).toBe(303)
})

test('A form of another page changes nothing', async () => {
  const { page, post, signIn, store } = await consoleWith(run)
  const { cookie } = await signIn()
  for (const form of [{}, { csrf: '' }, { csrf: 'guess' }] as Record<string, string>[]) {
    expect((await post(`/support/${TRACE_ID}/keep`, form, cookie)).status).toBe(403)
    expect((await post('/support/sign-out', form, cookie)).status).toBe(403)
  }
  const other = await signIn()
  const { document } = await page(`/support/${TRACE_ID}`, other.cookie)
  const csrf = document.querySelector<HTMLInputElement>('form[action$="/keep"] [name=csrf]')?.value ?? ''
  expect((await post(`/support/${TRACE_ID}/keep`, { csrf }, cookie)).status).toBe(403)
  expect(store.stay(TRACE_ID)?.kept).toBe(false)
  expect((await post(`/support/${TRACE_ID}/keep`, { csrf }, other.cookie)).status).toBe(303)
  expect(store.stay(TRACE_ID)?.kept).toBe('report')
})

test('Nobody is signed in by a form of another site', async () => {
  const { post } = await consoleWith(run)
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  for (const site of ['cross-site', 'same-site']) {
    const answer = await post('/support/sign-in', { token }, { 'sec-fetch-site': site })
    expect([answer.status, answer.headers.get('set-cookie')]).toEqual([403, null])
  }
})

test('A form that is too large is no form', async () => {
  const { post } = await consoleWith()
  const token = AS_STAFF.authorization.slice('Bearer '.length)
  expect((await post('/support/sign-in', { filler: 'x'.repeat(5_000), token })).status).toBe(401)
})

test('A link signs in once, within ten minutes, and only programs of the staff get one', async () => {
  let now = NOW
  const { app, get, signIn } = consoleOf(temporaryStore(), { now: () => now })
  const link = async (headers: Record<string, string>) =>
    app.request('/support/sign-in-links', { method: 'POST', headers })
  expect((await link({})).status).toBe(303)
  expect((await link(AS_SERVICE)).status).toBe(401)
  expect((await link((await signIn()).cookie)).status).toBe(403)
  const { path } = await (await link(AS_STAFF)).json()
  const first = await get(path, {})
  expect([first.status, first.headers.get('set-cookie')]).toEqual([303, expect.stringContaining('pass-support=')])
  const second = await get(path, {})
  expect([second.status, second.headers.get('set-cookie')]).toEqual([401, null])
  const { path: late } = await (await link(AS_STAFF)).json()
  now += 11 * 60_000
  expect((await get(late, {})).status).toBe(401)
})

test('Behind the relay’s own door another site’s page is turned away before the console', async () => {
  const app = createApp(sampleParts(temporaryStore()))
  const headers = { origin: 'https://evil.example', ...AS_STAFF }
  expect((await app.request(`http://127.0.0.1/api/traces/${TRACE_ID}`, { headers })).status).toBe(403)
})

test('Who looked at what is on record with the time, and what was typed is not', async () => {
  const { get, page, post, signIn, support } = await consoleWith(run)
  const { cookie } = await signIn()
  await get('/support?id=ada%20lovelace', cookie)
  const { document } = await page(`/support/${TRACE_ID.slice(0, 8)}`, cookie)
  await get(`/api/traces/${TRACE_ID}`, AS_STAFF)
  const csrf = document.querySelector<HTMLInputElement>('[name=csrf]')?.value ?? ''
  await post(`/support/${TRACE_ID}/keep`, { csrf }, cookie)
  await get('/support/ffffffff', cookie)
  const { document: audit } = await page('/support/audit', cookie)
  const at = '2026-01-01T00:05:00.000Z'
  const line = (what: string, trace?: string) => ({ at, who: 'ada', what, ...(trace ? { trace } : {}) })
  expect(support.audit.newest(10).reverse()).toEqual([
    line('sign-in'),
    line('list'),
    line('look-up', TRACE_ID),
    line('download', TRACE_ID),
    line('keep', TRACE_ID),
    line('list'),
    line('audit'),
  ])
  expect(JSON.stringify(support.audit.newest(10))).not.toContain('lovelace')
  const rows = [...audit.querySelectorAll('tbody tr')].map((row) => row.textContent)
  expect(rows[2]).toBe('1 Jan 2026, 00:05 UTCadakept 4bf92f35')
})

test('What cannot be put on record is not shown', async () => {
  const support = sampleSupport()
  const audit = {
    ...support.audit,
    write: () => {
      throw new Error('ENOSPC')
    },
  }
  const statusOf = async (parts: typeof support) => {
    const app = createApp(sampleParts(temporaryStore(), { support: parts }))
    return (await app.request('http://127.0.0.1/support', { headers: AS_STAFF })).status
  }
  expect(await statusOf(support)).toBe(200)
  expect(await statusOf({ ...support, audit })).toBe(500)
})
