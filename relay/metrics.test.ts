import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { createRandom, sendRandom } from '../fixtures/metrics/random-requests.ts'
import { type Sample, scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { encode } from './otlp.ts'
import { startRelay, stop } from './running-relay.ts'
import {
  AS_SERVICE,
  AS_STAFF,
  deadAddress,
  listen,
  SERVICE_KEY,
  sampleRequest,
  sampleSpan,
  TRACE_ID,
  temporaryPath,
  text,
} from './sample-run.ts'

const PROTOBUF = { ...AS_SERVICE, 'content-type': 'application/x-protobuf' }
/** A trace that is due, since one of its spans failed: three spans, one with something that is not listed. */
const body = new Uint8Array(
  encode(
    sampleRequest([
      sampleSpan('00f067aa0ba902b1', { status: { code: 2 } }),
      sampleSpan('00f067aa0ba902b2'),
      sampleSpan('00f067aa0ba902b3', { attributes: [text('user.name', 'Ada')] }),
      sampleSpan('00f067aa0ba902b4', { spanId: '0000000000000000' }),
    ]),
    'protobuf',
  ),
)

/** A real relay that is sent these spans by a service. */
async function startRelayWithSpans(env: Record<string, string>) {
  const settings = { RELAY_STORE: temporaryPath(), RELAY_SERVICE_KEYS: `collector:${SERVICE_KEY}` }
  const relay = await startRelay({ ...settings, ...env })
  const answer = await fetch(`${relay.url}/v1/traces`, { method: 'POST', headers: PROTOBUF, body })
  expect(answer.status).toBe(200)
  await answer.arrayBuffer()
  return { ...relay, scrape: () => scrape(relay.metricsUrl) }
}

const spans = (samples: Sample[], result: string, reason = 'none') =>
  sumOf(samples, 'pass_relay_spans_total', { result, reason })
const states = (samples: Sample[], breaker: string) =>
  samples
    .filter(
      ({ name, labels, value }) => name === 'pass_relay_breaker_state' && labels.breaker === breaker && value === 1,
    )
    .map(({ labels }) => labels.state)

test('The relay tells what becomes of spans, from the request to the backend', async () => {
  const taken = Promise.withResolvers<void>()
  const backend = await listen((request, response) => {
    request.resume().on('end', () => response.writeHead(200).end())
    response.on('close', () => taken.resolve())
  })
  const relay = await startRelayWithSpans({ OTEL_EXPORTER_OTLP_ENDPOINT: backend })
  await taken.promise
  await expect.poll(async () => spans(await relay.scrape(), 'forwarded')).toBe(3)
  const samples = await relay.scrape()
  expect([spans(samples, 'received'), spans(samples, 'stored'), spans(samples, 'kept')]).toEqual([4, 3, 3])
  expect(spans(samples, 'dropped', 'invalid')).toBe(1)
  expect(sumOf(samples, 'pass_relay_scrubbed_total', { kind: 'attributes' })).toBe(1)
  expect(sumOf(samples, 'pass_relay_export_duration_seconds_count', { outcome: 'taken' })).toBe(1)
  expect(sumOf(samples, 'pass_relay_forward_behind')).toBe(0)
  expect([states(samples, 'backend'), states(samples, 'server')]).toEqual([['closed'], ['closed']])

  expect(sumOf(samples, 'pass_relay_queue_depth')).toBe(0)
  expect(sumOf(samples, 'pass_relay_queue_capacity')).toBe(1_000)
  expect(sumOf(samples, 'pass_relay_store_bytes')).toBeGreaterThan(4_096)
  expect(sumOf(samples, 'pass_relay_store_capacity_bytes')).toBe(5 * 1024 ** 3)
  const requests = { http_route: '/v1/traces', http_request_method: 'POST', http_response_status_code: '200' }
  expect(sumOf(samples, 'http_server_request_duration_seconds_count', requests)).toBe(1)
  expect(sumOf(samples, 'pass_auth_attempts_total', { outcome: 'accepted' })).toBe(1)
  expect(sumOf(samples, 'pass_quota_limit', { quota: 'runs' })).toBe(2_000)
  expect(sumOf(samples, 'pass_build_info', { service: 'pass-ats-relay' })).toBe(1)
  expect(await stop(relay.child)).toBe(0)
})

test('A backend that is away is seen: what waits for it, and what was tried', async () => {
  const relay = await startRelayWithSpans({ OTEL_EXPORTER_OTLP_ENDPOINT: await deadAddress() })
  const tried = async () =>
    sumOf(await relay.scrape(), 'pass_relay_export_duration_seconds_count', { outcome: 'failed' })
  await expect.poll(tried).toBeGreaterThan(0)
  expect(sumOf(await relay.scrape(), 'pass_relay_forward_behind')).toBeGreaterThan(0)
  expect(spans(await relay.scrape(), 'forwarded')).toBe(0)
})

test('Every request is counted by its route, whatever became of it; paths are not', async () => {
  const relay = await startRelayWithSpans({ SERVER_URL: await deadAddress() })
  const ask = async (path: string, init: RequestInit = {}) => (await fetch(relay.url + path, init)).arrayBuffer()
  await ask(`/runs/${TRACE_ID}/events`)
  await ask(`/runs/${TRACE_ID}/resume.pdf`, { headers: { authorization: 'Bearer x' } })
  await ask('/support', { headers: AS_STAFF })
  await ask('/support/console.css')
  await ask('/wp-admin/1234')
  await ask('/generate', { method: 'POST', headers: { origin: 'https://pages.example' } })
  await ask('/healthz', { method: 'PROPFIND' })
  const samples = await relay.scrape()
  const counted = samples
    .filter(({ name, value }) => name === 'http_server_request_duration_seconds_count' && value > 0)
    .map(({ labels }) => Object.values(labels).slice(0, 3).join(' '))
  expect(counted.sort()).toEqual([
    'GET /runs/{id}/events 401',
    'GET /runs/{id}/resume.pdf 401',
    'GET /support 200',
    'GET /support/console.css 200',
    'GET none 404',
    'POST /generate 403',
    'POST /v1/traces 200',
    'other none 404',
  ])
  expect(sumOf(samples, 'pass_auth_failures_total', { reason: 'origin_not_allowed' })).toBe(1)
  expect(sumOf(samples, 'pass_auth_failures_total', { reason: 'token_missing' })).toBe(1)
  expect(sumOf(samples, 'pass_auth_failures_total', { reason: 'token_malformed' })).toBe(1)
  expect(sumOf(samples, 'http_server_active_requests')).toBe(0)
})

test('Who is closed at the door is counted, and so is a stream for as long as it lasts', async () => {
  const server = await listen((_, response) =>
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n'),
  )
  const relay = await startRelayWithSpans({ SERVER_URL: server, RELAY_MAX_CONNECTIONS: '3' })
  const { token } = await (await fetch(`${relay.url}/installs`, { method: 'POST' })).json()
  const leave = new AbortController()
  const headers = { authorization: `Bearer ${token}` }
  await fetch(`${relay.url}/runs/${TRACE_ID}/events`, { headers, signal: leave.signal })
  expect(sumOf(await relay.scrape(), 'http_server_active_requests', { http_request_method: 'GET' })).toBe(1)
  const { hostname, port } = new URL(relay.url)
  const sockets = Array.from({ length: 8 }, () => connect(Number(port), hostname))
  for (const socket of sockets) socket.on('error', () => {})
  const refused = async () => sumOf(await relay.scrape(), 'pass_relay_connections_refused_total')
  await expect.poll(refused).toBeGreaterThanOrEqual(5)
  for (const socket of sockets) socket.destroy()
  leave.abort()
  const events = { http_route: '/runs/{id}/events' }
  await expect.poll(async () => sumOf(await relay.scrape(), 'http_server_active_requests')).toBe(0)
  expect(sumOf(await relay.scrape(), 'http_server_request_duration_seconds_count', events)).toBe(1)
})

test('However many requests there are, with whatever in them, the series stay few', async () => {
  const random = createRandom(1)
  const server = await listen((request, response) => {
    request.resume().on('end', () => response.writeHead(200 + Math.floor(random() * 400)).end())
  })
  const relay = await startRelayWithSpans({ SERVER_URL: server, RELAY_QUOTA_INSTALL: 'runs=100000' })
  const { token } = await (await fetch(`${relay.url}/installs`, { method: 'POST' })).json()
  const shown = [`Bearer ${token}`, `Bearer ${SERVICE_KEY}`, AS_SERVICE.authorization]
  await sendRandom(relay.url, 1_500, random, shown)
  const samples = await relay.scrape()
  expect(sumOf(samples, 'http_server_request_duration_seconds_count')).toBeGreaterThan(1_400)
  expect(samples.length).toBeLessThan(5_000)
  // What is random is in none of them.
  for (const { labels } of samples) expect(Object.values(labels).join(' ')).not.toMatch(/rnd|[0-9a-f]{16}/)
})
