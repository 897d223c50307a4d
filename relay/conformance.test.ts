import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from './access/quotas.ts'
import { createApp } from './app.ts'
import { type Accept, createAccept, MAX_BODY_BYTES } from './ingest.ts'
import { CONTENT_TYPES, type Encoding, encode, type OtlpSpan, spansOf } from './otlp.ts'
import { readStatus } from './rpc-status-reader.ts'
import {
  AS_SERVICE,
  AS_STAFF,
  asInstall,
  sampleAccess,
  sampleParts,
  sampleRequest,
  sampleSpan,
  TRACE_ID,
  temporaryStore,
} from './sample-run.ts'
import { StoreUnavailable } from './store/writer-thread.ts'

const SPAN_ID = '00f067aa0ba902b7'
const ENCODINGS: Encoding[] = ['json', 'protobuf']
const EXTENSION = 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'

/** The whole relay, in this process: what a sender meets before its spans are looked at belongs to the answers. */
function receiver(broken?: Accept) {
  const store = temporaryStore()
  const app = createApp(
    sampleParts(store, {
      access: sampleAccess({ limits: { ...DEFAULT_LIMITS, install: { spans: 1 } } }),
      accept: broken ?? createAccept(store, () => {}),
    }),
  )
  const send = async (body: Uint8Array | string, headers: Record<string, string>, method = 'POST') =>
    app.request('http://127.0.0.1/v1/traces', {
      method,
      headers: { ...AS_SERVICE, ...headers },
      ...(method === 'GET' ? {} : { body: Buffer.from(body) }),
    })
  const lookUp = async (): Promise<OtlpSpan[]> => {
    const answer = await app.request(`http://127.0.0.1/api/traces/${TRACE_ID}`, { headers: AS_STAFF })
    return answer.status === 404 ? [] : [...spansOf(await answer.json())]
  }
  return { app, send, lookUp }
}
type Receiver = ReturnType<typeof receiver>

const failing = (error: Error) => () => receiver(() => Promise.reject(error))
/** Spans of an install that has had all that an hour gives. */
async function overQuota({ app, send }: Receiver, type: Record<string, string>, body: Uint8Array) {
  const install = await asInstall(app.request('http://127.0.0.1/installs', { method: 'POST' }))
  await send(body, { ...type, ...install })
  return send(body, { ...type, ...install })
}

type Refusal = [
  what: string,
  status: number,
  code: number,
  message: RegExp,
  send: (receiver: Receiver, type: Record<string, string>, body: Uint8Array) => Promise<Response>,
  make?: () => Receiver,
]
const REFUSALS: Refusal[] = [
  ['no token', 401, 16, /^token_missing: /, ({ send }, type, body) => send(body, { ...type, authorization: '' })],
  [
    'a key that is nobody’s',
    401,
    16,
    /^token_malformed: /,
    ({ send }, type, body) => send(body, { ...type, authorization: `Bearer ${'k'.repeat(40)}` }),
  ],
  [
    'a page of the web',
    403,
    7,
    /^origin_not_allowed: /,
    ({ send }, type, body) => send(body, { ...type, origin: 'https://example.org' }),
  ],
  [
    'a name that is not the relay’s',
    403,
    7,
    /^host_not_allowed: /,
    ({ send }, type, body) => send(body, { ...type, host: 'example.org' }),
  ],
  ['another method', 405, 12, /^Use POST\.$/, ({ send }, type, body) => send(body, type, 'PUT')],
  ['what does not decode', 400, 3, /./, ({ send }, type) => send('\u00ff{', type)],
  [
    'what is no gzip',
    400,
    3,
    /^The body is not valid gzip\.$/,
    ({ send }, type, body) => send(body, { ...type, 'content-encoding': 'gzip' }),
  ],
  [
    'another compression',
    415,
    12,
    /gzip/,
    ({ send }, type, body) => send(body, { ...type, 'content-encoding': 'zstd' }),
  ],
  [
    'too much',
    413,
    8,
    /^More than 20971520 bytes\.$/,
    ({ send }, type) => send(gzipSync(Buffer.alloc(MAX_BODY_BYTES + 1)), { ...type, 'content-encoding': 'gzip' }),
  ],
  ['too much within the hour', 429, 8, /^quota_install: /, overQuota],
  [
    'a disk that is full',
    503,
    14,
    /^Try again later\.$/,
    ({ send }, type, body) => send(body, type),
    failing(new StoreUnavailable('full')),
  ],
  [
    'a fault of ours',
    500,
    13,
    /^Something went wrong on our side\.$/,
    ({ send }, type, body) => send(body, type),
    failing(new Error('a secret')),
  ],
]

for (const encoding of ENCODINGS) {
  test.each(REFUSALS)(`Of spans in ${encoding}, %s is a %i with a Status of code %i in ${encoding}`, async (...row) => {
    const [, status, code, message, send, make = receiver] = row
    const body = encode(sampleRequest([sampleSpan(SPAN_ID), sampleSpan('00f067aa0ba902b8')]), encoding)
    // In the spelling that few use and everybody may.
    const written = `${CONTENT_TYPES[encoding].replace('application', 'Application')}; charset=utf-8`
    const answer = await send(make(), { 'content-type': written }, body)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe(CONTENT_TYPES[encoding])
    expect(await readStatus(answer)).toEqual({ code, message: expect.stringMatching(message) })
    const again = Number(answer.headers.get('retry-after'))
    if (status === 429 || status === 503) expect(again).toBeGreaterThan(0)
    else expect(again).toBe(0)
  })

  test.each([
    ['as it is', 'identity', (body: Uint8Array) => body],
    ['as it is, without saying so', undefined, (body: Uint8Array) => body],
    ['gzipped', 'gzip', gzipSync],
    ['gzipped, in capitals', 'GZIP', gzipSync],
    [
      'gzipped in two members',
      'gzip',
      (body: Uint8Array) => Buffer.concat([gzipSync(body.slice(0, 9)), gzipSync(body.slice(9))]),
    ],
  ] as const)(`A body in ${encoding} is taken %s`, async (_, compression, compress) => {
    const { send, lookUp } = receiver()
    const headers = { 'content-type': CONTENT_TYPES[encoding], ...(compression && { 'content-encoding': compression }) }
    const answer = await send(compress(encode(sampleRequest([sampleSpan(SPAN_ID)]), encoding)), headers)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe(CONTENT_TYPES[encoding])
    expect(await lookUp()).toHaveLength(1)
  })

  test(`20 MiB in ${encoding} to the byte are taken, and a byte more is not`, async () => {
    const { send, lookUp } = receiver()
    const type = { 'content-type': CONTENT_TYPES[encoding] }
    const gzipped = { ...type, 'content-encoding': 'gzip' }
    const request = encode(sampleRequest([sampleSpan(SPAN_ID)]), encoding)
    const whole = filledUp(request, encoding, MAX_BODY_BYTES)
    expect(whole).toHaveLength(MAX_BODY_BYTES)
    expect((await send(whole, type)).status).toBe(200)
    expect((await send(gzipSync(whole), gzipped)).status).toBe(200)
    expect(await lookUp()).toHaveLength(1)
    const more = filledUp(request, encoding, MAX_BODY_BYTES + 1)
    expect((await send(more, type)).status).toBe(413)
    expect((await send(gzipSync(more), gzipped)).status).toBe(413)
  })

  test(`An extension may send ${encoding} after it has asked, and read the answer and when to try again`, async () => {
    const { app, send } = receiver()
    const asked = await app.request('http://127.0.0.1/v1/traces', {
      method: 'OPTIONS',
      headers: {
        origin: EXTENSION,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-encoding,content-type',
      },
    })
    expect(asked.status).toBe(204)
    expect(asked.headers.get('access-control-allow-methods')?.split(',')).toContain('POST')
    for (const name of ['authorization', 'content-encoding', 'content-type']) {
      expect(asked.headers.get('access-control-allow-headers')?.split(',')).toContain(name)
    }
    const type = { 'content-type': CONTENT_TYPES[encoding] }
    for (const answer of [
      await send(encode(sampleRequest([sampleSpan(SPAN_ID)]), encoding), { ...type, origin: EXTENSION }),
      await send('\u00ff', { ...type, origin: EXTENSION }),
      await send('', { ...type, origin: EXTENSION, authorization: '' }),
    ]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(EXTENSION)
      expect(answer.headers.get('access-control-expose-headers')?.split(',')).toContain('retry-after')
    }
  })
}

/** The same request, so many bytes long: spaces behind JSON; in protobuf a field that nobody knows. */
function filledUp(request: Uint8Array, encoding: Encoding, bytes: number): Uint8Array {
  if (encoding === 'json') return Buffer.concat([request], bytes).fill(' ', request.length)
  const length = bytes - request.length - 5
  const varint = [0, 7, 14, 21].map((shift) => ((length >>> shift) & 0x7f) | (shift < 21 ? 0x80 : 0))
  return Buffer.concat([request, Uint8Array.of(0x7a, ...varint)], bytes)
}

test('Without a content type that is known the Status is in JSON', async () => {
  const { send } = receiver()
  for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'application/grpc' }, {}] as Record<
    string,
    string
  >[]) {
    const answer = await send('{}', headers)
    expect(answer.status).toBe(415)
    expect(await readStatus(answer)).toMatchObject({ code: 12 })
  }
})

/** A span in JSON, written by hand. */
const span = (members: string, ids = `"traceId":"${TRACE_ID}","spanId":"${SPAN_ID}"`) =>
  `{"resourceSpans":[{"scopeSpans":[{"spans":[{${ids}${members}}]}]}]}`
const inJson = { 'content-type': CONTENT_TYPES.json }

test.each([
  ['lower', (id: string) => id],
  ['upper', (id: string) => id.toUpperCase()],
  ['mixed', (id: string) => id.replace(/[a-f]/g, (digit, at) => (at % 2 ? digit.toUpperCase() : digit))],
])('IDs in %s case are found by their lower case', async (_, spell) => {
  const { send, lookUp } = receiver()
  const ids = `"traceId":"${spell(TRACE_ID)}","spanId":"${spell(SPAN_ID)}","parentSpanId":"${spell('b7ad6b716920333c')}"`
  expect(await (await send(span('', ids), inJson)).text()).toBe('{}')
  expect(await lookUp()).toMatchObject([{ traceId: TRACE_ID, spanId: SPAN_ID, parentSpanId: 'b7ad6b716920333c' }])
})

test('Numbers of 64 bits may be text or numbers, and mean the same', async () => {
  const seen: OtlpSpan[] = []
  for (const quote of ['"', '']) {
    const { send, lookUp } = receiver()
    const start = `${quote}1767225600000000000${quote}`
    const pages = `{"key":"pass_ats.pdf.pages","value":{"intValue":${quote}2${quote}}}`
    const answer = await send(
      span(`,"startTimeUnixNano":${start},"endTimeUnixNano":${start},"attributes":[${pages}]`),
      inJson,
    )
    expect(answer.status).toBe(200)
    const [found] = await lookUp()
    expect(Number(found?.attributes?.[0]?.value?.intValue)).toBe(2)
    seen.push({ ...(found as OtlpSpan), attributes: [] })
  }
  expect(seen[0]).toMatchObject({ startTimeUnixNano: '1767225600000000000' })
  expect(seen[1]).toEqual(seen[0])
})

test('Enums are integers: a name is a 400', async () => {
  const { send, lookUp } = receiver()
  for (const wrong of [',"kind":"SPAN_KIND_SERVER"', ',"status":{"code":"STATUS_CODE_ERROR"}']) {
    const answer = await send(span(wrong), inJson)
    expect(answer.status).toBe(400)
    expect(await readStatus(answer)).toMatchObject({ code: 3 })
  }
  expect(await lookUp()).toEqual([])
  expect((await send(span(',"kind":2,"status":{"code":2}'), inJson)).status).toBe(200)
  expect(await lookUp()).toMatchObject([{ kind: 2, status: { code: 2 } }])
})

test('Names are in camelCase: in snake_case they are fields that nobody knows', async () => {
  const { send, lookUp } = receiver()
  expect(await (await send(span('').replace('resourceSpans', 'resource_spans'), inJson)).text()).toBe('{}')
  expect(await lookUp()).toEqual([])
  expect((await send(span(',"start_time_unix_nano":"1","name":"extract"'), inJson)).status).toBe(200)
  const [found] = await lookUp()
  expect(found).toMatchObject({ name: 'extract' })
  expect(JSON.stringify(found)).not.toContain('start')
})

test('Fields that nobody knows are no error, at any depth', async () => {
  const { send, lookUp } = receiver()
  const body = `{"future":[{"a":{}}],${span(',"future":{"name":"extract"},"events":[{"future":1}]').slice(1)}`
  expect(await (await send(body, inJson)).text()).toBe('{}')
  expect(await lookUp()).toMatchObject([{ spanId: SPAN_ID }])

  const inProtobuf = receiver()
  const request = encode(sampleRequest([sampleSpan(SPAN_ID)]), 'protobuf')
  // Of each wire type one, by a number of the range that is nobody's.
  const unknown = [
    [0xb0, 0x09, 0x01],
    [0xb1, 0x09, ...Array(8).fill(1)],
    [0xb2, 0x09, 1, 1],
    [0xb5, 0x09, 1, 1, 1, 1],
  ]
  const answer = await inProtobuf.send(Buffer.concat([Buffer.from(unknown.flat()), request]), {
    'content-type': CONTENT_TYPES.protobuf,
  })
  expect(answer.status).toBe(200)
  expect(await inProtobuf.lookUp()).toMatchObject([{ spanId: SPAN_ID }])
})
