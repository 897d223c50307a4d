/** What nobody should send, sent to the real relay: its exact answer, and that the next request finds it unharmed. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { sign } from 'hono/jwt'
import { beforeAll, expect, test } from 'vitest'
import { MAX_BODY_BYTES } from './ingest.ts'
import { CONTENT_TYPES, type Encoding, encode, type OtlpSpan, spansOf } from './otlp.ts'
import { readStatus } from './rpc-status-reader.ts'
import { startRelay, stop } from './running-relay.ts'
import { AS_SERVICE, AS_STAFF, SERVICE_KEY, sampleRequest, sampleSpan } from './sample-run.ts'

const ENCODINGS: Encoding[] = ['json', 'protobuf']
/** In whichever hostile request a span could be found at all, it is one of this trace. */
const HOSTILE = 'bad0bad0bad0bad0bad0bad0bad0bad0'
const SPAN_ID = '00f067aa0ba902b7'
const SECRET = 'without-a-comma-that-only-tests-know'
const MIB = 1024 * 1024

let url = ''

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pass-ats-relay-'))
  let kill = () => {}
  const env = {
    RELAY_STORE: join(folder, 'store'),
    RELAY_SECRETS: SECRET,
    RELAY_SERVICE_KEYS: `collector:${SERVICE_KEY}`,
  }
  const relay = await startRelay(env, (atEnd) => {
    kill = atEnd
  })
  url = relay.url
  return async () => {
    // One relay has survived all of it, and has nothing to say about any.
    expect(relay.child.exitCode).toBeNull()
    const code = await stop(relay.child)
    kill()
    const [stdout, stderr] = await relay.output
    rmSync(folder, { recursive: true, force: true })
    expect({ code, stderr, errors: stdout.split('\n').filter((line) => /"level":(50|60)/.test(line)) }).toEqual({
      code: 0,
      stderr: '',
      errors: [],
    })
  }
})

async function send(body: Uint8Array, encoding: Encoding, headers: Record<string, string> = {}): Promise<Response> {
  const type = CONTENT_TYPES[encoding]
  return fetch(`${url}/v1/traces`, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { ...AS_SERVICE, 'content-type': type, ...headers },
  })
}

async function lookUp(traceId: string): Promise<OtlpSpan[]> {
  const answer = await fetch(`${url}/api/traces/${traceId}`, { headers: AS_STAFF })
  if (answer.status === 404) return []
  expect(answer.status).toBe(200)
  return [...spansOf(await answer.json())]
}

/** The next sender is served as if nothing had been. */
async function expectUnharmed(): Promise<void> {
  for (const encoding of ENCODINGS) {
    const traceId = randomBytes(16).toString('hex')
    const answer = await send(encode(sampleRequest([sampleSpan(SPAN_ID, { traceId })]), encoding), encoding)
    expect(answer.status).toBe(200)
    expect(await lookUp(traceId)).toMatchObject([{ traceId, spanId: SPAN_ID }])
  }
}

const hostileSpan = (span: Partial<OtlpSpan> = {}) => sampleSpan(SPAN_ID, { traceId: HOSTILE, ...span })
const request = encode(sampleRequest([hostileSpan()]), 'protobuf')
const inJson = (text: string) => Buffer.from(text)
const beforeSpan = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${HOSTILE}","spanId":"${SPAN_ID}"`

/** A field of protobuf with its length before it. */
function field(number: number, content: Uint8Array): Uint8Array {
  const bytes: number[] = []
  for (const value of [number * 8 + 2, content.length]) {
    let rest = value
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80)
    bytes.push(rest)
  }
  return Buffer.concat([Uint8Array.from(bytes), content])
}
/** An attribute of a span, as what it stands in. */
const withAttribute = (value: Uint8Array) =>
  [9, 2, 2, 1].reduce<Uint8Array>(
    (inner, number) => field(number, inner),
    Buffer.concat([field(1, inJson('a')), field(2, value)]),
  )
/** Lists in one another, from the inside. */
function nested(depth: number): Uint8Array {
  let value: Uint8Array = new Uint8Array()
  for (let n = 0; n < depth; n += 1) value = field(5, field(1, value))
  return value
}
/** The four bytes before the last four. */
function withWrongChecksum(gzip: Buffer): Buffer {
  return gzip.fill(7, gzip.length - 8, gzip.length - 4)
}
const gzipped = { 'content-encoding': 'gzip' }
const TOO_LARGE = `More than ${MAX_BODY_BYTES} bytes.`
const TOO_DEEP = 'More than 100 messages in one another.'

test.each<
  [
    what: string,
    encoding: Encoding,
    status: number,
    message: string,
    body: () => Uint8Array,
    headers?: Record<string, string>,
  ]
>([
  ['A gzip bomb', 'json', 413, TOO_LARGE, () => gzipSync(Buffer.alloc(200 * MIB, ' ')), gzipped],
  ['A gzip bomb', 'protobuf', 413, TOO_LARGE, () => gzipSync(Buffer.alloc(200 * MIB)), gzipped],
  [
    'A gzip bomb that wraps a gzip bomb',
    'json',
    400,
    'The body is not UTF-8.',
    () => gzipSync(gzipSync(Buffer.alloc(200 * MIB))),
    gzipped,
  ],
  ['20 MiB and a byte', 'json', 413, TOO_LARGE, () => Buffer.alloc(MAX_BODY_BYTES + 1, ' ')],
  ['20 MiB and a byte', 'protobuf', 413, TOO_LARGE, () => Buffer.alloc(MAX_BODY_BYTES + 1)],
  [
    '20 MiB and a byte, gzipped',
    'json',
    413,
    TOO_LARGE,
    () => gzipSync(Buffer.alloc(MAX_BODY_BYTES + 1, ' ')),
    gzipped,
  ],
  [
    '20 MiB and a byte that gzip makes no smaller',
    'protobuf',
    413,
    TOO_LARGE,
    () => gzipSync(randomBytes(MAX_BODY_BYTES + 1), { level: 0 }),
    gzipped,
  ],
  ['A gzip cut off', 'protobuf', 400, 'The body is not valid gzip.', () => gzipSync(request).subarray(0, -4), gzipped],
  [
    'A gzip with a wrong checksum',
    'protobuf',
    400,
    'The body is not valid gzip.',
    () => withWrongChecksum(gzipSync(request)),
    gzipped,
  ],
  ['Lists in one another', 'json', 413, TOO_DEEP, () => inJson(`${beforeSpan},"x":${'['.repeat(5_000_000)}`)],
  ['Objects in one another', 'json', 413, TOO_DEEP, () => inJson('{"a":'.repeat(1_000_000))],
  [
    'Values in one another',
    'json',
    413,
    TOO_DEEP,
    () =>
      inJson(
        `${beforeSpan},"attributes":[{"key":"a","value":${'{"arrayValue":{"values":['.repeat(1_000)}${']}}'.repeat(1_000)}}]}]}]}]}`,
      ),
  ],
  ['Values in one another', 'protobuf', 413, TOO_DEEP, () => withAttribute(nested(1_000))],
  [
    'A group in a group, without end',
    'protobuf',
    400,
    'A field has a wire type that is not its own, near byte 1.',
    () => Buffer.alloc(100_000, 0x0b),
  ],
  [
    'A message cut off',
    'protobuf',
    400,
    'A field is longer than what it is in, near byte 2.',
    () => request.subarray(0, -1),
  ],
  [
    'A length of 4 GiB',
    'protobuf',
    400,
    'A field is longer than what it is in, near byte 6.',
    () => Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f),
  ],
  [
    'A length without end',
    'protobuf',
    400,
    'A tag or length is longer than 32 bits, near byte 6.',
    () => Buffer.concat([Uint8Array.of(0x0a), Buffer.alloc(1_000_000, 0xff)]),
  ],
  [
    'A number where a message belongs',
    'protobuf',
    400,
    'A field has a wire type that is not its own, near byte 1.',
    () => Uint8Array.of(0x08, 0x01),
  ],
  [
    'A time as a text',
    'protobuf',
    400,
    'A field has a wire type that is not its own, near byte 7.',
    () => field(1, field(2, field(2, field(7, inJson('12345678'))))),
  ],
  [
    'A time cut off',
    'protobuf',
    400,
    'A number is cut off, near byte 15.',
    () => field(1, field(2, field(2, Uint8Array.of(0x39, 1, 2, 3)))),
  ],
  [
    'The highest field number and one more',
    'protobuf',
    400,
    'A field has a number that there is none of, near byte 5.',
    () => Uint8Array.of(0x82, 0x80, 0x80, 0x80, 0x10, 0x00),
  ],
  [
    'The field number 0',
    'protobuf',
    400,
    'A field has a number that there is none of, near byte 1.',
    () => Uint8Array.of(0x02, 0x00),
  ],
  [
    'JSON as protobuf',
    'protobuf',
    400,
    'A field is a group or of no wire type, near byte 1.',
    () => encode(sampleRequest([hostileSpan()]), 'json'),
  ],
  ['Protobuf as JSON', 'json', 400, 'The body is not UTF-8.', () => request],
  [
    'A time before 1970',
    'json',
    400,
    'A time of a span is not a 64-bit number, near byte 141.',
    () => inJson(`${beforeSpan},"startTimeUnixNano":"-1"}]}]}]}`),
  ],
  [
    'A time of more than 64 bits',
    'json',
    400,
    'A time of a span is not a 64-bit number, near byte 157.',
    () => inJson(`${beforeSpan},"endTimeUnixNano":"18446744073709551616"}]}]}]}`),
  ],
  [
    'A time with a point',
    'json',
    400,
    'A time of a span is not a 64-bit number, near byte 138.',
    () => inJson(`${beforeSpan},"endTimeUnixNano":1.5}]}]}]}`),
  ],
])('%s in %s is a %i', async (_, encoding, status, message, body, headers) => {
  const answer = await send(body(), encoding, headers)
  expect(answer.status).toBe(status)
  expect(await readStatus(answer)).toEqual({ code: status === 413 ? 8 : 3, message })
  expect(await lookUp(HOSTILE)).toEqual([])
  await expectUnharmed()
})

test.each(ENCODINGS)('10,000 traces in one body in %s are taken, and each is found', async (encoding) => {
  const run = randomBytes(12).toString('hex')
  const ids = Array.from({ length: 10_000 }, (_, n) => run + n.toString(16).padStart(8, '0'))
  const spans = ids.map((traceId) => sampleSpan(SPAN_ID, { traceId }))
  expect((await send(encode(sampleRequest(spans), encoding), encoding)).status).toBe(200)
  for (const traceId of [ids[0], ids[4_999], ids[9_999]]) {
    expect(await lookUp(String(traceId))).toMatchObject([{ traceId, spanId: SPAN_ID }])
  }
  await expectUnharmed()
})

test.each(ENCODINGS)(
  'Spans in %s without IDs that can be found again are counted as rejected, whatever is wrong',
  async (encoding) => {
    const traceId = randomBytes(16).toString('hex')
    const wrong: Partial<OtlpSpan>[] = [
      { traceId: '0'.repeat(32) },
      { traceId: traceId.slice(2) },
      { traceId: `${traceId}00` },
      { traceId: '' },
      { spanId: '0'.repeat(16) },
      { spanId: SPAN_ID.slice(2) },
      { spanId: `${SPAN_ID}00` },
      { spanId: '' },
      { parentSpanId: 'abcd' },
    ]
    const spans = [{}, ...wrong].map((span) => sampleSpan(SPAN_ID, { traceId, ...span }))
    const answer = await send(encode(sampleRequest(spans), encoding), encoding)
    expect(answer.status).toBe(200)
    const reason = 'Spans need a trace ID of 16 bytes and span IDs of 8, not all zero.'
    const told = Buffer.from(await answer.arrayBuffer())
    if (encoding === 'json') {
      expect(JSON.parse(told.toString())).toEqual({ partialSuccess: { rejectedSpans: '9', errorMessage: reason } })
    } else {
      expect(told).toEqual(Buffer.from(field(1, Buffer.concat([Uint8Array.of(0x08, 9), field(2, inJson(reason))]))))
    }
    expect(await lookUp(traceId)).toHaveLength(1)
    await expectUnharmed()
  },
)

test.each(ENCODINGS)(
  'Spans in %s may be of any time that 64 bits can say: they stay as long as others, and have a page',
  async (encoding) => {
    const times: [start: string, end: string][] = [
      ['0', '0'],
      ['1', '18446744073709551615'],
      ['18446744073709551615', '18446744073709551615'],
      ['18446744073709551615', '1'],
      ['4102444800000000000', '4102444801000000000'],
    ]
    for (const [start, end] of times) {
      const traceId = randomBytes(16).toString('hex')
      const span = sampleSpan(SPAN_ID, { traceId, startTimeUnixNano: start, endTimeUnixNano: end })
      const event = { timeUnixNano: end, name: 'exception' }
      const usual = sampleSpan('00f067aa0ba902b8', { traceId, parentSpanId: SPAN_ID })
      const answer = await send(encode(sampleRequest([{ ...span, events: [event] }, usual]), encoding), encoding)
      expect(answer.status).toBe(200)
      const [found] = await lookUp(traceId)
      // In protobuf a zero is left out.
      expect([found?.startTimeUnixNano ?? '0', found?.endTimeUnixNano ?? '0']).toEqual([start, end])
      const page = await fetch(`${url}/support/${traceId}`, { headers: AS_STAFF })
      expect(page.status).toBe(200)
      expect(await page.text()).not.toMatch(/NaN|Infinity|Invalid/)
    }
    const list = await fetch(`${url}/support`, { headers: AS_STAFF })
    expect(list.status).toBe(200)
    expect(await list.text()).not.toMatch(/NaN|Infinity|Invalid/)
    await expectUnharmed()
  },
)

test.each(ENCODINGS)(
  'A batch in %s that comes again and again, at once and later, is each span once',
  async (encoding) => {
    const traceId = randomBytes(16).toString('hex')
    const ids = ['00f067aa0ba902b7', '00f067aa0ba902b8', '00f067aa0ba902b9']
    const spans = ids.map((spanId) => sampleSpan(spanId, { traceId }))
    const once = encode(sampleRequest(spans), encoding)
    const twice = encode(sampleRequest([...spans, ...spans]), encoding)
    const answers = await Promise.all([once, once, twice, once].map((body) => send(body, encoding)))
    for (const answer of [...answers, await send(once, encoding), await send(gzipSync(once), encoding, gzipped)]) {
      expect(answer.status).toBe(200)
    }
    expect((await lookUp(traceId)).map(({ spanId }) => spanId)).toEqual(ids)
    await expectUnharmed()
  },
)

const hourAgo = Math.floor(Date.now() / 1_000) - 3_600
const claims = { sub: 'an install', kind: 'access', iat: hourAgo, exp: hourAgo + 7_200 }

for (const encoding of ENCODINGS) {
  test.each([
    ['nothing', 'token_missing', async () => ''],
    ['a password', 'token_malformed', async () => 'Basic YTpi'],
    ['another relay’s token', 'token_forged', async () => `Bearer ${await sign(claims, 'x'.repeat(40), 'HS256')}`],
    ['a token without a signature', 'token_malformed', async () => `Bearer ${unsigned(claims)}`],
    [
      'a token of the hour before',
      'token_expired',
      async () => `Bearer ${await sign({ ...claims, exp: hourAgo }, SECRET, 'HS256')}`,
    ],
    [
      'what only renews a token',
      'token_wrong_kind',
      async () => `Bearer ${await sign({ ...claims, kind: 'refresh' }, SECRET, 'HS256')}`,
    ],
    ['a key with a letter more', 'token_malformed', async () => `Bearer ${SERVICE_KEY}x`],
    ['16 KiB of letters', 'token_malformed', async () => `Bearer ${'x'.repeat(15_000)}`],
  ])(`Of spans in ${encoding}, %s is a 401 that says %s`, async (_, reason, authorization) => {
    const header = await authorization()
    const answer = await send(encode(sampleRequest([hostileSpan()]), encoding), encoding, { authorization: header })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('content-type')).toBe(CONTENT_TYPES[encoding])
    const { code, message } = await readStatus(answer)
    expect({ code, reason: message.split(':')[0] }).toEqual({ code: 16, reason })
    expect(await lookUp(HOSTILE)).toEqual([])
    await expectUnharmed()
  })
}

/** The same claims by the algorithm “none”. */
function unsigned(payload: object): string {
  const part = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url')
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(payload)}.`
}
