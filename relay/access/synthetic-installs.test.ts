import type { IncomingHttpHeaders } from 'node:http'
import { sign } from 'hono/jwt'
import { expect, test } from 'vitest'
import { counting } from '../../fixtures/metrics/scraped.ts'
import { INSTALL_HEADER } from '../../server/relay-contract.ts'
import { createApp } from '../app.ts'
import {
  AS_SERVICE,
  asInstall,
  listen,
  SECRET,
  SYNTHETIC_KEY,
  sampleAccess,
  sampleParts,
  TRACE_ID,
  temporaryStore,
} from '../sample-run.ts'
import type { Limits } from './quotas.ts'

const AS_CHECK = { authorization: `Bearer ${SYNTHETIC_KEY}` }
const MARK = 'pass-ats-synthetic'
const NONE: Limits = { install: {}, address: {}, overall: {}, synthetic: {} }

async function relay(limits: Limits = NONE) {
  const seen: IncomingHttpHeaders[] = []
  const serverUrl = await listen((incoming, response) => {
    seen.push(incoming.headers)
    incoming.resume().on('end', () => response.writeHead(202).end('{}'))
  })
  const access = sampleAccess({ limits })
  const app = createApp(sampleParts(temporaryStore(), { access, serverUrl }))
  const send = async (path: string, headers: Record<string, string> = {}, body: string | null = null) =>
    app.request(path, { method: 'POST', headers, body })
  return { send, seen, counted: await counting() }
}

test('A check registers with its key, and everything it asks for is told apart: for the server, and in every count', async () => {
  const { send, seen, counted } = await relay()
  const check = await asInstall(send('/installs', AS_CHECK))
  const person = await asInstall(send('/installs'))
  expect((await send('/generate', check, '{}')).status).toBe(202)
  expect((await send('/generate', person, '{}')).status).toBe(202)
  expect(seen.map((headers) => headers[MARK])).toEqual(['true', undefined])
  const requests = (synthetic: string) =>
    counted('http_server_request_duration_seconds_count', { http_route: '/generate', synthetic })
  expect([await requests('true'), await requests('false')]).toEqual([1, 1])
  const attempts = (synthetic: string) => counted('pass_auth_attempts_total', { outcome: 'accepted', synthetic })
  expect([await attempts('true'), await attempts('false')]).toEqual([2, 1])
})

test('All that register with one key are one install, so that a run of a check is found again; people never are', async () => {
  const { send, seen } = await relay()
  for (const headers of [AS_CHECK, AS_CHECK, {}, {}]) {
    await send('/generate', await asInstall(send('/installs', headers)), '{}')
  }
  const [check, again, person, other] = seen.map((headers) => headers[INSTALL_HEADER])
  expect(check).toBe(again)
  expect(new Set([check, person, other]).size).toBe(3)
})

test('A check whose token is renewed is still one', async () => {
  const { send, seen } = await relay()
  const { refresh } = await (await send('/installs', AS_CHECK)).json()
  const renewed = await asInstall(send('/installs/refresh', {}, JSON.stringify({ refresh })))
  await send('/generate', renewed, '{}')
  expect(seen[0]?.[MARK]).toBe('true')
})

test('Nobody is a check without its key: not by a header, a claim of their own, another key or somebody else’s secret', async () => {
  const { send, seen, counted } = await relay()
  const person = await asInstall(send('/installs', { [MARK]: 'true' }))
  expect((await send('/generate', { ...person, [MARK]: 'true' }, '{}')).status).toBe(202)
  expect(seen.map((headers) => headers[MARK])).toEqual([undefined])

  const now = Math.floor(Date.now() / 1_000)
  const claims = { sub: 'i', kind: 'access', iat: now, exp: now + 60, synthetic: 'e2e' }
  const forged = await sign(claims, 'a secret that is not the one of this relay', 'HS256')
  expect((await send('/generate', { authorization: `Bearer ${forged}` }, '{}')).status).toBe(401)
  const [head, , signature] = (person.authorization.slice(7) ?? '').split('.')
  const spliced = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
  expect((await send('/generate', { authorization: `Bearer ${spliced}` }, '{}')).status).toBe(401)

  for (const authorization of [`Bearer ${SYNTHETIC_KEY}x`, AS_SERVICE.authorization, 'Basic e2e', `Bearer ${SECRET}`]) {
    const answer = await send('/installs', { authorization })
    expect(answer.status).toBe(401)
    expect((await answer.json()).error.code).toBe('synthetic_key_unknown')
  }
  // The key registers; it does not open what is for installs or services.
  for (const path of ['/generate', '/v1/traces']) expect((await send(path, AS_CHECK, '{}')).status).toBe(401)
  expect(seen).toHaveLength(1)
  expect(await counted('http_server_request_duration_seconds_count', { synthetic: 'true' })).toBe(0)
  expect(await counted('pass_auth_failures_total', { reason: 'synthetic_key_unknown' })).toBe(4)
  expect(await counted('pass_auth_failures_total', { reason: 'token_forged' })).toBe(2)
})

test('Checks use up nobody’s quota, and have one of their own, for all their installs together', async () => {
  const one = { runs: 1, registrations: 1 }
  const limits = { install: one, address: one, overall: one, synthetic: { runs: 3, registrations: 3 } }
  const { send, counted } = await relay(limits)
  for (let n = 0; n < 3; n++) {
    const check = await asInstall(send('/installs', AS_CHECK))
    expect((await send('/generate', check, '{}')).status).toBe(202)
  }
  expect((await send('/installs', AS_CHECK)).status).toBe(429)
  const person = await asInstall(send('/installs'))
  expect((await send('/generate', person, '{}')).status).toBe(202)
  const decided = (limiter: string, decision: string) =>
    counted('pass_rate_limit_decisions_total', { limiter, decision })
  expect([await decided('synthetic', 'allowed'), await decided('synthetic', 'denied')]).toEqual([6, 1])
  expect([await decided('overall', 'allowed'), await decided('overall', 'denied')]).toEqual([2, 0])
  expect((await send('/installs')).status).toBe(429)
  expect(await decided('address', 'denied')).toBe(1)
  expect((await send(`/traces/${TRACE_ID}/keep`, person)).status).toBe(404)
})
