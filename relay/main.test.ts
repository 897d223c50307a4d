import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import * as names from '../names.ts'
import { layOut, type Row } from './console/waterfall.ts'
import { encode, spansOf, type TracesData } from './otlp.ts'
import { deadAddress, listen, sampleRequest, sampleSpan, TRACE_ID, temporaryPath } from './sample-run.ts'
import { pathOf } from './store/hour-files.ts'

const BROWSER_SPAN = '00f067aa0ba902b7'
const CONTEXT = {
  traceparent: `00-${TRACE_ID}-${BROWSER_SPAN}-03`,
  tracestate: 'ot=th:fd70a4',
  baggage: 'session.id=5e55-10',
}

/** The real relay as its own process, as it is started in production. */
async function startRelay(env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', './relay/telemetry.ts', 'relay/main.ts'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, RELAY_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = Promise.all([readText(child.stdout as never), readText(child.stderr as never)])
  const exited = once(child, 'exit')
  const message = await Promise.race([once(child, 'message'), exited.then(() => undefined)])
  return { child, output, exited, url: message ? String((message[0] as { url: string }).url) : '' }
}

async function stop(child: ChildProcess): Promise<{ code: number; tookMs: number }> {
  const before = performance.now()
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  return { code, tookMs: performance.now() - before }
}

async function lookUp(url: string): Promise<{ rows: Row[]; data: TracesData }> {
  const data = await (await fetch(`${url}/api/traces/${TRACE_ID}`)).json()
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
  const { url, child, output } = await startRelay({ SERVER_URL: await listen(serve), RELAY_STORE: temporaryPath() })
  await (await fetch(`${url}/generate`, { method: 'POST', body: '{}', headers: CONTEXT })).text()
  await (await fetch(`${url}/runs/${TRACE_ID}/events?token=secret`, { headers: CONTEXT })).text()
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
    [names.ATTR_SESSION_ID]: '5e55-10',
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

  const { code, tookMs } = await stop(child)
  expect(code).toBe(0)
  expect(tookMs).toBeLessThan(2_500)
  const [stdout, stderr] = await output
  expect(stderr).toBe('')
  expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ msg: 'relay listening', url })
})

test('A server that is down shows on the relay’s span, and the log line carries its IDs', async () => {
  const { url, child, output } = await startRelay({ SERVER_URL: await deadAddress(), RELAY_STORE: temporaryPath() })
  await (await fetch(`${url}/generate`, { method: 'POST', body: '{}', headers: CONTEXT })).text()
  const { rows } = await lookUp(url)
  expect(rows[0]).toMatchObject({ kind: 'server', status: 'error', failureCode: 'server_unreachable' })
  expect(rows[0]?.attributes[names.ATTR_ERROR_TYPE]).toBe('ECONNREFUSED')
  expect(rows[1]).toMatchObject({ kind: 'client', status: 'error' })
  await stop(child)
  const lines = (await output)[0].trim().split('\n')
  const line = lines.map((json) => JSON.parse(json)).find(({ failure }) => failure)
  expect(line).toMatchObject({ trace_id: TRACE_ID, span_id: rows[0]?.spanId, failure: 'server_unreachable' })
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
  const { url, child } = await startRelay({
    OTEL_EXPORTER_OTLP_ENDPOINT: sink,
    RELAY_STORE: path,
    RELAY_KEPT_HOURS: '48',
  })
  const body = Buffer.from(encode(sampleRequest([sampleSpan(BROWSER_SPAN)]), 'protobuf'))
  const headers = { 'content-type': 'application/x-protobuf', ...CONTEXT }
  expect((await fetch(`${url}/v1/traces`, { method: 'POST', body, headers })).status).toBe(200)
  for (const route of ['/healthz', '/readyz', '/support', `/support/${TRACE_ID}`]) {
    expect((await fetch(url + route, { headers: CONTEXT })).status).toBe(200)
  }
  const keep = await fetch(`${url}/traces/${TRACE_ID}/keep`, { method: 'POST', headers: CONTEXT })
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
  const { url, child } = await startRelay({ SERVER_URL: server, RELAY_STORE: path })
  const answer = await fetch(`${url}/runs/${TRACE_ID}/events`, { headers: CONTEXT })
  const { code, tookMs } = await stop(child)
  expect(await answer.text()).toBe('id: 1\ndata: {}\n\n')
  expect(code).toBe(0)
  expect(tookMs).toBeLessThan(2_500)
  const again = await startRelay({ RELAY_STORE: path })
  expect((await lookUp(again.url)).rows.map(({ name }) => name)).toEqual(['GET /runs/{id}/events', 'GET'])
})

test('Who leaves a stream has made no error: neither span is marked as failed', async () => {
  const gone = Promise.withResolvers<void>()
  const server = await listen((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\ndata: {}\n\n')
    response.on('close', () => gone.resolve())
  })
  const { url, child } = await startRelay({ SERVER_URL: server, RELAY_STORE: temporaryPath() })
  const client = new AbortController()
  await fetch(`${url}/runs/${TRACE_ID}/events`, { headers: CONTEXT, signal: client.signal })
  client.abort()
  await gone.promise
  const { rows } = await lookUp(url)
  expect(rows.map(({ kind, status }) => `${kind} ${status}`)).toEqual(['server unset', 'client unset'])
  for (const row of rows) expect(row.attributes).not.toHaveProperty(names.ATTR_ERROR_TYPE)
  await stop(child)
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
