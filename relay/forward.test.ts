import type { IncomingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { getRequestListener } from '@hono/node-server'
import { expect, onTestFinished, test } from 'vitest'
import { type Forwarder, startForwarder } from './forward.ts'
import { type Accept, createAccept, createIngest } from './ingest.ts'
import { CONTENT_TYPES, decode, type Encoding, encode, spansOf, type TracesData } from './otlp.ts'
import {
  deadAddress,
  heardLog,
  listen,
  sampleRequest,
  sampleSpan,
  silent,
  TERMS,
  temporaryPath,
  temporaryStore,
  text,
} from './sample-run.ts'
import { openStore, type Store } from './store.ts'

const INSTANCE_ID = 'c0ffee'
const QUICK = { firstMs: 2, maxMs: 10, answerMs: 5_000 }
const REQUEST = sampleRequest([sampleSpan('00f067aa0ba902b7', { attributes: [text('pass_ats.stage', 'llm')] })])

interface Arrival {
  headers: IncomingHttpHeaders
  data: TracesData
  atMs: number
}

/** An OTLP backend that answers as told and lets a test wait for the nth arrival. */
async function startSink(answers: { status: number; headers?: Record<string, string> }[] = [], port = 0) {
  const arrivals: Arrival[] = []
  let waiting: { count: number; resolve: () => void } | undefined
  const url = await listen(async (request, response) => {
    const body = gunzipSync(await buffer(request))
    const encoding: Encoding = request.headers['content-type'] === CONTENT_TYPES.json ? 'json' : 'protobuf'
    arrivals.push({ headers: request.headers, data: decode(body, encoding), atMs: performance.now() })
    const { status, headers } = answers.shift() ?? { status: 200 }
    response.writeHead(status, headers).end()
    if (waiting && arrivals.length >= waiting.count) waiting.resolve()
  }, port)
  const arrived = (count: number) =>
    new Promise<void>((resolve) => {
      waiting = { count, resolve }
      if (arrivals.length >= count) resolve()
    })
  return { url: `${url}/v1/traces`, arrivals, arrived }
}

interface Relay {
  store: Store
  forwarder: Forwarder
  accept: Accept
}

function startRelay(path: string, url: string, log = silent, now = Date.now): Relay {
  const store = openStore(path, TERMS, now)
  const forwarder = startForwarder(store, { url, headers: { 'x-tenant': 'a' }, instanceId: INSTANCE_ID }, log, QUICK)
  onTestFinished(async () => {
    await forwarder.stop(0)
    store.close()
  })
  return { store, forwarder, accept: createAccept(store, forwarder.wake) }
}

const send = ({ accept }: Relay, data = REQUEST, encoding: Encoding = 'json') =>
  accept({ bytes: encode(data, encoding), encoding, gzipped: false })
const named = (spanId: string) => sampleRequest([sampleSpan(spanId)])
const spanIds = (arrivals: Arrival[]) => arrivals.flatMap(({ data }) => [...spansOf(data)].map(({ spanId }) => spanId))

test.each<Encoding>(['json', 'protobuf'])(
  'A request in %s arrives equal in meaning, in its encoding, with the configured headers and no trace context',
  async (encoding) => {
    const sink = await startSink()
    await send(startRelay(temporaryPath(), sink.url), REQUEST, encoding)
    await sink.arrived(1)
    expect(sink.arrivals[0]?.data).toEqual(decode(encode(REQUEST, encoding), encoding))
    expect(sink.arrivals[0]?.headers).toMatchObject({
      'content-type': CONTENT_TYPES[encoding],
      'content-encoding': 'gzip',
      'x-tenant': 'a',
      'pass-ats-relay': INSTANCE_ID,
    })
    expect(sink.arrivals[0]?.headers).not.toHaveProperty('traceparent')
  },
)

test('While the destination is down requests are taken at once; when it is back they arrive in order', async () => {
  const dead = await deadAddress()
  const { log, heard } = heardLog()
  const relay = startRelay(temporaryPath(), `${dead}/v1/traces`, log)
  await send(relay, named('00f067aa0ba902b1'))
  await send(relay, named('00f067aa0ba902b2'), 'protobuf')
  await heard('forwarding breaker open')
  expect(relay.forwarder.state().breaker).toBe('open')
  const sink = await startSink([], Number(new URL(dead).port))
  await heard('forwarding again')
  await sink.arrived(2)
  expect(spanIds(sink.arrivals)).toEqual(['00f067aa0ba902b1', '00f067aa0ba902b2'])
  expect(relay.forwarder.state().breaker).toBe('closed')
})

test('After a restart forwarding goes on where it stopped, with what came before the crash', async () => {
  const path = temporaryPath()
  const sink = await startSink()
  const first = startRelay(path, sink.url)
  await send(first, named('00f067aa0ba902b1'))
  await sink.arrived(1)
  await first.forwarder.stop(1_000)
  await send(first, named('00f067aa0ba902b2'))
  first.store.close()
  startRelay(path, sink.url)
  await sink.arrived(2)
  expect(spanIds(sink.arrivals)).toEqual(['00f067aa0ba902b1', '00f067aa0ba902b2'])
})

test('Retry-After is waited for', async () => {
  const sink = await startSink([{ status: 429, headers: { 'retry-after': '1' } }])
  await send(startRelay(temporaryPath(), sink.url))
  await sink.arrived(2)
  const [refused, taken] = sink.arrivals
  expect((taken?.atMs ?? 0) - (refused?.atMs ?? 0)).toBeGreaterThan(950)
})

test('A request that the destination refuses for good is counted and skipped; the next arrives', async () => {
  const sink = await startSink([{ status: 400 }, { status: 503 }])
  const relay = startRelay(temporaryPath(), sink.url)
  await send(relay, named('00f067aa0ba902b1'))
  await send(relay, named('00f067aa0ba902b2'))
  await sink.arrived(3)
  await relay.forwarder.stop(1_000)
  expect(spanIds(sink.arrivals)).toEqual(['00f067aa0ba902b1', '00f067aa0ba902b2', '00f067aa0ba902b2'])
  expect(relay.forwarder.state()).toMatchObject({ forwarded: 1, skipped: 1, lost: 0 })
})

test('Requests deleted before they could be forwarded are counted as lost', async () => {
  const path = temporaryPath()
  const sink = await startSink()
  let passedMs = 0
  const first = startRelay(path, sink.url, silent, () => Date.now() + passedMs)
  await send(first, named('00f067aa0ba902b1'))
  await sink.arrived(1)
  await first.forwarder.stop(1_000)
  await send(first, named('00f067aa0ba902b2'))
  passedMs = TERMS.retentionMs + 1_000
  first.store.expire()
  await send(first, named('00f067aa0ba902b3'))
  first.store.close()
  const second = startRelay(path, sink.url)
  await sink.arrived(2)
  await second.forwarder.stop(1_000)
  expect(second.forwarder.state().lost).toBe(1)
})

test('A request that comes back to the relay it came from is refused for good there, and goes round no more', async () => {
  const store = temporaryStore()
  const stored = Promise.withResolvers<Forwarder>()
  const accept = createAccept(store, () => stored.promise.then(({ wake }) => wake()))
  const url = await listen(getRequestListener(createIngest(accept, silent, INSTANCE_ID).fetch))
  const { log, heard } = heardLog()
  const forwarder = startForwarder(store, { url: `${url}/v1/traces`, headers: {}, instanceId: INSTANCE_ID }, log, QUICK)
  stored.resolve(forwarder)
  await accept({ bytes: encode(REQUEST, 'json'), encoding: 'json', gzipped: false })
  await heard('forwarded request refused, skipped')
  await forwarder.stop(1_000)
  expect(forwarder.state()).toMatchObject({ forwarded: 0, skipped: 1 })
  expect(store.nextAfter(1)).toBeUndefined()
})

test('Stopping ends a request that is never answered', async () => {
  const url = await listen(() => {})
  const relay = startRelay(temporaryPath(), url)
  await send(relay)
  const before = performance.now()
  await relay.forwarder.stop(50)
  expect(performance.now() - before).toBeLessThan(2_000)
})
