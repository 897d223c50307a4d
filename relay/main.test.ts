import { mkdirSync, readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import * as names from '../names.ts'
import { layOut, type Row } from './console/waterfall.ts'
import { encode, spansOf, type TracesData } from './otlp.ts'
import { startRelay as startProcess, stop } from './running-relay.ts'
import {
  AS_STAFF,
  asInstall,
  deadAddress,
  listen,
  sampleRequest,
  sampleSpan,
  TRACE_ID,
  temporaryPath,
} from './sample-run.ts'
import { pathOf } from './store/hour-files.ts'

const BROWSER_SPAN = '00f067aa0ba902b7'
const CONTEXT = {
  traceparent: `00-${TRACE_ID}-${BROWSER_SPAN}-03`,
  tracestate: 'ot=th:fd70a4',
  baggage: 'session.id=0b54ae0e-7f2c-4a6e-9f57-cb03c1a2e6d4',
}

/** The real relay, and who calls it. */
async function startRelay(env: Record<string, string>) {
  const relay = await startProcess(env)
  /** What an install sends along, with the context of its trace. */
  const asCaller = async () => ({
    ...CONTEXT,
    ...(await asInstall(fetch(`${relay.url}/installs`, { method: 'POST' }))),
  })
  return { ...relay, asCaller }
}

async function lookUp(url: string): Promise<{ rows: Row[]; data: TracesData }> {
  const data = await (await fetch(`${url}/api/traces/${TRACE_ID}`, { headers: AS_STAFF })).json()
  return { data, rows: layOut(data).rows }
}

test('The relay records its part of a run: server and client spans, as long as their streams, in the caller’s trace', async () => {
  const seen: IncomingHttpHeaders[] = []
  const serve: RequestListener = (request, response) => {
    seen.push(request.headers)
    if (request.url?.endsWith('/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\ndata: {}\n\n')
      setTimeout(() => response.end('id: 2\ndata: {}\n\n'), 120)
    } else request.resume().on('end', () => response.writeHead(202).end('{}'))
  }
  const env = { SERVER_URL: await listen(serve), RELAY_STORE: temporaryPath() }
  const { url, child, output, asCaller } = await startRelay(env)
  const headers = { ...(await asCaller()), baggage: `user=ada,${CONTEXT.baggage}` }
  await (await fetch(`${url}/generate`, { method: 'POST', body: '{}', headers })).text()
  await (await fetch(`${url}/runs/${TRACE_ID}/events?token=secret`, { headers })).text()
  const { rows, data } = await lookUp(url)

  expect(rows.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'server POST /generate',
    'client POST',
    'server GET /runs/{id}/events',
    'client GET',
  ])
  const [generate, toServer, events, eventsToServer] = rows
  expect(generate).toMatchObject({ parentSpanId: BROWSER_SPAN, service: names.SERVICE_RELAY })
  expect(generate?.attributes).toMatchObject({
    [names.ATTR_HTTP_ROUTE]: '/generate',
    [names.ATTR_HTTP_RESPONSE_STATUS_CODE]: 202,
    [names.ATTR_SESSION_ID]: '0b54ae0e-7f2c-4a6e-9f57-cb03c1a2e6d4',
  })
  expect(toServer?.parentSpanId).toBe(generate?.spanId)
  expect(events?.attributes[names.ATTR_HTTP_ROUTE]).toBe('/runs/{id}/events')
  expect(eventsToServer?.parentSpanId).toBe(events?.spanId)
  for (const row of [events, eventsToServer]) expect(row?.durationMs).toBeGreaterThanOrEqual(110)

  expect(seen[0]?.traceparent).toMatch(new RegExp(`^00-${TRACE_ID}-${toServer?.spanId}-`))
  expect(seen[0]).toMatchObject({ tracestate: CONTEXT.tracestate, baggage: CONTEXT.baggage })

  const listed = new Set<string>(Object.values(names))
  const resources = data.resourceSpans.flatMap(({ resource }) => resource?.attributes ?? [])
  const recorded = [...spansOf(data)].flatMap(({ attributes = [] }) => attributes)
  for (const { key } of [...resources, ...recorded]) expect(listed).toContain(key)
  expect(JSON.stringify(data)).not.toContain('secret')

  const code = await stop(child)
  expect(code).toBe(0)
  const [stdout, stderr] = await output
  expect(stderr).toBe('')
  expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ msg: 'relay listening', url })
})

test('A server that is down shows on the relay’s span, and the log line carries its IDs', async () => {
  const env = { SERVER_URL: await deadAddress(), RELAY_STORE: temporaryPath() }
  const { url, child, output, asCaller } = await startRelay(env)
  const answer = await fetch(`${url}/generate`, { method: 'POST', body: '{}', headers: await asCaller() })
  const { rows } = await lookUp(url)
  expect(rows[0]).toMatchObject({ kind: 'server', status: 'error', failureCode: 'server_unreachable' })
  expect(rows[0]?.attributes[names.ATTR_ERROR_TYPE]).toBe('ECONNREFUSED')
  expect(rows[1]).toMatchObject({ kind: 'client', status: 'error' })
  await stop(child)
  const lines = (await output)[0].trim().split('\n')
  const line = lines.map((json) => JSON.parse(json)).find(({ failure }) => failure)
  expect(line).toMatchObject({ trace_id: TRACE_ID, span_id: rows[0]?.spanId, failure: 'server_unreachable' })
  expect(line.request_id).toBe(answer.headers.get('x-request-id'))
})

test('Neither ingest, look-up, keeping, health nor forwarding make spans, so the relay never feeds itself', async () => {
  const forwarded: IncomingHttpHeaders[] = []
  const arrival = Promise.withResolvers<void>()
  const sink = await listen((request, response) => {
    forwarded.push(request.headers)
    request.resume().on('end', () => response.end())
    arrival.resolve()
  })
  const path = temporaryPath()
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink, RELAY_STORE: path, RELAY_KEPT_HOURS: '48' }
  const { url, child, asCaller } = await startRelay(env)
  const caller = await asCaller()
  const body = Buffer.from(encode(sampleRequest([sampleSpan(BROWSER_SPAN)]), 'protobuf'))
  const headers = { 'content-type': 'application/x-protobuf', ...caller }
  expect((await fetch(`${url}/v1/traces`, { method: 'POST', body, headers })).status).toBe(200)
  for (const route of ['/healthz', '/readyz', '/support', `/support/${TRACE_ID}`]) {
    expect((await fetch(url + route, { headers: { ...CONTEXT, ...AS_STAFF } })).status).toBe(200)
  }
  const keep = await fetch(`${url}/traces/${TRACE_ID}/keep`, { method: 'POST', headers: caller })
  expect(keep.status).toBe(200)
  expect(Date.parse((await keep.json()).keptUntil) - Date.now()).toBeGreaterThan(47 * 3_600_000)
  await arrival.promise
  expect((await lookUp(url)).rows).toHaveLength(1)
  await stop(child)
  expect(forwarded).toHaveLength(1)
  expect(forwarded[0]).not.toHaveProperty('traceparent')
})

test('SIGTERM in the middle of a stream ends it, keeps its spans, and exits 0', async () => {
  const path = temporaryPath()
  const server = await listen((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\ndata: {}\n\n')
  })
  const { url, child, asCaller } = await startRelay({ SERVER_URL: server, RELAY_STORE: path })
  const answer = await fetch(`${url}/runs/${TRACE_ID}/events`, { headers: await asCaller() })
  const code = await stop(child)
  expect(await answer.text()).toBe('id: 1\ndata: {}\n\n')
  expect(code).toBe(0)
  const again = await startRelay({ RELAY_STORE: path })
  expect((await lookUp(again.url)).rows.map(({ name }) => name)).toEqual(['GET /runs/{id}/events', 'GET'])
})

test('Who leaves a stream has made no error: neither span is marked as failed', async () => {
  const gone = Promise.withResolvers<void>()
  const server = await listen((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\ndata: {}\n\n')
    response.on('close', () => gone.resolve())
  })
  const { url, child, asCaller } = await startRelay({ SERVER_URL: server, RELAY_STORE: temporaryPath() })
  const client = new AbortController()
  await fetch(`${url}/runs/${TRACE_ID}/events`, { headers: await asCaller(), signal: client.signal })
  client.abort()
  await gone.promise
  const { rows } = await lookUp(url)
  expect(rows.map(({ kind, status }) => `${kind} ${status}`)).toEqual(['server unset', 'client unset'])
  for (const row of rows) expect(row.attributes).not.toHaveProperty(names.ATTR_ERROR_TYPE)
  await stop(child)
})

test('A caller that is turned away shows on the relay’s span, by route and reason, and nothing of it reaches the server', async () => {
  let reached = 0
  const server = await listen((_, response) => {
    reached += 1
    response.end()
  })
  const env = { SERVER_URL: server, RELAY_STORE: temporaryPath(), RELAY_QUOTA_INSTALL: 'runs=1' }
  const { url, child, asCaller } = await startRelay(env)
  const headers = await asCaller()
  for (const [path, method, init] of [
    ['/generate', 'POST', { headers }],
    ['/generate', 'POST', { headers }],
    [`/runs/${TRACE_ID}/events`, 'GET', { headers: CONTEXT }],
  ] as const) {
    await (await fetch(url + path, { method, ...init })).text()
  }
  const { rows } = await lookUp(url)
  const [, , limited, nameless] = rows
  expect(rows.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'server POST /generate',
    'client POST',
    'server POST /generate',
    'server GET /runs/{id}/events',
  ])
  expect(limited).toMatchObject({ status: 'unset', failureCode: 'rate_limited' })
  expect(limited?.attributes).toMatchObject({
    [names.ATTR_ERROR_TYPE]: 'quota_install',
    [names.ATTR_HTTP_RESPONSE_STATUS_CODE]: 429,
  })
  expect(nameless?.attributes[names.ATTR_ERROR_TYPE]).toBe('token_missing')
  expect(reached).toBe(1)
  await stop(child)
})

test('Without a secret of its own the relay makes one and keeps it: tokens outlive a restart, and no log line has either', async () => {
  const path = temporaryPath()
  const server = await listen((_, response) => response.end('{}'))
  const env = { SERVER_URL: server, RELAY_STORE: path, LOG_LEVEL: 'trace', SERVER_KEY: 'k'.repeat(32) }
  const first = await startRelay(env)
  const headers = await first.asCaller()
  await fetch(`${first.url}/generate`, { method: 'POST', headers: { authorization: `${headers.authorization}x` } })
  await stop(first.child)
  const second = await startRelay(env)
  expect((await fetch(`${second.url}/generate`, { method: 'POST', headers })).status).toBe(200)
  await stop(second.child)
  const secret = readFileSync(join(dirname(path), 'relay.secret'), 'utf8').trim()
  const log = (await first.output).join() + (await second.output).join()
  expect(log).toContain('token_forged')
  for (const word of [secret, env.SERVER_KEY, headers.authorization.slice(7)]) expect(log).not.toContain(word)
})

test.each([
  ['a variable that is wrong', { RELAY_PORT: 'many' }, /RELAY_PORT/],
  ['a store of another version', {}, /schema version 99/],
])('The relay refuses to start with %s, in one line that says so', async (_, env, message) => {
  const path = temporaryPath()
  mkdirSync(path)
  const db = new DatabaseSync(pathOf(path, { file: 1, hour: 0 }))
  db.exec('PRAGMA user_version = 99')
  db.close()
  const { output, exited } = await startRelay({ RELAY_STORE: path, ...env })
  expect((await exited)[0]).toBe(1)
  const [stdout] = await output
  expect(JSON.parse(stdout).msg).toMatch(message)
})
