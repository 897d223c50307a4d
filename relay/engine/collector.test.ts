import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { startBackend, TAKEN, type Treatment } from '../../fixtures/relay/backend.ts'
import { createApp } from '../app.ts'
import { createAccept } from '../ingest.ts'
import { encode, encodeResponse } from '../otlp.ts'
import {
  AS_SERVICE,
  deadAddress,
  listen,
  sampleParts,
  sampleRequest,
  sampleSpan,
  silent,
  temporaryStore,
} from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import { createCollector } from './collector.ts'
import { createOwnSpans } from './own-spans.ts'

const SPAN = '00f067aa0ba902b7'
const REQUEST = encode(sampleRequest([sampleSpan(SPAN)]), 'protobuf')

function collectorAt(url: string, protocol?: 'json' | 'protobuf') {
  const config = { url: `${url}/v1/traces`, headers: {}, protocol, gzipped: true, timeoutMs: 5_000 }
  return createCollector('the Collector', config, 'c0ffee', silent)
}

/** What a sender gets from a relay that hands everything on to a Collector there. */
async function sendThrough(url: string, body: Uint8Array = REQUEST, headers: Record<string, string> = {}) {
  const { hand } = collectorAt(url)
  const accept = createAccept({ append: hand }, () => {})
  const app = createApp(sampleParts(temporaryStore(), { accept }))
  return app.request('/v1/traces', {
    method: 'POST',
    body: new Uint8Array(body),
    headers: { ...AS_SERVICE, 'content-type': 'application/x-protobuf', ...headers },
  })
}

const answering = (status: number, headers: Record<string, string> = {}): Treatment => ({
  taken: status === 200,
  answer: { status, headers },
})

test('A sender is answered when the Collector has answered, and not before', async () => {
  const backend = await startBackend(() => TAKEN)
  const response = await sendThrough(backend.url)
  expect(response.status).toBe(200)
  expect([...backend.arrived.keys()]).toEqual([SPAN])
  await backend.close()
})

test.each([
  [429, { 'retry-after': '17' }, 429, '17'],
  [503, { 'retry-after': '9' }, 503, '9'],
  [503, {}, 503, '5'],
  [502, {}, 503, '5'],
  [401, {}, 503, '5'],
])('When the Collector answers %i %j, the sender gets %i and Retry-After: %s', async (status, headers, own, after) => {
  const backend = await startBackend(() => answering(status, headers))
  const response = await sendThrough(backend.url)
  expect(response.status).toBe(own)
  expect(response.headers.get('retry-after')).toBe(after)
  expect(response.headers.get('content-type')).toBe('application/x-protobuf')
  await backend.close()
})

test('What the Collector refuses for good is refused for good, so that nobody sends it again and again', async () => {
  const backend = await startBackend(() => answering(400))
  const response = await sendThrough(backend.url)
  expect(response.status).toBe(400)
  await backend.close()
})

test('A Collector that is not there is 503, and one that breaks a connection is asked once more', async () => {
  expect((await sendThrough(await deadAddress())).status).toBe(503)
  const backend = await startBackend((before) => (before === 0 ? { taken: false, answer: 'reset' } : TAKEN))
  expect((await sendThrough(backend.url)).status).toBe(200)
  expect(backend.requests()).toBe(2)
  await backend.close()
})

test('A body goes on as it came, byte for byte, unless another encoding is asked for', async () => {
  const bodies: { type: string | undefined; body: Buffer }[] = []
  const url = await listen(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    bodies.push({ type: request.headers['content-type'], body: Buffer.concat(chunks) })
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(encodeResponse(0, '', 'protobuf'))
  })
  const gzipped = gzipSync(REQUEST)
  expect((await sendThrough(url, gzipped, { 'content-encoding': 'gzip' })).status).toBe(200)
  expect(bodies[0]?.body.equals(gzipped)).toBe(true)
  const json = Buffer.from(encode(sampleRequest([sampleSpan(SPAN)]), 'json'))
  const traces = packTraces([[sampleSpan(SPAN).traceId, { spans: 1, error: false }]])
  await collectorAt(url, 'protobuf').hand({ encoding: 'json', body: gzipSync(json), traces })
  expect(bodies[1]?.type).toBe('application/x-protobuf')
  expect(gunzipSync(bodies[1]?.body ?? '').equals(REQUEST)).toBe(true)
})

test('The relay’s own spans wait for a Collector that is away, and nobody waits for them', async () => {
  let away = true
  const backend = await startBackend(() => (away ? answering(503) : TAKEN))
  const own = createOwnSpans(collectorAt(backend.url).hand)
  const accept = createAccept(own, () => {})
  for (const id of ['1', '2', '3']) {
    const bytes = encode(sampleRequest([sampleSpan(id.padStart(16, '0'))]), 'protobuf')
    await accept({ bytes, encoding: 'protobuf', gzipped: false })
  }
  expect(backend.arrived.size).toBe(0)
  away = false
  await own.drain(5_000)
  expect([...backend.arrived.keys()]).toEqual(['1', '2', '3'].map((id) => id.padStart(16, '0')))
  await backend.close()
})
