import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { getRequestListener } from '@hono/node-server'
import { expect, test } from 'vitest'
import { ErrorBody } from '../server/contract.ts'
import { MAX_COMPILE_BYTES, MAX_GENERATE_BYTES } from '../server/request-contract.ts'
import { createApp } from './app.ts'
import { createAccept } from './ingest.ts'
import { deadAddress, listen, silent, TRACE_ID, temporaryStore } from './sample-run.ts'

const EVENTS = `/runs/${TRACE_ID}/events`
const ORIGIN = 'chrome-extension://abcdefghijklmnop'

/** The relay in front of `server`, both on real ports. */
async function relayTo(server: RequestListener | string, deadlines = { answerMs: 5_000, compileMs: 5_000 }) {
  const serverUrl = typeof server === 'string' ? server : await listen(server)
  const store = temporaryStore()
  const shutdown = new AbortController()
  const app = createApp({
    store,
    accept: createAccept(store, () => {}),
    forwarder: undefined,
    serverUrl,
    hosts: [],
    instanceId: 'c0ffee',
    shutdown: shutdown.signal,
    flushSpans: async () => {},
    log: silent,
    deadlines,
  })
  return { url: await listen(getRequestListener(app.fetch)), shutdown }
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

test('POST /generate reaches the server with its body and listed headers, and no others', async () => {
  const { listener, request } = held()
  const { url } = await relayTo(listener)
  const arriving = request()
  const answer = fetch(`${url}/generate`, {
    method: 'POST',
    body: '{"a":1}',
    headers: {
      'content-type': 'application/json',
      cookie: 'session=1',
      authorization: 'Bearer x',
      'x-forwarded-for': '192.0.2.1',
      'idempotency-key': TRACE_ID,
      traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-03`,
      tracestate: 'ot=th:fd70a4',
      baggage: 'session.id=abc',
    },
  })
  const [incoming, response] = await arriving
  expect(await readText(incoming)).toBe('{"a":1}')
  expect(incoming.headers).toMatchObject({
    'content-type': 'application/json',
    traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-03`,
    tracestate: 'ot=th:fd70a4',
    baggage: 'session.id=abc',
  })
  for (const header of ['cookie', 'authorization', 'x-forwarded-for', 'idempotency-key'])
    expect(incoming.headers).not.toHaveProperty(header)
  response.writeHead(202, { 'content-type': 'application/json' }).end('{"id":1}')
  expect((await answer).status).toBe(202)
  expect(await (await answer).json()).toEqual({ id: 1 })
})

test('Each event is through before the next is sent, and Last-Event-ID travels along', async () => {
  const { listener, request } = held()
  const { url } = await relayTo(listener)
  const arriving = request()
  const answering = fetch(url + EVENTS, { headers: { accept: 'text/event-stream', 'last-event-id': '7' } })
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
    const { url } = await relayTo(listener)
    const client = new AbortController()
    const arriving = request()
    const answer = fetch(url + EVENTS, { signal: client.signal }).catch((error: Error) => error)
    const [incoming, response] = await arriving
    const closed = once(incoming.socket, 'close')
    if (answered) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
      await answer
    }
    const left = performance.now()
    client.abort()
    await closed
    expect(performance.now() - left).toBeLessThan(500)
  }
})

test('A server that breaks off breaks the answer off, too', async () => {
  const { listener, request } = held()
  const { url } = await relayTo(listener)
  const arriving = request()
  const answering = fetch(url + EVENTS)
  const [, response] = await arriving
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
  const answer = await answering
  response.destroy()
  await expect(answer.text()).rejects.toThrow()
})

test('When the relay stops, streams end properly, so that the client resumes', async () => {
  const { listener, request } = held()
  const { url, shutdown } = await relayTo(listener)
  const arriving = request()
  const answering = fetch(url + EVENTS)
  const [incoming, response] = await arriving
  const closed = once(incoming.socket, 'close')
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
  const answer = await answering
  shutdown.abort()
  expect(await answer.text()).toBe('data: {}\n\n')
  await closed
})

test('A server that is down is a 502 in the words of the contract, readable by the extension', async () => {
  const { url } = await relayTo(await deadAddress())
  const answer = await fetch(`${url}/generate`, { method: 'POST', body: '{}', headers: { origin: ORIGIN } })
  expect(answer.status).toBe(502)
  expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(await failureOf(answer)).toBe('server_unreachable')
})

test('A server that does not answer in time is a 502, and its request is ended', async () => {
  const { listener, request } = held()
  const { url } = await relayTo(listener, { answerMs: 50, compileMs: 50 })
  const arriving = request()
  const answering = fetch(url + EVENTS)
  const [incoming] = await arriving
  const closed = once(incoming.socket, 'close')
  expect(await failureOf(await answering)).toBe('server_unreachable')
  await closed
})

test.each([
  ['/generate', MAX_GENERATE_BYTES],
  ['/compile', MAX_COMPILE_BYTES],
])('POST %s takes %i bytes and not one more, announced or not', async (path, limit) => {
  const { url } = await relayTo((incoming, response) => incoming.resume().on('end', () => response.end('whole')))
  const chunked = (bytes: number) =>
    fetch(url + path, { method: 'POST', body: new Blob([Buffer.alloc(bytes)]).stream(), duplex: 'half' } as RequestInit)
  expect(await (await chunked(limit)).text()).toBe('whole')
  for (const answer of [
    await chunked(limit + 1),
    await fetch(url + path, { method: 'POST', body: Buffer.alloc(limit + 1) }),
  ]) {
    expect(answer.status).toBe(413)
    expect(await failureOf(answer)).toBe('request_too_large')
  }
})

test('A run ID that is none is answered here', async () => {
  const { url } = await relayTo(await deadAddress())
  const answer = await fetch(`${url}/runs/ada@example.org/events`)
  expect(answer.status).toBe(404)
  expect(await failureOf(answer)).toBe('run_not_found')
})

test('HEAD of a stream is a 405 and starts nothing at the server', async () => {
  const reached: string[] = []
  const { url } = await relayTo((incoming, response) => {
    reached.push(`${incoming.method} ${incoming.url}`)
    response.end()
  })
  const answer = await fetch(url + EVENTS, { method: 'HEAD' })
  expect(answer.status).toBe(405)
  expect(answer.headers.get('allow')).toBe('GET')
  // What came to the server before this did, would be before this in the list.
  await fetch(`${url}/runs/${TRACE_ID}/resume.pdf`)
  expect(reached).toEqual([`GET /runs/${TRACE_ID}/resume.pdf`])
})

test('Only extensions are let in by CORS, with the headers of tracing and of resuming', async () => {
  const { url } = await relayTo(await deadAddress())
  const preflight = (origin: string) =>
    fetch(`${url}/v1/traces`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'traceparent' },
    })
  for (const origin of [ORIGIN, 'moz-extension://9bc6e3a0-1d5f-4f53-8a2e-000000000000']) {
    const { headers } = await preflight(origin)
    expect(headers.get('access-control-allow-origin')).toBe(origin)
    for (const name of ['content-type', 'content-encoding', 'traceparent', 'tracestate', 'baggage', 'last-event-id']) {
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
