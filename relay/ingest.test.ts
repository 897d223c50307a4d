import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createAccept, createIngest, MAX_BODY_BYTES } from './ingest.ts'
import { CONTENT_TYPES, decode, type Encoding, encode, type KeyValue, spansOf } from './otlp.ts'
import { readStatus } from './rpc-status-reader.ts'
import { sampleRequest, sampleSpan, silent, TRACE_ID, temporaryStore, text } from './sample-run.ts'

const INSTANCE_ID = 'c0ffee'
const FIRST = { file: 1, request: 1 }
const ENCODINGS: Encoding[] = ['json', 'protobuf']
const REQUEST = sampleRequest([sampleSpan('00f067aa0ba902b7'), sampleSpan('b7ad6b7169203331')])

function receiver() {
  const store = temporaryStore()
  const app = createIngest(
    createAccept(store, () => {}),
    silent,
    INSTANCE_ID,
  )
  const send = (body: Uint8Array | string, headers: Record<string, string>, method = 'POST') =>
    app.request('/v1/traces', { method, headers, ...(method === 'GET' ? {} : { body: Buffer.from(body) }) })
  const spanIds = () => [...spansOf(store.trace(TRACE_ID))].map(({ spanId }) => spanId)
  return { store, send, spanIds }
}

for (const encoding of ENCODINGS) {
  const type = { 'content-type': CONTENT_TYPES[encoding] }
  const plain = encode(REQUEST, encoding)

  test(`Spans in ${encoding} are stored before the answer, and the answer is an empty success in ${encoding}`, async () => {
    const { send, spanIds } = receiver()
    const response = await send(plain, type)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe(CONTENT_TYPES[encoding])
    expect(await response.text()).toBe(encoding === 'json' ? '{}' : '')
    expect(spanIds()).toEqual(['00f067aa0ba902b7', 'b7ad6b7169203331'])
  })

  test(`A gzipped body in ${encoding} is kept byte for byte`, async () => {
    const { store, send } = receiver()
    const gzipped = gzipSync(plain, { level: 1 })
    expect((await send(gzipped, { ...type, 'content-encoding': 'gzip' })).status).toBe(200)
    expect(Buffer.from(store.request(FIRST)?.body ?? [])).toEqual(gzipped)
  })

  test(`An undecodable body in ${encoding} is a 400 with a Status in ${encoding}, and nothing is kept`, async () => {
    const { store, send } = receiver()
    for (const [body, extra] of [
      ['\u00ff{', {}],
      ['no gzip', { 'content-encoding': 'gzip' }],
      [gzipSync(plain).subarray(0, -9), { 'content-encoding': 'gzip' }],
    ] as const) {
      const response = await send(body, { ...type, ...extra })
      expect(response.status).toBe(400)
      expect(await readStatus(response)).toMatchObject({ code: 3 })
    }
    expect(store.request(FIRST)).toBeUndefined()
  })

  test(`More than 20 MiB in ${encoding} is a 413, announced or not, and so is a gzip bomb`, async () => {
    const { send } = receiver()
    const large = Buffer.alloc(MAX_BODY_BYTES + 1, ' ')
    const before = process.memoryUsage().arrayBuffers
    for (const response of [
      await send(large, type),
      await send(large, { ...type, 'content-length': String(large.length) }),
      await send(gzipSync(Buffer.alloc(200 * 1024 * 1024)), { ...type, 'content-encoding': 'gzip' }),
    ]) {
      expect(response.status).toBe(413)
      expect(await readStatus(response)).toMatchObject({ code: 8 })
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(400 * 1024 * 1024)
  })

  test(`An empty request in ${encoding} is a success that stores nothing`, async () => {
    const { store, send } = receiver()
    expect((await send(encoding === 'json' ? '{}' : '', type)).status).toBe(200)
    expect(store.request(FIRST)).toBeUndefined()
  })

  test(`Spans with invalid ids in ${encoding} are counted in partial_success and only the others are kept`, async () => {
    const { store, send, spanIds } = receiver()
    const broken = [sampleSpan('0000000000000000'), sampleSpan('abcd'), sampleSpan('00f067aa0ba902b8', { traceId: '' })]
    const response = await send(encode(sampleRequest([...broken, sampleSpan('00f067aa0ba902b7')]), encoding), type)
    expect(response.status).toBe(200)
    const answer = Buffer.from(await response.arrayBuffer())
    if (encoding === 'json') expect(JSON.parse(answer.toString()).partialSuccess.rejectedSpans).toBe('3')
    else expect([...answer.subarray(2, 4)]).toEqual([0x08, 3])
    expect(spanIds()).toEqual(['00f067aa0ba902b7'])
    const stored = decode(gunzipSync(store.request(FIRST)?.body ?? ''), encoding)
    expect([...spansOf(stored)]).toHaveLength(1)
  })

  test(`What is not listed in ${encoding} is not stored, and all else is as it was`, async () => {
    const { store, send } = receiver()
    const listed = text('pass_ats.stage', 'llm')
    const sent = (...attributes: KeyValue[]) => sampleRequest([sampleSpan('00f067aa0ba902b7', { attributes })])
    const body = gzipSync(encode(sent(text('client.address', '192.0.2.1'), listed), encoding))
    expect((await send(body, { ...type, 'content-encoding': 'gzip' })).status).toBe(200)
    const stored = gunzipSync(store.request(FIRST)?.body ?? '')
    expect(stored).toEqual(Buffer.from(encode(sent(listed), encoding)))
  })

  test(`A store that cannot write is a 503 with Retry-After and a Status in ${encoding}`, async () => {
    const { store, send } = receiver()
    await store.close()
    const response = await send(plain, type)
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await readStatus(response)).toMatchObject({ code: 14 })
  })
}

/** A body of about `bytes` bytes that says one thing again and again. */
const repeated = (before: string, item: string, after: string, bytes: number) =>
  Buffer.from(
    before +
      Array(Math.floor(bytes / (item.length + 1)))
        .fill(item)
        .join(',') +
      after,
  )
const IN_SPAN = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${TRACE_ID}","spanId":"00f067aa0ba902b7",`

test.each<[string, Encoding, Buffer]>([
  ['resource spans', 'json', repeated('{"resourceSpans":[', '{}', ']}', 5_000_000)],
  ['spans', 'json', repeated('{"resourceSpans":[{"scopeSpans":[{"spans":[', '{}', ']}]}]}', 200_000)],
  ['attributes', 'json', repeated(`${IN_SPAN}"attributes":[`, '{}', ']}]}]}]}', 5_000_000)],
  ['lists that nobody knows', 'json', repeated('{"x":[', '[]', ']}', 5_000_000)],
  ['resource spans', 'protobuf', Buffer.alloc(4_000_000, Buffer.from([0x0a, 0]))],
  ['resource spans, just over what is allowed', 'protobuf', Buffer.alloc(100_002, Buffer.from([0x0a, 0]))],
])('A small body of very many %s in %s is a 413 that says so, and nothing is kept', async (_, encoding, body) => {
  const { store, send } = receiver()
  const response = await send(gzipSync(body), { 'content-type': CONTENT_TYPES[encoding], 'content-encoding': 'gzip' })
  expect(response.status).toBe(413)
  expect(await readStatus(response)).toMatchObject({ code: 8, message: expect.stringMatching(/^More than \d+ [a-z]/) })
  expect(store.request(FIRST)).toBeUndefined()
})

test('As many spans as senders put into their largest batches are taken in either encoding', async () => {
  const attributes = Array.from({ length: 10 }, (_, n) => text(`attribute.${n}`, `value ${n}`))
  const spans = Array.from({ length: 8_192 }, (_, n) =>
    sampleSpan((n + 1).toString(16).padStart(16, '0'), { attributes }),
  )
  for (const encoding of ENCODINGS) {
    const { send, spanIds } = receiver()
    const headers = { 'content-type': CONTENT_TYPES[encoding] }
    expect((await send(encode(sampleRequest(spans), encoding), headers)).status).toBe(200)
    expect(spanIds()).toHaveLength(8_192)
  }
})

test('Of large requests that come together one after another is decoded, and too many are a 503', async () => {
  const { send, spanIds } = receiver()
  const filler = text('filler', 'x'.repeat(1_100_000))
  const bodies = Array.from({ length: 30 }, (_, n) =>
    encode(sampleRequest([sampleSpan(`00f067aa0ba902${n + 10}`, { attributes: [filler] })]), 'json'),
  )
  const headers = { 'content-type': CONTENT_TYPES.json }
  const answers = await Promise.all(bodies.map((body) => send(body, headers)))
  const taken = answers.filter((answer) => answer.status === 200)
  const turnedAway = answers.filter((answer) => answer.status === 503)
  expect(taken.length + turnedAway.length).toBe(30)
  expect(taken.length).toBeGreaterThanOrEqual(9)
  expect(turnedAway.length).toBeGreaterThan(0)
  expect(Number(turnedAway[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
  // Those that were turned away are not kept, the others are; and the line is free again.
  expect(spanIds()).toHaveLength(taken.length)
  expect((await send(bodies[0] ?? '', headers)).status).toBe(200)
})

test('A request that this relay forwarded itself is a 400 that says so, and nothing is kept; that of another is taken', async () => {
  for (const encoding of ENCODINGS) {
    const { store, send } = receiver()
    const headers = { 'content-type': CONTENT_TYPES[encoding] }
    const own = await send(encode(REQUEST, encoding), { ...headers, 'pass-ats-relay': INSTANCE_ID })
    expect(own.status).toBe(400)
    expect((await readStatus(own)).message).toMatch(/^This relay is forwarding to itself: /)
    expect(store.request(FIRST)).toBeUndefined()
    expect((await send(encode(REQUEST, encoding), { ...headers, 'pass-ats-relay': 'another' })).status).toBe(200)
  }
})

test('Other methods are a 405 that names POST', async () => {
  const { send } = receiver()
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const response = await send('', { 'content-type': 'application/json' }, method)
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toContain('POST')
    expect(await readStatus(response)).toHaveProperty('message')
  }
})

test('Other content types and encodings are a 415', async () => {
  const { send } = receiver()
  expect((await send('{}', { 'content-type': 'text/plain' })).status).toBe(415)
  expect((await send('{}', {})).status).toBe(415)
  expect((await send('{}', { 'content-type': 'application/json', 'content-encoding': 'br' })).status).toBe(415)
  expect((await send('{}', { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200)
})

test('Requests that wait for the disk hold up nobody who is to be read: the store hears of all, and turns away the rest', async () => {
  const heard: (() => void)[] = []
  const all = Promise.withResolvers<void>()
  // A disk that stands still.
  const append = () =>
    new Promise<void>((resolve) => {
      heard.push(resolve)
      if (heard.length === 200) all.resolve()
    })
  const accept = createAccept({ append }, () => {})
  const body = { bytes: encode(REQUEST, 'protobuf'), encoding: 'protobuf', gzipped: false } as const
  const accepted = Array.from({ length: 200 }, () => accept(body))
  await all.promise
  for (const answer of heard) answer()
  expect((await Promise.all(accepted)).every(({ rejected }) => rejected === 0)).toBe(true)
})
