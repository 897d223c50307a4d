import { Hono } from 'hono'
import { sign } from 'hono/jwt'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { counting } from '../../fixtures/metrics/scraped.ts'
import { createApp } from '../app.ts'
import { CONTENT_TYPES, encode } from '../otlp.ts'
import {
  AS_SERVICE,
  asInstall,
  listen,
  SECRET,
  sampleAccess,
  sampleParts,
  sampleRequest,
  sampleSpan,
  TRACE_ID,
  temporaryStore,
} from '../sample-run.ts'
import type { Limits } from './quotas.ts'
import type { Reason } from './refusal.ts'

const START = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000
const OTHER_SECRET = 'a secret that another relay signs with, no less long'
const NO_LIMITS: Limits = { install: {}, address: {}, overall: {}, synthetic: {} }
const JSON_SPANS = { 'content-type': CONTENT_TYPES.json }

/** Every route that needs a token. */
const CLOSED = [
  ['POST', '/v1/traces'],
  ['POST', `/traces/${TRACE_ID}/keep`],
  ['POST', '/generate'],
  ['POST', '/compile'],
  ['GET', `/runs/${TRACE_ID}/events`],
  ['GET', `/runs/${TRACE_ID}/resume.pdf`],
] as const

/** A relay with a clock that the test sets, whose server answers everything with 200. */
async function relay(config: Parameters<typeof sampleAccess>[0] = {}, clock = { now: START }) {
  const reached: string[] = []
  const serverUrl = await listen((incoming, response) => {
    reached.push(`${incoming.method} ${incoming.url}`)
    incoming.resume().on('end', () => response.end('{}'))
  })
  const store = temporaryStore()
  const access = sampleAccess({ now: () => clock.now, ...config })
  const app = createApp(
    sampleParts(store, {
      access,
      serverUrl,
      now: () => clock.now,
    }),
  )
  /** From `address`, as the socket has it. */
  const send = async (path: string, init: RequestInit = {}, address = '192.0.2.1') =>
    app.request(path, { method: 'POST', ...init }, { incoming: { socket: { remoteAddress: address } } })
  const spans = (count: number) =>
    Buffer.from(
      encode(sampleRequest(Array.from({ length: count }, (_, n) => sampleSpan(`00f067aa0ba9${n + 1_000}`))), 'json'),
    )
  const counted = await counting()
  /** Of this relay alone: how often who was turned away, by reason; and by which quota. */
  const failures = (reason?: string) => counted('pass_auth_failures_total', reason === undefined ? {} : { reason })
  const denied = (limiter: string) => counted('pass_rate_limit_decisions_total', { limiter, decision: 'denied' })
  const register = () => asInstall(send('/installs'))
  return { app, access, store, clock, reached, send, spans, register, counted, failures, denied }
}

const bearer = (token: unknown) => ({ authorization: `Bearer ${token}` })
const claims = (change: object = {}) => ({
  sub: 'i',
  kind: 'access',
  iat: START / 1_000,
  exp: START / 1_000 + 60,
  ...change,
})

test('POST /installs gives a token for an hour, a refresh token, and another install every time', async () => {
  const { send, failures } = await relay()
  const answer = await send('/installs')
  expect(answer.status).toBe(201)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  const first = await answer.json()
  expect(first).toEqual({
    token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    expiresAt: '2026-01-01T01:00:00.000Z',
    expiresInS: 3_600,
    refresh: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
  })
  const second = await (await send('/installs')).json()
  const idIn = ({ token }: { token: string }) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  expect(idIn(first).sub).not.toBe(idIn(second).sub)
  expect(await failures()).toBe(0)
})

test('With its token an install gets everywhere, and with a refreshed one it is still the same install', async () => {
  const { send, clock, reached, spans } = await relay()
  const { token, refresh } = await (await send('/installs')).json()
  const through = async (headers: Record<string, string>) => {
    expect((await send('/v1/traces', { body: spans(1), headers: { ...headers, ...JSON_SPANS } })).status).toBe(200)
    for (const [method, path] of CLOSED.slice(1)) {
      expect(`${path} ${(await send(path, { method, headers })).status}`).toBe(`${path} 200`)
    }
  }
  await through(bearer(token))
  expect(reached).toHaveLength(4)
  clock.now += HOUR_MS
  expect((await send('/generate', { headers: bearer(token) })).status).toBe(401)
  const renewed = await send('/installs/refresh', { body: JSON.stringify({ refresh }) })
  expect(renewed.status).toBe(200)
  const next = await renewed.json()
  expect(next).toEqual({
    token: expect.any(String),
    expiresAt: '2026-01-01T02:00:00.000Z',
    expiresInS: 3_600,
    refresh: expect.any(String),
  })
  await through(bearer(next.token))
  const sub = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()).sub
  expect(sub(next.token)).toBe(sub(token))
  // 90 days later it is a stranger.
  clock.now += 90 * 24 * HOUR_MS
  const late = await send('/installs/refresh', { body: JSON.stringify({ refresh: next.refresh }) })
  expect(late.status).toBe(401)
  expect((await late.json()).error.code).toBe('token_expired')
})

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')
const NONE = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
const PAYLOAD = Buffer.from(JSON.stringify(claims())).toString('base64url')

test.each<[string, () => Promise<string | undefined>, Reason]>([
  ['nothing', async () => undefined, 'token_missing'],
  ['another scheme', async () => 'Basic YTpi', 'token_malformed'],
  ['no token', async () => 'Bearer ', 'token_malformed'],
  ['a word', async () => 'Bearer hello', 'token_malformed'],
  ['three parts of nothing', async () => 'Bearer a.b.c', 'token_malformed'],
  ['no signature', async () => `Bearer ${HEADER}.${PAYLOAD}.`, 'token_forged'],
  ['the algorithm “none”', async () => `Bearer ${NONE}.${PAYLOAD}.`, 'token_malformed'],
  ['another algorithm', async () => `Bearer ${await sign(claims(), SECRET, 'HS512')}`, 'token_malformed'],
  ['another relay’s secret', async () => `Bearer ${await sign(claims(), OTHER_SECRET, 'HS256')}`, 'token_forged'],
  [
    'a claim that was changed',
    async () => {
      const [header, , signature] = (await sign(claims(), SECRET, 'HS256')).split('.')
      return `Bearer ${header}.${Buffer.from(JSON.stringify(claims({ sub: 'j' }))).toString('base64url')}.${signature}`
    },
    'token_forged',
  ],
  [
    'an old token',
    async () => `Bearer ${await sign(claims({ exp: START / 1_000 }), SECRET, 'HS256')}`,
    'token_expired',
  ],
  ['no install', async () => `Bearer ${await sign(claims({ sub: undefined }), SECRET, 'HS256')}`, 'token_malformed'],
  [
    'a token without end',
    async () => `Bearer ${await sign(claims({ exp: undefined }), SECRET, 'HS256')}`,
    'token_malformed',
  ],
  [
    'a refresh token',
    async () => `Bearer ${await sign(claims({ kind: 'refresh' }), SECRET, 'HS256')}`,
    'token_wrong_kind',
  ],
])('With %s no closed route is reached, and the answer says why and what to do', async (_, make, reason) => {
  const { send, failures, counted, reached, store } = await relay()
  const authorization = await make()
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
  for (const [method, path] of CLOSED) {
    const answer = await send(path, {
      method,
      headers: { ...headers, ...JSON_SPANS },
      ...(method === 'POST' && { body: '{}' }),
    })
    expect(`${path} ${answer.status}`).toBe(`${path} 401`)
    const challenge = answer.headers.get('www-authenticate')
    if (reason === 'token_missing') expect(challenge).toBe('Bearer realm="pass-ats"')
    else
      expect(challenge).toMatch(
        new RegExp(`^Bearer realm="pass-ats", error="invalid_token", error_description="${reason}: `),
      )
    const body = await answer.text()
    if (path === '/v1/traces') {
      expect(JSON.parse(body)).toEqual({
        code: 16,
        message: expect.stringMatching(new RegExp(`^${reason}: .*POST /installs`)),
      })
    } else {
      expect(JSON.parse(body)).toEqual({ error: { code: reason, message: expect.stringContaining('POST /installs') } })
    }
    if (authorization && authorization.length > 10) expect(body + challenge).not.toContain(authorization.slice(7))
  }
  expect(reached).toEqual([])
  expect(store.recent(1)).toEqual([])
  expect([await failures(reason), await failures()]).toEqual([CLOSED.length, CLOSED.length])
  expect(await counted('pass_auth_attempts_total', { outcome: 'refused' })).toBe(CLOSED.length)
})

test('Health, readiness, preflights and the sign-in page need no token', async () => {
  const { send } = await relay()
  for (const path of ['/healthz', '/readyz', '/support/sign-in', '/support/console.css']) {
    expect((await send(path, { method: 'GET' })).status).toBe(200)
  }
  const origin = 'chrome-extension://abcdefghijklmnop'
  const preflight = await send('/generate', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  })
  expect(preflight.status).toBe(204)
  // Refused, too, an extension can read why, and when to come back.
  const refused = await send('/generate', { headers: { origin } })
  expect(refused.headers.get('access-control-allow-origin')).toBe(origin)
  for (const name of ['retry-after', 'ratelimit', 'www-authenticate']) {
    expect(refused.headers.get('access-control-expose-headers')).toContain(name)
  }
})

test('A refusal of spans in protobuf is a Status in protobuf', async () => {
  const { send } = await relay()
  const answer = await send('/v1/traces', { headers: { 'content-type': CONTENT_TYPES.protobuf }, body: '' })
  expect(answer.status).toBe(401)
  expect(answer.headers.get('content-type')).toBe(CONTENT_TYPES.protobuf)
  const reader = protobuf.Reader.create(new Uint8Array(await answer.arrayBuffer()))
  expect([reader.uint32() >>> 3, reader.int32()]).toEqual([1, 16])
})

test('While secrets are changed, tokens of the old one and of the new one are good; afterwards only the new one’s', async () => {
  const clock = { now: START }
  const before = await relay({ secrets: [SECRET] }, clock)
  const during = await relay({ secrets: [OTHER_SECRET, SECRET] }, clock)
  const after = await relay({ secrets: [OTHER_SECRET] }, clock)
  const [old, young] = [await before.register(), await during.register()]
  const status = async ({ send }: typeof before, headers: Record<string, string>) =>
    (await send('/generate', { headers })).status
  expect([await status(before, old), await status(during, old), await status(after, old)]).toEqual([200, 200, 401])
  expect([await status(before, young), await status(during, young), await status(after, young)]).toEqual([
    401, 200, 200,
  ])
  expect(await after.failures('token_forged')).toBe(2)
})

test.each([
  ['an access token', async (token: string) => JSON.stringify({ refresh: token }), 'token_wrong_kind'],
  ['nothing', async () => '', 'token_missing'],
  ['no object', async () => 'null', 'token_missing'],
  ['no string', async () => '{"refresh":1}', 'token_missing'],
  ['too much', async () => JSON.stringify({ refresh: 'x'.repeat(5_000) }), 'token_missing'],
])('POST /installs/refresh with %s is refused', async (_, body, reason) => {
  const { send } = await relay()
  const { token } = await (await send('/installs')).json()
  const answer = await send('/installs/refresh', { body: await body(token) })
  expect(answer.status).toBe(401)
  expect((await answer.json()).error.code).toBe(reason)
})

test('A service sends spans by its key, without a quota, the old key and the new one; and gets nowhere else', async () => {
  const keys = ['new-key-of-the-collector-0123456789', 'old-key-of-the-collector-0123456789']
  const { send, spans, failures, counted } = await relay({
    serviceKeys: keys.map((key) => ({ name: 'collector', key })),
    limits: { install: { spans: 1 }, address: { spans: 1 }, overall: { spans: 1 }, synthetic: {} },
  })
  for (const key of keys) {
    const headers = { ...bearer(key), ...JSON_SPANS }
    for (let n = 0; n < 3; n++) expect((await send('/v1/traces', { headers, body: spans(5) })).status).toBe(200)
    for (const [method, path] of CLOSED.slice(1)) {
      const answer = await send(path, { method, headers })
      expect(answer.status).toBe(403)
      expect((await answer.json()).error.code).toBe('service_not_allowed')
    }
  }
  const wrong = { ...bearer(`${keys[0]}0`), ...JSON_SPANS }
  expect((await send('/v1/traces', { headers: wrong, body: spans(1) })).status).toBe(401)
  expect([await failures('service_not_allowed'), await failures('token_malformed')]).toEqual([10, 1])
  expect(await counted('pass_auth_attempts_total', { outcome: 'accepted' })).toBe(6)
  expect(
    (await (await relay()).send('/v1/traces', { headers: { ...AS_SERVICE, ...JSON_SPANS }, body: spans(1) })).status,
  ).toBe(200)
})

test('An install that has used up its runs is told when there is one again, and others are not touched', async () => {
  const { send, register, clock, denied, reached } = await relay({ limits: { ...NO_LIMITS, install: { runs: 2 } } })
  const [first, second] = [await register(), await register()]
  expect((await send('/generate', { headers: first })).status).toBe(200)
  expect((await send('/compile', { headers: first })).status).toBe(200)
  clock.now += HOUR_MS / 4
  const refused = await send('/generate', { headers: first })
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toBe('900')
  expect(refused.headers.get('ratelimit-policy')).toBe('"install-runs";q=2;w=3600')
  expect(refused.headers.get('ratelimit')).toBe('"install-runs";r=0;t=900')
  expect(refused.headers.get('www-authenticate')).toBeNull()
  expect(await refused.json()).toEqual({
    error: {
      code: 'rate_limited',
      reason: 'quota_install',
      message: 'The resume service has had too many requests from here for now.',
      advice: 'Nothing is lost. Try again in 15 minutes.',
    },
  })
  expect(reached).toHaveLength(2)
  expect((await send('/generate', { headers: second })).status).toBe(200)
  clock.now += HOUR_MS / 4
  expect((await send('/generate', { headers: first })).status).toBe(200)
  expect((await send('/generate', { headers: first })).status).toBe(429)
  // What a run's owner reads of it is never counted.
  expect((await send(`/runs/${TRACE_ID}/events`, { method: 'GET', headers: first })).status).toBe(200)
  expect(await denied('install')).toBe(2)
})

test('Spans are charged by bytes and, once they are known, by number; what is refused is neither stored nor charged', async () => {
  const limits = { ...NO_LIMITS, install: { spans: 10, bytes: 100_000 } }
  const { send, register, spans, store, denied } = await relay({ limits })
  const headers = { ...(await register()), ...JSON_SPANS }
  expect((await send('/v1/traces', { headers, body: spans(7) })).status).toBe(200)
  const before = store.trace(TRACE_ID)
  const refused = await send('/v1/traces', { headers, body: spans(4) })
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toBe('360')
  expect(refused.headers.get('ratelimit-policy')).toBe('"install-spans";q=10;w=3600;qu="spans"')
  expect(refused.headers.get('ratelimit')).toBe('"install-spans";r=3;t=360')
  expect(await refused.json()).toEqual({
    code: 8,
    message: expect.stringMatching(/^quota_install: .* in 6 minutes\.$/),
  })
  expect(store.trace(TRACE_ID)).toEqual(before)
  expect((await send('/v1/traces', { headers, body: spans(3) })).status).toBe(200)

  // Announced, they are refused before they are read; otherwise when they have come.
  const padding = Buffer.from(`{"resourceSpans":[]${' '.repeat(90_000)}}`)
  for (const announced of [true, false]) {
    const install = { ...(await register()), ...JSON_SPANS }
    const length = announced ? { 'content-length': String(padding.length) } : {}
    const post = () => {
      const body = new Blob([padding]).stream()
      return send('/v1/traces', { headers: { ...install, ...length }, body, duplex: 'half' } as RequestInit)
    }
    expect((await post()).status).toBe(200)
    const tooMuch = await post()
    expect(tooMuch.status).toBe(429)
    expect(tooMuch.headers.get('ratelimit-policy')).toBe('"install-bytes";q=100000;w=3600;qu="content-bytes"')
  }
  expect(await denied('install')).toBe(3)
})

test('Of a length that was only announced nothing is charged', async () => {
  const { send, register, spans } = await relay({ limits: { ...NO_LIMITS, overall: { bytes: 10_000 } } })
  const headers = { ...(await register()), ...JSON_SPANS }
  const liar = await send('/v1/traces', { headers: { ...headers, 'content-length': '999999999999999' }, body: '{}' })
  expect(liar.status).toBe(413)
  expect((await send('/v1/traces', { headers, body: spans(1) })).status).toBe(200)
})

test('Keeps are counted by install, and what all of an address or of everybody asks for together, too', async () => {
  const keep = `/traces/${TRACE_ID}/keep`
  for (const [level, unit, path] of [
    ['install', 'keeps', keep],
    ['address', 'keeps', keep],
    ['overall', 'keeps', keep],
    ['address', 'runs', '/generate'],
    ['overall', 'runs', '/generate'],
  ] as const) {
    const { send, register, denied } = await relay({ limits: { ...NO_LIMITS, [level]: { [unit]: 2 } } })
    const installs = [await register(), await register(), await register()]
    const asked = []
    for (const [n, headers] of installs.entries()) {
      for (let again = 0; again < (level === 'install' ? 3 : 1); again++) {
        asked.push((await send(path, { headers }, level === 'overall' ? `192.0.2.${n}` : '192.0.2.1')).status === 429)
      }
    }
    expect(asked).toEqual(
      level === 'install' ? [false, false, true, false, false, true, false, false, true] : [false, false, true],
    )
    expect(await denied(level)).toBe(asked.filter(Boolean).length)
    const elsewhere = await send(path, { headers: await register() }, '198.51.100.7')
    expect(elsewhere.status === 429).toBe(level === 'overall')
  }
})

test('Of registrations an address has so many an hour, and an install of renewals', async () => {
  const { send } = await relay({ limits: { ...NO_LIMITS, address: { registrations: 2 }, install: { renewals: 1 } } })
  const { refresh } = await (await send('/installs')).json()
  expect((await send('/installs')).status).toBe(201)
  const refused = await send('/installs')
  expect(refused.status).toBe(429)
  expect(refused.headers.get('ratelimit-policy')).toBe('"address-registrations";q=2;w=3600')
  expect((await refused.json()).error).toMatchObject({ code: 'rate_limited', reason: 'quota_address' })
  expect((await send('/installs', {}, '198.51.100.7')).status).toBe(201)
  const body = JSON.stringify({ refresh })
  expect((await send('/installs/refresh', { body })).status).toBe(200)
  expect((await send('/installs/refresh', { body })).status).toBe(429)
})

test('X-Forwarded-For counts only behind a proxy that is trusted', async () => {
  const limits = { ...NO_LIMITS, address: { registrations: 1 } }
  const forwarded = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  const open = await relay({ limits })
  expect((await open.send('/installs', forwarded('198.51.100.1'))).status).toBe(201)
  expect((await open.send('/installs', forwarded('198.51.100.2'))).status).toBe(429)
  const behind = await relay({ limits, trustedProxies: ['192.0.2.0/24'] })
  expect((await behind.send('/installs', forwarded('198.51.100.1'))).status).toBe(201)
  expect((await behind.send('/installs', forwarded('198.51.100.2'))).status).toBe(201)
  expect((await behind.send('/installs', forwarded('made-up, 198.51.100.2'))).status).toBe(429)
})

test('No refusal, whatever it was, quotes what was sent', async () => {
  const lines: string[] = []
  const { access } = await relay()
  const app = new Hono().post('/x', access.gate('runs'))
  app.onError((error) => {
    lines.push(`${error.stack} ${JSON.stringify(error)} ${error.cause}`)
    return new Response(null)
  })
  const token = await sign(claims(), OTHER_SECRET, 'HS256')
  for (const authorization of [`Bearer ${token}`, `Bearer ${token}x`, 'Bearer a.secret-looking.c']) {
    await app.request('/x', { method: 'POST', headers: { authorization } })
  }
  expect(lines).toHaveLength(3)
  for (const line of lines) {
    expect(line).not.toContain('secret-looking')
    expect(line).not.toContain(token.slice(0, 30))
  }
})
