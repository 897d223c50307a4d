import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { setImmediate as breath } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { getRequestListener } from '@hono/node-server'
import { expect, test } from 'vitest'
import { createBreaker } from '../breaker.ts'
import { ErrorBody } from '../server/contract.ts'
import { MAX_COMPILE_BYTES, MAX_GENERATE_BYTES } from '../server/request-contract.ts'
import { createApp } from './app.ts'
import { SERVER_BREAKER } from './proxy.ts'
import { asInstall, deadAddress, listen, sampleParts, TRACE_ID, temporaryStore } from './sample-run.ts'

const EVENTS = `/runs/${TRACE_ID}/events`
const SERVER_KEY = 'the key that relay and server share'
const SESSION = '0b54ae0e-7f2c-4a6e-9f57-cb03c1a2e6d4'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const ORIGIN = 'chrome-extension://abcdefghijklmnop'

/** The relay in front of `server`, both on real ports. */
async function relayTo(
  server: RequestListener | string,
  deadlines = { answerMs: 5_000, compileMs: 5_000 },
  breaker = createBreaker(SERVER_BREAKER),
) {
  const serverUrl = typeof server === 'string' ? server : await listen(server)
  const store = temporaryStore()
  const shutdown = new AbortController()
  const app = createApp(
    sampleParts(store, {
      breaker,
      serverUrl,
      serverKey: SERVER_KEY,
      shutdown: shutdown.signal,
      deadlines,
    }),
  )
  const requests: WeakRef<Request>[] = []
  const url = await listen(
    getRequestListener((request, env) => {
      requests.push(new WeakRef(request))
      return app.fetch(request, env)
    }),
  )
  const install = await asInstall(fetch(`${url}/installs`, { method: 'POST' }))
  /** As an install asks. */
  const ask = (path: string, { headers, ...init }: RequestInit = {}) =>
    fetch(url + path, { headers: { ...install, ...headers }, ...init })
  return { app, url, ask, install, breaker, shutdown, requests }
}

/** A server that hands every request to the test. */
function held() {
  let next = Promise.withResolvers<[IncomingMessage, ServerResponse]>()
  const listener: RequestListener = (request, response) => {
    next.resolve([request, response])
    next = Promise.withResolvers()
  }
  return { listener, request: () => next.promise }
}

async function failureOf(response: Response): Promise<string> {
  return ErrorBody.parse(await response.json()).error.code
}

test('POST /generate reaches the server with its body, listed headers and what the relay says itself, and nothing else', async () => {
  const { listener, request } = held()
  const { ask, install } = await relayTo(listener)
  const arriving = request()
  const answer = ask('/generate', {
    method: 'POST',
    body: '{"a":1}',
    headers: {
      'content-type': 'application/json',
      cookie: 'session=1',
      'x-forwarded-for': '192.0.2.1',
      'x-request-id': 'from-outside',
      'pass-ats-install': 'somebody else',
      'pass-ats-server-key': 'guessed',
      'pass-ats-relay': 'c0ffee',
      'idempotency-key': TRACE_ID,
      traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-03`,
      tracestate: 'ot=th:fd70a4',
      baggage: `user=ada, session.id=${SESSION};p=1,session.id=again`,
    },
  })
  const [incoming, response] = await arriving
  expect(await readText(incoming)).toBe('{"a":1}')
  const [, claims = ''] = install.authorization.split('.')
  const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  // What undici adds says that this is Node, and no more.
  const {
    host,
    connection,
    'user-agent': agent,
    'accept-language': _,
    'sec-fetch-mode': __,
    ...rest
  } = incoming.headers
  expect([host, connection, agent]).toEqual([expect.any(String), 'keep-alive', 'node'])
  expect(rest).toEqual({
    accept: '*/*',
    'accept-encoding': expect.any(String),
    'content-type': 'application/json',
    'transfer-encoding': 'chunked',
    traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-03`,
    tracestate: 'ot=th:fd70a4',
    baggage: `session.id=${SESSION}`,
    'pass-ats-install': sub,
    'pass-ats-server-key': SERVER_KEY,
    'x-request-id': expect.stringMatching(UUID),
  })
  response.writeHead(202, { 'content-type': 'application/json' }).end('{"id":1}')
  expect((await answer).status).toBe(202)
  expect(await (await answer).json()).toEqual({ id: 1 })
})

test.each([
  ['no UUID', 'session.id=ada@example.org'],
  ['more than a UUID', `session.id=${SESSION}0`],
  ['another entry', `user.id=${SESSION}`],
  ['nothing', ''],
])('Baggage with %s goes no further', async (_, baggage) => {
  const { listener, request } = held()
  const { ask } = await relayTo(listener)
  const arriving = request()
  const answer = ask(EVENTS, { headers: { baggage } })
  const [incoming, response] = await arriving
  expect(incoming.headers).not.toHaveProperty('baggage')
  response.end()
  await (await answer).text()
})

test('Of the server’s answer only listed headers come back, and the request’s ID is the relay’s own, another each time', async () => {
  const seen: unknown[] = []
  const { ask } = await relayTo((incoming, response) => {
    seen.push(incoming.headers['x-request-id'])
    response.writeHead(200, {
      'content-type': 'application/pdf',
      'content-disposition': 'inline',
      'cache-control': 'private, no-store',
      'set-cookie': 'session=1',
      server: 'secret/1.0',
      'x-powered-by': 'x',
      'x-request-id': 'of the server',
      'pass-ats-server-key': SERVER_KEY,
      'access-control-allow-origin': '*',
    })
    response.end('%PDF')
  })
  const answers = [await ask(`/runs/${TRACE_ID}/resume.pdf`), await ask(`/runs/${TRACE_ID}/resume.pdf`)]
  for (const { headers } of answers) {
    const { 'x-request-id': id, ...rest } = Object.fromEntries(headers)
    expect(id).toMatch(UUID)
    expect(rest).toEqual({
      'access-control-expose-headers': expect.any(String),
      'cache-control': 'private, no-store',
      connection: 'keep-alive',
      'content-disposition': 'inline',
      'content-length': '4',
      'content-type': 'application/pdf',
      date: expect.any(String),
      'keep-alive': expect.any(String),
      vary: 'Origin',
    })
  }
  expect(answers.map(({ headers }) => headers.get('x-request-id'))).toEqual(seen)
  expect(new Set(seen).size).toBe(2)
})

test('A server that does not know the relay’s key is a 502, never a 401 that a client would answer with another token', async () => {
  const { ask } = await relayTo((_, response) => response.writeHead(401).end('{"error":{"code":"not_allowed"}}'))
  const answer = await ask(EVENTS)
  expect(answer.status).toBe(502)
  expect(answer.headers.get('www-authenticate')).toBeNull()
  expect(await failureOf(answer)).toBe('server_unreachable')
})

test('After five failures in a row nobody asks the server for two seconds; then one does, and its answer lets all others in', async () => {
  const clock = { now: 0 }
  const breaker = createBreaker(SERVER_BREAKER, () => clock.now)
  let alive = false
  let held: (() => void) | undefined
  let reached = 0
  const { ask } = await relayTo(
    (incoming, response) => {
      reached += 1
      if (!alive) incoming.socket.destroy()
      else if (incoming.url?.endsWith('.pdf')) held = () => response.end('made')
      else response.end('streamed')
    },
    undefined,
    breaker,
  )
  const failing = async () => {
    const answer = await ask(EVENTS)
    expect(answer.status).toBe(502)
    expect(await failureOf(answer)).toBe('server_unreachable')
    return answer.headers.get('retry-after')
  }
  for (let n = 0; n < 5; n++) {
    expect(breaker.state()).toBe('closed')
    expect(await failing()).toBeNull()
  }
  expect([breaker.state(), reached]).toEqual(['open', 5])
  clock.now = 500
  expect(await failing()).toBe('2')
  expect(reached).toBe(5)
  // The one that asks fails, and it all begins anew.
  clock.now = 2_000
  expect(await failing()).toBeNull()
  expect([breaker.state(), reached]).toEqual(['open', 6])
  clock.now = 3_999
  expect(await failing()).toBe('1')

  alive = true
  clock.now = 4_000
  const probe = ask(`/runs/${TRACE_ID}/resume.pdf`)
  await expect.poll(() => held).toBeDefined()
  expect(breaker.state()).toBe('half_open')
  expect(await failing()).toBe('2')
  expect(reached).toBe(7)
  held?.()
  expect(await (await probe).text()).toBe('made')
  expect(breaker.state()).toBe('closed')
  expect(await (await ask(EVENTS)).text()).toBe('streamed')
})

test('A client that leaves while the server is tried leaves the trying to the next one; errors it answers with are answers', async () => {
  const clock = { now: 0 }
  const breaker = createBreaker(SERVER_BREAKER, () => clock.now)
  const { listener, request } = held()
  const { ask } = await relayTo(listener, undefined, breaker)
  for (let n = 0; n < 5; n++) breaker.enter().done('failed')
  clock.now = 2_000
  const client = new AbortController()
  const arriving = request()
  const left = ask(EVENTS, { signal: client.signal }).catch(() => 'left')
  const [{ socket }] = await arriving
  const closed = once(socket, 'close')
  client.abort()
  await Promise.all([left, closed])
  expect(breaker.state()).toBe('open')
  const again = request()
  const answer = ask(EVENTS)
  const [, response] = await again
  response.writeHead(503).end('{}')
  expect((await answer).status).toBe(503)
  expect(breaker.state()).toBe('closed')
})

test('Each event is through before the next is sent, and Last-Event-ID travels along', async () => {
  const { listener, request } = held()
  const { ask } = await relayTo(listener)
  const arriving = request()
  const answering = ask(EVENTS, { headers: { accept: 'text/event-stream', 'last-event-id': '7' } })
  const [incoming, response] = await arriving
  expect(incoming.headers['last-event-id']).toBe('7')
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  const answer = await answering
  expect(answer.headers.get('content-type')).toBe('text/event-stream')
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  for (const id of [8, 9, 10]) {
    response.write(`id: ${id}\ndata: {}\n\n`)
    expect((await reader?.read())?.value).toBe(`id: ${id}\ndata: {}\n\n`)
  }
  response.end()
  expect((await reader?.read())?.done).toBe(true)
})

test('A client that leaves ends the request to the server, after its headers and before', async () => {
  for (const answered of [true, false]) {
    const { listener, request } = held()
    const { ask } = await relayTo(listener)
    const client = new AbortController()
    const arriving = request()
    const answer = ask(EVENTS, { signal: client.signal }).catch((error: Error) => error)
    const [incoming, response] = await arriving
    const closed = once(incoming.socket, 'close')
    if (answered) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
      await answer
    }
    client.abort()
    // The server would go on for ever: only this ends the request to it.
    await closed
  }
})

test('Of a client that has left while its token was looked at the server never hears', async () => {
  const reached: string[] = []
  const { app, ask, install } = await relayTo((incoming, response) => {
    reached.push(incoming.url ?? '')
    response.end()
  })
  const answer = await app.request(EVENTS, { headers: install, signal: AbortSignal.abort() })
  expect(answer.status).toBe(499)
  // What came to the server before this did, would be before this in the list.
  await ask(`/runs/${TRACE_ID}/resume.pdf`)
  expect(reached).toEqual([`/runs/${TRACE_ID}/resume.pdf`])
})

test('A server that breaks off breaks the answer off, too', async () => {
  const { listener, request } = held()
  const { ask } = await relayTo(listener)
  const arriving = request()
  const answering = ask(EVENTS)
  const [, response] = await arriving
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
  const answer = await answering
  response.destroy()
  await expect(answer.text()).rejects.toThrow()
})

test('When the relay stops, streams end properly, so that the client resumes', async () => {
  const { listener, request } = held()
  const { ask, shutdown } = await relayTo(listener)
  const arriving = request()
  const answering = ask(EVENTS)
  const [incoming, response] = await arriving
  const closed = once(incoming.socket, 'close')
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
  const answer = await answering
  shutdown.abort()
  expect(await answer.text()).toBe('data: {}\n\n')
  await closed
})

test('A server that is down is a 502 in the words of the contract, readable by the extension', async () => {
  const { ask } = await relayTo(await deadAddress())
  const answer = await ask('/generate', { method: 'POST', body: '{}', headers: { origin: ORIGIN } })
  expect(answer.status).toBe(502)
  expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(await failureOf(answer)).toBe('server_unreachable')
})

test('A server that does not answer in time is a 502, and its request is ended', async () => {
  const { listener, request } = held()
  const { ask } = await relayTo(listener, { answerMs: 50, compileMs: 50 })
  const arriving = request()
  const answering = ask(EVENTS)
  const [incoming] = await arriving
  const closed = once(incoming.socket, 'close')
  expect(await failureOf(await answering)).toBe('server_unreachable')
  await closed
})

test.each([
  ['/generate', MAX_GENERATE_BYTES],
  ['/compile', MAX_COMPILE_BYTES],
])('POST %s takes %i bytes and not one more, announced or not', async (path, limit) => {
  const { ask } = await relayTo((incoming, response) => incoming.resume().on('end', () => response.end('whole')))
  const chunked = (bytes: number) =>
    ask(path, { method: 'POST', body: new Blob([Buffer.alloc(bytes)]).stream(), duplex: 'half' } as RequestInit)
  expect(await (await chunked(limit)).text()).toBe('whole')
  for (const answer of [await chunked(limit + 1), await ask(path, { method: 'POST', body: Buffer.alloc(limit + 1) })]) {
    expect(answer.status).toBe(413)
    expect(await failureOf(answer)).toBe('request_too_large')
  }
})

test('An archive goes through as it is, with the file to start with and nothing else of the query', async () => {
  const arrived: unknown[] = []
  const { ask } = await relayTo(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    arrived.push(incoming.url, incoming.headers['content-type'], Buffer.concat(chunks))
    response.end()
  })
  const body = Buffer.from([0x50, 0x4b, 3, 4, 0, 0xff, 0xfe])
  const headers = { 'content-type': 'application/zip' }
  await ask('/compile?main=a%20%26b/m.tex&name=Ada', { method: 'POST', body, headers })
  expect(arrived).toEqual(['/compile?main=a+%26b%2Fm.tex', 'application/zip', body])
  await ask(`/runs/${TRACE_ID}/resume.pdf?main=x`)
  expect(arrived[3]).toBe(`/runs/${TRACE_ID}/resume.pdf`)
})

test('A run ID that is none is answered here', async () => {
  const { ask } = await relayTo(await deadAddress())
  const answer = await ask('/runs/ada@example.org/events')
  expect(answer.status).toBe(404)
  expect(await failureOf(answer)).toBe('run_not_found')
})

test('A run is cancelled for the install that asks, and for nobody without a token', async () => {
  const reached: string[] = []
  const { ask, url, install } = await relayTo((incoming, response) => {
    reached.push(`${incoming.method} ${incoming.url} ${incoming.headers['pass-ats-install']}`)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  const path = `/runs/${TRACE_ID}/cancel`
  expect((await fetch(url + path, { method: 'POST' })).status).toBe(401)
  expect((await ask('/runs/1234/cancel', { method: 'POST' })).status).toBe(404)
  expect((await ask(path)).status).toBe(404)
  expect((await ask(path, { method: 'POST' })).status).toBe(200)
  const [, claims = ''] = install.authorization.split('.')
  const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  expect(reached).toEqual([`POST ${path} ${sub}`])
})

test('HEAD of a stream is a 405 and starts nothing at the server', async () => {
  const reached: string[] = []
  const { ask } = await relayTo((incoming, response) => {
    reached.push(`${incoming.method} ${incoming.url}`)
    response.end()
  })
  const answer = await ask(EVENTS, { method: 'HEAD' })
  expect(answer.status).toBe(405)
  expect(answer.headers.get('allow')).toBe('GET')
  // What came to the server before this did, would be before this in the list.
  await ask(`/runs/${TRACE_ID}/resume.pdf`)
  expect(reached).toEqual([`GET /runs/${TRACE_ID}/resume.pdf`])
})

test('Only extensions are let in by CORS, with the headers of tracing and of resuming', async () => {
  const { ask } = await relayTo(await deadAddress())
  const preflight = (origin: string) =>
    ask('/v1/traces', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'traceparent' },
    })
  for (const origin of [ORIGIN, 'moz-extension://9bc6e3a0-1d5f-4f53-8a2e-000000000000']) {
    const { headers } = await preflight(origin)
    expect(headers.get('access-control-allow-origin')).toBe(origin)
    for (const name of [
      'authorization',
      'content-type',
      'content-encoding',
      'traceparent',
      'tracestate',
      'baggage',
      'last-event-id',
    ]) {
      expect(headers.get('access-control-allow-headers')?.split(',')).toContain(name)
    }
    expect(headers.get('access-control-allow-headers')).not.toContain('idempotency-key')
    expect(Number(headers.get('access-control-max-age'))).toBeGreaterThan(0)
  }
  const refused = await preflight('https://example.org')
  expect(refused.headers.get('access-control-allow-origin')).toBeNull()
})

test('Readiness is about the store, and tells of the server', async () => {
  const up = await relayTo((_, response) => response.end())
  expect(await (await fetch(`${up.url}/readyz`)).json()).toEqual({ store: 'writable', server: 'ready', forward: 'off' })
  const down = await relayTo(await deadAddress())
  const ready = await fetch(`${down.url}/readyz`)
  expect(ready.status).toBe(200)
  expect(await ready.json()).toMatchObject({ store: 'writable', server: 'unreachable' })
  expect((await fetch(`${down.url}/healthz`)).status).toBe(200)
})

test('A request that has been passed on with its body is let go of', async () => {
  const { ask, requests } = await relayTo((_, response) => response.end('{}'))
  for (let times = 0; times < 20; times++) await (await ask('/generate', { method: 'POST', body: '{}' })).text()
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // The last may still be in somebody's hands.
  while (requests.filter((request) => request.deref()).length > 3) {
    // Whoever asks holds what is there, until the end of this turn.
    await breath()
    collect()
  }
})
