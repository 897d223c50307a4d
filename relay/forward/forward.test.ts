import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { getRequestListener } from '@hono/node-server'
import { expect, onTestFinished, test } from 'vitest'
import { EVENT_EXCEPTION } from '../../names.ts'
import type { ForwardConfig } from '../config.ts'
import { type Accept, createAccept, createIngest } from '../ingest.ts'
import { CONTENT_TYPES, decode, type Encoding, encode, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'
import {
  deadAddress,
  heardLog,
  listen,
  sampleRequest,
  sampleSpan,
  silent,
  TERMS,
  TRACE_ID,
  temporaryPath,
  temporaryStore,
} from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import { openStore, type Store } from '../store/store.ts'
import { openDeadLetters } from './dead-letters.ts'
import { type Forwarder, startForwarder, type Timing } from './forward.ts'

const INSTANCE_ID = 'c0ffee'
/** Not due by its ID, as {@link TRACE_ID}. */
const NEIGHBOUR = `${TRACE_ID.slice(0, 31)}7`
/** One of the one in a hundred. */
const IN_RATIO = `${TRACE_ID.slice(0, 18)}fd70a4${TRACE_ID.slice(24)}`
const JUST_BELOW = `${TRACE_ID.slice(0, 18)}fd70a3${TRACE_ID.slice(24)}`
const HOUR_MS = 3_600_000

interface Arrival {
  headers: IncomingHttpHeaders
  data: TracesData
}
interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string
}

/** An OTLP backend that answers as told and lets a test wait for the nth arrival. */
async function startSink(answer: (arrival: Arrival, nth: number) => Answer = () => ({ status: 200 }), port = 0) {
  const arrivals: Arrival[] = []
  let waiting: { count: number; resolve: () => void } | undefined
  const url = await listen(async (request, response) => {
    const bytes = await buffer(request)
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
    const encoding: Encoding = request.headers['content-type'] === CONTENT_TYPES.json ? 'json' : 'protobuf'
    const arrival = { headers: request.headers, data: decode(body, encoding) }
    arrivals.push(arrival)
    const { status, headers, body: text } = answer(arrival, arrivals.length)
    response.writeHead(status, headers).end(text)
    if (waiting && arrivals.length >= waiting.count) waiting.resolve()
  }, port)
  const arrived = (count: number) =>
    new Promise<void>((resolve) => {
      waiting = { count, resolve }
      if (arrivals.length >= count) resolve()
    })
  const spans = () => arrivals.flatMap(({ data }) => [...spansOf(data)])
  return { url: `${url}/v1/traces`, arrivals, arrived, spans, spanIds: () => spans().map(({ spanId }) => spanId) }
}

interface Relay {
  store: Store
  forwarder: Forwarder
  accept: Accept
  waits: number[]
  clock: { now: number }
}

interface RelayOptions {
  path?: string
  log?: typeof silent
  config?: Partial<ForwardConfig>
  clock?: { now: number }
}

/** A relay whose waits between attempts are noted, and over at once. */
function startRelay(url: string, options: RelayOptions = {}): Relay {
  const { path = temporaryPath(), log = silent, config, clock = { now: Date.now() } } = options
  const store = openStore(path, TERMS, { now: () => clock.now, destination: url })
  const waits: number[] = []
  const timing: Timing = {
    firstMs: 1_000,
    maxMs: 30_000,
    now: () => clock.now,
    rest: async (ms) => {
      waits.push(ms)
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  const route = { url, headers: {}, protocol: undefined, gzipped: true, timeoutMs: 5_000, instanceId: INSTANCE_ID }
  const forwarder = startForwarder(store, { ...route, ...config }, log, timing)
  onTestFinished(async () => {
    await forwarder.stop(0)
    await store.close()
  })
  return { store, forwarder, accept: createAccept(store, forwarder.wake), waits, clock }
}

const failed = { status: { code: 2 } }
const send = ({ accept }: Relay, spans: OtlpSpan[], encoding: Encoding = 'json') =>
  accept({ bytes: encode(sampleRequest(spans), encoding), encoding, gzipped: false })
const id = (n: number) => `00f067aa0ba902b${n}`

test('What is due is sent although there is always something newer', async () => {
  const path = temporaryPath()
  const sink = await startSink()
  const filled = openStore(path, TERMS)
  const accept = createAccept(filled, () => {})
  for (const n of [1, 2, 3, 4]) {
    const bytes = encode(sampleRequest([sampleSpan(id(n), failed)]), 'json')
    await accept({ bytes, encoding: 'json', gzipped: false })
  }
  await filled.close()
  const store = openStore(path, TERMS, { destination: sink.url })
  // Each comes when the one before it has just been read.
  const trickling: Store = { ...store, entriesAfter: (cursor) => store.entriesAfter(cursor, 1) }
  const route = {
    url: sink.url,
    headers: {},
    protocol: undefined,
    gzipped: true,
    timeoutMs: 5_000,
    instanceId: INSTANCE_ID,
  }
  const forwarder = startForwarder(trickling, route, silent)
  onTestFinished(async () => {
    await forwarder.stop(0)
    await store.close()
  })
  await sink.arrived(4)
  expect(sink.spanIds()).toEqual([1, 2, 3, 4].map(id))
})

test('A backend that sends elsewhere is not followed, for the keys would go there; it is tried again', async () => {
  const elsewhere = await startSink()
  const sink = await startSink((_, nth) =>
    nth === 1 ? { status: 308, headers: { location: elsewhere.url } } : { status: 200 },
  )
  const relay = startRelay(sink.url)
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(2)
  expect(sink.spanIds()).toEqual([id(1), id(1)])
  expect(elsewhere.arrivals).toEqual([])
})

test('Only what is due is forwarded: errors and one trace in a hundred, cut out of what came with them', async () => {
  const sink = await startSink()
  const relay = startRelay(sink.url)
  await send(relay, [
    sampleSpan(id(1), { traceId: NEIGHBOUR }),
    sampleSpan(id(2), failed),
    sampleSpan(id(3)),
    sampleSpan(id(4), { traceId: JUST_BELOW }),
    sampleSpan(id(5), { traceId: IN_RATIO }),
  ])
  await sink.arrived(1)
  await relay.forwarder.stop(1_000)
  expect(sink.spanIds()).toEqual([id(2), id(3), id(5)])
  expect(relay.forwarder.state()).toEqual({ breaker: 'closed', forwarded: 3, refused: 0, lost: 0 })
})

test.each<Encoding>(['json', 'protobuf'])(
  'What is forwarded of a request in %s is equal in meaning, in its encoding, with the configured headers and no trace context',
  async (encoding) => {
    const sink = await startSink()
    const spans = [
      sampleSpan(id(1), { ...failed, events: [{ name: EVENT_EXCEPTION, timeUnixNano: '5' }], attributes: [] }),
    ]
    await send(startRelay(sink.url, { config: { headers: { 'x-tenant': 'a' } } }), spans, encoding)
    await sink.arrived(1)
    const sent = sampleRequest(spans.map((span) => ({ ...span, traceState: 'ot=th:0' })))
    expect(sink.arrivals[0]?.data).toEqual(decode(encode(sent, encoding), encoding))
    expect(sink.arrivals[0]?.headers).toMatchObject({
      'content-type': CONTENT_TYPES[encoding],
      'content-encoding': 'gzip',
      'x-tenant': 'a',
      'pass-ats-relay': INSTANCE_ID,
    })
    expect(sink.arrivals[0]?.headers).not.toHaveProperty('traceparent')
  },
)

test('As configured, everything goes in one encoding, and not compressed', async () => {
  const sink = await startSink()
  const relay = startRelay(sink.url, { config: { protocol: 'protobuf', gzipped: false } })
  await send(relay, [sampleSpan(id(1), failed)], 'json')
  await sink.arrived(1)
  expect(sink.arrivals[0]?.headers['content-type']).toBe(CONTENT_TYPES.protobuf)
  expect(sink.arrivals[0]?.headers).not.toHaveProperty('content-encoding')
  expect(sink.spanIds()).toEqual([id(1)])
})

test('The tracestate says of how many each is one: of errors every one, of the ratio one in a hundred, of reports nobody knows', async () => {
  const sink = await startSink()
  const relay = startRelay(sink.url)
  const traceState = 'ot=th:fd70a4;rv:abcdef,other=1'
  await send(relay, [sampleSpan(id(1), { ...failed, traceState })])
  await send(relay, [sampleSpan(id(2), { traceId: IN_RATIO })])
  await send(relay, [sampleSpan(id(3), { traceId: NEIGHBOUR, traceState })])
  await relay.store.keep(NEIGHBOUR)
  relay.forwarder.wake()
  while (sink.spans().length < 3) await sink.arrived(sink.arrivals.length + 1)
  expect(sink.spans().map((span) => span.traceState)).toEqual([
    'ot=th:0;rv:abcdef,other=1',
    'ot=th:fd70a4',
    'ot=rv:abcdef,other=1',
  ])
})

test('A late error makes due what came before it, in hours before too, and what comes after it follows; nothing twice', async () => {
  const sink = await startSink()
  const relay = startRelay(sink.url)
  await send(relay, [sampleSpan(id(1)), sampleSpan(id(9), { traceId: NEIGHBOUR })])
  relay.clock.now += 3 * HOUR_MS
  await send(relay, [sampleSpan(id(2))])
  await send(relay, [sampleSpan(id(3), failed)])
  await send(relay, [sampleSpan(id(4))])
  relay.clock.now += HOUR_MS
  await send(relay, [sampleSpan(id(5), failed)])
  await send(relay, [sampleSpan(id(6))])
  await relay.forwarder.stop(5_000)
  expect(sink.spanIds()).toEqual([1, 2, 3, 4, 5, 6].map(id))
})

test('A report makes due what came before it, and late spans follow, after a restart too; reporting again sends nothing again', async () => {
  const path = temporaryPath()
  const sink = await startSink()
  const first = startRelay(sink.url, { path })
  await send(first, [sampleSpan(id(1))])
  await first.store.keep(TRACE_ID)
  first.forwarder.wake()
  await sink.arrived(1)
  await first.store.keep(TRACE_ID)
  await first.forwarder.stop(1_000)
  await first.store.close()
  const again = startRelay(sink.url, { path })
  await send(again, [sampleSpan(id(2))])
  await sink.arrived(2)
  await again.forwarder.stop(1_000)
  expect(sink.spanIds()).toEqual([id(1), id(2)])
})

test('A trace of the ratio in which something fails is not sent again, but kept with all of it', async () => {
  const sink = await startSink()
  const relay = startRelay(sink.url)
  await send(relay, [sampleSpan(id(1), { traceId: IN_RATIO })])
  await send(relay, [sampleSpan(id(2), { traceId: IN_RATIO, ...failed })])
  await relay.forwarder.stop(1_000)
  expect(sink.spanIds()).toEqual([id(1), id(2)])
  relay.clock.now += TERMS.retentionMs + HOUR_MS
  await relay.store.tend()
  expect([...spansOf(relay.store.trace(IN_RATIO))].map(({ spanId }) => spanId)).toEqual([id(1), id(2)])
})

test('While the destination is down requests are taken at once; when it is back they arrive in order, many at a time', async () => {
  const dead = await deadAddress()
  const { log, heard } = heardLog()
  const relay = startRelay(`${dead}/v1/traces`, { log })
  await send(relay, [sampleSpan(id(1), failed)])
  await heard('forwarding breaker open')
  for (let n = 2; n <= 5; n++) await send(relay, [sampleSpan(id(n))], n === 4 ? 'protobuf' : 'json')
  const sink = await startSink(undefined, Number(new URL(dead).port))
  await heard('forwarding again')
  await relay.forwarder.stop(5_000)
  expect(sink.spanIds()).toEqual([1, 2, 3, 4, 5].map(id))
  // The first, which was being tried; then those in JSON together until another encoding comes.
  expect(sink.arrivals.map(({ data }) => [...spansOf(data)].length)).toEqual([1, 2, 1, 1])
  expect(relay.forwarder.state().breaker).toBe('closed')
})

test('Waits grow with each failure, and stay at the longest while the breaker is open', async () => {
  const sink = await startSink((_, nth) => ({ status: nth < 9 ? 500 : 200 }))
  const relay = startRelay(sink.url)
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(9)
  await relay.forwarder.stop(1_000)
  expect(relay.waits).toHaveLength(8)
  for (const [n, ms] of relay.waits.slice(0, 4).entries()) expect(ms).toBeLessThanOrEqual(1_000 * 2 ** n)
  for (const ms of relay.waits.slice(4)) expect(ms).toBeGreaterThanOrEqual(22_500)
})

test('The breaker is open after five failures, half open while one more is tried, closed after a success', async () => {
  const states: string[] = []
  const sink = await startSink((_, nth) => {
    states.push(relay.forwarder.state().breaker)
    return { status: nth < 7 ? 503 : 200 }
  })
  const relay = startRelay(sink.url)
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(7)
  await relay.forwarder.stop(1_000)
  expect([...states, relay.forwarder.state().breaker]).toEqual([
    ...Array(5).fill('closed'),
    'half_open',
    'half_open',
    'closed',
  ])
})

test.each([
  ['120', 120_000],
  ['Thu, 01 Jan 2026 00:01:30 GMT', 90_000],
  ['86400', 300_000],
  ['0', 0],
])('Retry-After: %s is waited for, up to five minutes', async (value, ms) => {
  const sink = await startSink((_, nth) => ({ status: nth === 1 ? 429 : 200, headers: { 'retry-after': value } }))
  const relay = startRelay(sink.url, { clock: { now: Date.UTC(2026, 0, 1) } })
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(2)
  expect(relay.waits).toEqual([ms])
})

test('What the destination refuses for good is a dead letter with its status and reason; what was sent with it arrives', async () => {
  const poison = ({ data }: Arrival) => [...spansOf(data)].some(({ spanId }) => spanId === id(2))
  const down = { now: true }
  const sink = await startSink((arrival) => {
    if (down.now) return { status: 503 }
    return poison(arrival) ? { status: 400, body: 'no such tenant\n' } : { status: 200 }
  })
  const path = temporaryPath()
  const { log, heard } = heardLog()
  const relay = startRelay(sink.url, { path, log })
  await send(relay, [sampleSpan(id(9), failed)])
  await heard('forwarding breaker open')
  for (const n of [1, 2, 3]) await send(relay, [sampleSpan(id(n))])
  down.now = false
  await heard('spans refused for good, now a dead letter')
  await relay.forwarder.stop(5_000)
  expect(relay.forwarder.state()).toMatchObject({ forwarded: 3, refused: 1 })
  await relay.store.close()
  const letters = openDeadLetters(path)
  expect(letters.list()).toMatchObject([{ destination: sink.url, status: 400, reason: 'no such tenant', spans: 1 }])
  letters.close()
})

test.each([401, 404, 408, 302, 502])('A %i says nothing about the spans: they are tried again', async (status) => {
  const sink = await startSink((_, nth) => ({ status: nth === 1 ? status : 200, headers: { location: '/elsewhere' } }))
  const relay = startRelay(sink.url)
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(2)
  await relay.forwarder.stop(1_000)
  expect(relay.forwarder.state()).toMatchObject({ forwarded: 1, refused: 0 })
})

test('After a restart forwarding goes on where it stopped, with what came before the crash', async () => {
  const path = temporaryPath()
  const sink = await startSink()
  const first = startRelay(sink.url, { path })
  await send(first, [sampleSpan(id(1), failed)])
  await sink.arrived(1)
  await first.forwarder.stop(1_000)
  await send(first, [sampleSpan(id(2))])
  await first.store.close()
  startRelay(sink.url, { path })
  await sink.arrived(2)
  expect(sink.spanIds()).toEqual([id(1), id(2)])
})

test('Spans that went before they could be forwarded are counted as lost', async () => {
  const dead = await deadAddress()
  const relay = startRelay(`${dead}/v1/traces`)
  await send(relay, [sampleSpan(id(1), failed), sampleSpan(id(2))])
  relay.clock.now += TERMS.retentionMs + HOUR_MS
  await relay.store.tend()
  expect(relay.forwarder.state().lost).toBe(2)
})

test('Spans that cannot be read any more are counted as lost, and those after them are forwarded', async () => {
  const sink = await startSink()
  const relay = startRelay(sink.url)
  const traces = packTraces([[NEIGHBOUR, { spans: 3, error: true }]])
  await relay.store.append({ encoding: 'json', body: Buffer.from('no gzip'), traces })
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(1)
  await relay.forwarder.stop(1_000)
  expect(relay.forwarder.state()).toMatchObject({ forwarded: 1, lost: 3 })
})

test('A disk that takes no write does not stop the forwarder', async () => {
  const sink = await startSink()
  const path = temporaryPath()
  const { log, heard } = heardLog()
  const relay = startRelay(sink.url, { path, log })
  await send(relay, [sampleSpan(id(1), failed)])
  await sink.arrived(1)
  const other = new DatabaseSync(join(path, 'kept.sqlite'), { timeout: 60_000 })
  other.exec('BEGIN IMMEDIATE')
  await send(relay, [sampleSpan(id(2))])
  await heard('forward cursor not written')
  await send(relay, [sampleSpan(id(3))])
  await sink.arrived(3)
  other.exec('ROLLBACK')
  other.close()
  expect(sink.spanIds()).toEqual([1, 2, 3].map(id))
})

test('Spans that come back to the relay they came from are refused for good there, and go round no more', async () => {
  const store = temporaryStore()
  const stored = Promise.withResolvers<Forwarder>()
  const accept = createAccept(store, () => stored.promise.then(({ wake }) => wake()))
  const url = `${await listen(getRequestListener(createIngest(accept, silent, INSTANCE_ID).fetch))}/v1/traces`
  const { log, heard } = heardLog()
  const route = { url, headers: {}, protocol: undefined, gzipped: true, timeoutMs: 5_000, instanceId: INSTANCE_ID }
  const forwarder = startForwarder(store, route, log)
  stored.resolve(forwarder)
  await accept({ bytes: encode(sampleRequest([sampleSpan(id(1), failed)]), 'json'), encoding: 'json', gzipped: false })
  await heard('spans refused for good, now a dead letter')
  await forwarder.stop(1_000)
  expect(forwarder.state()).toMatchObject({ forwarded: 0, refused: 1 })
  expect(store.request({ file: 1, request: 2 })).toBeUndefined()
})

test('Stopping ends a request that is never answered', async () => {
  const asked = Promise.withResolvers<void>()
  const url = await listen(() => asked.resolve())
  const relay = startRelay(url)
  await send(relay, [sampleSpan(id(1), failed)])
  await asked.promise
  await relay.forwarder.stop(0)
  expect(relay.forwarder.state().forwarded).toBe(0)
})
