import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, test } from 'vitest'
import { otlpPayload } from '../../bench/otlp-payload.ts'
import { ClosedListProcessor } from '../../closed-list.ts'
import * as names from '../../names.ts'
import { decode, type Encoding, encode, type KeyValue, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'
import { sampleRequest, sampleSpan, TRACE_ID, text } from '../sample-run.ts'
import { MAX_ELEMENTS } from './limits.ts'
import { scan, slice } from './scan.ts'
import { tracesIn } from './trace-list.ts'

const ENCODINGS: Encoding[] = ['json', 'protobuf']
const SPAN_ID = '00f067aa0ba902b7'
const OTHER_TRACE = '0af7651916cd43dd8448eb211c80319c'

/** What is kept of one span, and what the scan tells. */
function kept(span: Partial<OtlpSpan>, encoding: Encoding) {
  const scanned = scan(encode(sampleRequest([sampleSpan(SPAN_ID, span)]), encoding), encoding)
  const [found] = spansOf(decode(scanned.body, encoding))
  return { span: found, scrubbed: scanned.scrubbed }
}

const attribute = (key: string, value: KeyValue['value']): KeyValue => ({ key, ...(value ? { value } : {}) })

/** What the OpenTelemetry SDK makes of a span with every listed attribute, each with a value that it has in a run. */
function everythingListed(encoding: Encoding): Uint8Array {
  const values: Record<string, string | number | boolean | string[]> = {
    [names.ATTR_USER_AGENT]:
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36',
    [names.ATTR_URL_FULL]: `http://127.0.0.1:4320/runs/${TRACE_ID}/events`,
    [names.ATTR_URL_PATH]: `/runs/${TRACE_ID}/resume.pdf`,
    [names.ATTR_HTTP_ROUTE]: '/runs/{id}/events',
    [names.ATTR_SERVER_ADDRESS]: '192.168.178.221',
    [names.ATTR_POSTING_HOST]: 'boards.greenhouse.io',
    [names.ATTR_SESSION_ID]: '12345678-1234-4123-8123-1234567890ab',
    [names.ATTR_GEN_AI_RESPONSE_ID]: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
    [names.ATTR_GEN_AI_REQUEST_MODEL]: 'meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8',
    [names.ATTR_GEN_AI_RESPONSE_FINISH_REASONS]: ['stop', 'length'],
    [names.ATTR_HTTP_RESPONSE_STATUS_CODE]: 200,
    [names.ATTR_COMPILE_CPU_TIME]: 0.412,
    [names.ATTR_COMPILE_SANDBOXED]: true,
  }
  const listed = Object.entries(names).filter(([constant]) => constant.startsWith('ATTR_'))
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({
    spanProcessors: [new ClosedListProcessor(), new SimpleSpanProcessor(exporter)],
    resource: resourceFromAttributes({
      [names.RESOURCE_SERVICE_NAME]: names.SERVICE_EXTENSION,
      [names.RESOURCE_SERVICE_INSTANCE_ID]: '3f2a9c1e-8b7d-4c6a-9e5f-1a2b3c4d5e6f',
      [names.RESOURCE_BROWSER_BRANDS]: ['Not)A;Brand 8', 'Chromium 149'],
      [names.RESOURCE_BROWSER_LANGUAGE]: 'de-DE',
      [names.RESOURCE_INSTALLATION_ID]: 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6',
    }),
  })
  const tracer = provider.getTracer(names.SERVICE_EXTENSION, '0.1.0')
  const spanNames = Object.entries(names).filter(([constant]) => /^(SPAN|RPC)_/.test(constant))
  for (const name of [
    ...spanNames.map(([, spanName]) => spanName),
    'GET',
    'GET /runs/{id}/events',
    'chat gpt-5.1-mini',
  ]) {
    const attributes = Object.fromEntries(listed.map(([, key]) => [key, values[key] ?? 'ok']))
    const span = tracer.startSpan(name, { attributes })
    span.recordException(new TypeError('not recorded'))
    span.addEvent(names.EVENT_WORKER_RESUMED)
    span.setStatus({ code: 2 })
    span.end()
  }
  const serializer = encoding === 'json' ? JsonTraceSerializer : ProtobufTraceSerializer
  return serializer.serializeRequest(exporter.getFinishedSpans()) ?? new Uint8Array()
}

for (const encoding of ENCODINGS) {
  test(`What our own sides send in ${encoding} is kept byte for byte`, () => {
    for (const body of [everythingListed(encoding), otlpPayload(512, encoding)]) {
      const scanned = scan(body, encoding)
      expect(scanned.scrubbed).toBeUndefined()
      expect(scanned.body).toBe(body)
      expect(scanned.spans).toBe([...spansOf(decode(body, encoding))].length)
    }
  })

  test(`Of each trace in ${encoding} it is told how many spans it has and whether one failed`, () => {
    const spans = [
      sampleSpan(SPAN_ID),
      sampleSpan('0000000000000002', { status: { code: 2 } }),
      sampleSpan('0000000000000003', { traceId: OTHER_TRACE, status: { code: 1 } }),
      sampleSpan('0000000000000004', { traceId: '0'.repeat(32) }),
    ]
    const { traces, spans: accepted, rejected } = scan(encode(sampleRequest(spans), encoding), encoding)
    expect([...tracesIn(traces)]).toEqual([
      [TRACE_ID, { spans: 2, error: true }],
      [OTHER_TRACE, { spans: 1, error: false }],
    ])
    expect({ accepted, rejected }).toEqual({ accepted: 3, rejected: 1 })
  })

  test(`Attributes in ${encoding} that are not listed go, wherever they stand, and some of their names are told`, () => {
    const unlisted = ['client.address', 'a', 'b', 'c', 'Ada Lovelace', 'd'].map((key) => text(key, 'Ada Lovelace'))
    const listed = text(names.ATTR_STAGE, 'llm')
    const attributes = [...unlisted, listed, attribute('resume', { kvlistValue: { values: [listed] } })]
    const span = sampleSpan(SPAN_ID, {
      attributes,
      events: [{ name: names.EVENT_EXCEPTION, attributes }],
      links: [{ traceId: TRACE_ID, spanId: SPAN_ID, attributes }],
    })
    const request: TracesData = {
      resourceSpans: [{ resource: { attributes }, scopeSpans: [{ scope: { attributes }, spans: [span] }] }],
    }
    const { body, scrubbed } = scan(encode(request, encoding), encoding)
    expect(Buffer.from(body).includes('Lovelace')).toBe(false)
    expect(scrubbed).toMatchObject({ attributes: 35, sample: ['client.address', 'a', 'b', 'c', 'other'] })
    const [resourceSpans] = decode(body, encoding).resourceSpans
    const [scopeSpans] = resourceSpans?.scopeSpans ?? []
    const [found] = scopeSpans?.spans ?? []
    for (const place of [resourceSpans?.resource, scopeSpans?.scope, found, found?.events?.[0], found?.links?.[0]]) {
      expect(place?.attributes).toEqual([listed])
    }
  })

  test(`Events in ${encoding} that are not listed go, and so does the text of a status`, () => {
    const { span, scrubbed } = kept(
      { events: [{ name: 'note' }, { name: names.EVENT_EXCEPTION }], status: { code: 2, message: 'Ada Lovelace' } },
      encoding,
    )
    expect(span?.events?.map(({ name }) => name)).toEqual([names.EVENT_EXCEPTION])
    expect(span?.status).toEqual({ code: 2 })
    expect(scrubbed).toMatchObject({ events: 1, messages: 1 })
  })

  test(`Values in ${encoding} are struck in lists and maps too, and bytes are emptied`, () => {
    const list = { arrayValue: { values: [{ stringValue: 'stop' }, { stringValue: 'ada@example.org' }] } }
    const map = { kvlistValue: { values: [text('name', 'Ada'), text(names.ATTR_STAGE, '+49 170 1234567')] } }
    const { span, scrubbed } = kept(
      {
        attributes: [
          attribute(names.ATTR_GEN_AI_RESPONSE_FINISH_REASONS, list),
          attribute(names.ATTR_STAGE, map),
          attribute(names.ATTR_ERROR_TYPE, { bytesValue: 'QWRh' }),
          text(names.ATTR_URL_FULL, 'http://a.example/b?c=d'),
        ],
      },
      encoding,
    )
    expect(span?.attributes?.map(({ value }) => value)).toEqual([
      { arrayValue: { values: [{ stringValue: 'stop' }, { stringValue: '[redacted:email]' }] } },
      { kvlistValue: { values: [text(names.ATTR_STAGE, '[redacted:phone]')] } },
      { bytesValue: '' },
      { stringValue: 'http://a.example/b' },
    ])
    expect(scrubbed).toMatchObject({ attributes: 1, values: { email: 1, phone: 1, bytes: 1, url: 1 } })
  })

  test(`A span name in ${encoding} that is not listed and has no conventional shape becomes “other”`, () => {
    const wrong = [
      'Ada Lovelace',
      'GET /call/+491701234567',
      'GET http://a.example/',
      'chat with Ada',
      'get',
      'GET /a b',
    ]
    for (const name of wrong) {
      expect(kept({ name }, encoding)).toMatchObject({ span: { name: 'other' }, scrubbed: { names: 1 } })
    }
    for (const name of ['', 'GET', 'GET /runs/{id}/events', 'POST /v1/*', 'chat gpt-5', names.RPC_START_RUN]) {
      expect(kept({ name }, encoding).scrubbed).toBeUndefined()
    }
  })

  test(`A link in ${encoding} whose IDs are none goes`, () => {
    const links = [
      { traceId: 'abcd', spanId: SPAN_ID },
      { traceId: OTHER_TRACE, spanId: SPAN_ID },
    ]
    const { span, scrubbed } = kept({ links }, encoding)
    expect(span?.links).toMatchObject([{ traceId: OTHER_TRACE }])
    expect(scrubbed).toMatchObject({ links: 1 })
  })

  test(`More than ${MAX_ELEMENTS} resource spans, scope spans and spans in ${encoding} are too large, and so is what is too deep`, () => {
    const tooLarge = (message: RegExp) =>
      expect.objectContaining({ name: 'BodyTooLarge', message: expect.stringMatching(message) })
    const spans = Array.from({ length: MAX_ELEMENTS - 1 }, () => sampleSpan(SPAN_ID))
    expect(() => scan(encode(sampleRequest(spans), encoding), encoding)).toThrow(tooLarge(/^More than 50000 /))
    expect(scan(encode(sampleRequest(spans.slice(1)), encoding), encoding).spans).toBe(MAX_ELEMENTS - 2)
    const deep = (depth: number): Uint8Array => {
      const nested = encoding === 'json' ? '[]' : Buffer.alloc(0)
      if (typeof nested === 'string') return Buffer.from(`{"x":${'['.repeat(depth)}${']'.repeat(depth)}}`)
      let value: Uint8Array = nested
      for (let level = 0; level < depth; level += 1) value = wrap(0x2a, wrap(0x0a, value))
      return wrap(0x0a, wrap(0x12, wrap(0x12, wrap(0x4a, wrap(0x12, value)))))
    }
    const least = encoding === 'json' ? 199 : 47
    expect(scan(deep(least), encoding).spans).toBe(0)
    for (const depth of [least + 1, 5_000])
      expect(() => scan(deep(depth), encoding)).toThrow(tooLarge(/^More than 100 /))
  })

  test(`A slice in ${encoding} has the wanted spans under their resource and scope, and nothing else`, () => {
    const other = () => sampleSpan('0000000000000002', { traceId: OTHER_TRACE })
    const request: TracesData = {
      resourceSpans: [
        ...sampleRequest([other(), sampleSpan(SPAN_ID), other()]).resourceSpans,
        ...sampleRequest([other()], names.SERVICE_SERVER).resourceSpans,
      ],
    }
    const body = encode(request, encoding)
    const part = slice(body, encoding, (traceId) => traceId === TRACE_ID)
    expect(decode(part ?? new Uint8Array(), encoding)).toEqual(sampleRequest([sampleSpan(SPAN_ID)]))
    expect(slice(body, encoding, () => false)).toBeUndefined()
    expect(slice(body, encoding, () => true)).toBe(body)
  })

  test(`A slice in ${encoding} may set or erase the threshold of a span, and changes no other member`, () => {
    const states = ['', 'ot=th:fd70a4;rv:1', 'passats=p:00f067aa0ba902b7,ot=th:fd70a4']
    const spans = states.map((traceState) => sampleSpan(SPAN_ID, traceState ? { traceState } : {}))
    const body = encode(sampleRequest(spans), encoding)
    const after = (threshold: string | null | undefined) => {
      const part = slice(
        body,
        encoding,
        () => true,
        () => threshold,
      )
      return [...spansOf(decode(part ?? new Uint8Array(), encoding))].map(({ traceState }) => traceState ?? '')
    }
    expect(after('th:0')).toEqual(['ot=th:0', 'ot=th:0;rv:1', 'ot=th:0,passats=p:00f067aa0ba902b7'])
    expect(after(null)).toEqual(['', 'ot=rv:1', 'passats=p:00f067aa0ba902b7'])
    expect(after(undefined)).toEqual(states)
  })
}

function wrap(tag: number, body: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let rest = body.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

const IN_SPAN = (members: string) =>
  `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${TRACE_ID}","spanId":"${SPAN_ID}"${members}}]}]}]}`

test.each([
  ['an ID in upper case', IN_SPAN('').replace(TRACE_ID, TRACE_ID.toUpperCase())],
  [
    'an escape in a name and an ID',
    IN_SPAN('')
      .replace('traceId', 'trace\\u0049d')
      .replace(TRACE_ID, `\\u0034${TRACE_ID.slice(1)}`),
  ],
  ['a byte order mark and spaces', `\ufeff \n${IN_SPAN('').replaceAll(':', ' : ').replaceAll(',', '\t,\r\n')} `],
  ['an ID said twice', IN_SPAN(`,"traceId":"${TRACE_ID}"`).replace(TRACE_ID, OTHER_TRACE)],
  ['spans said twice, the first no list', IN_SPAN('').replace('"spans":', '"spans":"Ada","spans":')],
])('JSON with %s is understood', (_, body) => {
  const { traces, rejected } = scan(Buffer.from(body), 'json')
  expect([...tracesIn(traces)].map(([traceId]) => traceId)).toEqual([TRACE_ID])
  expect(rejected).toBe(0)
})

test('What JSON says under names that the protocol does not have goes, and so does what is overruled', () => {
  const members = ',"Ada":{"name":"Ada"},"trace_state":"Ada","attributes":[{"key":"Ada"}],"attributes":[],"events":null'
  const { body, scrubbed } = scan(Buffer.from(IN_SPAN(members)), 'json')
  expect(Buffer.from(body).toString()).toBe(IN_SPAN(',"attributes":[],"events":null'))
  expect(scrubbed?.fields).toBe(2)
})

const SPAN = encode(sampleRequest([sampleSpan(SPAN_ID, { status: { code: 2 } })]), 'protobuf')
const undecodable = expect.objectContaining({ name: 'Undecodable', message: expect.stringMatching(/near byte \d+\.$/) })

test.each<[string, Encoding, Uint8Array | string]>([
  ['text', 'json', 'Ada'],
  ['a list', 'json', '[]'],
  ['a comma too many', 'json', '{"resourceSpans":[],}'],
  ['something after the end', 'json', '{} {}'],
  ['a control character in a text', 'json', '{"a":"\n"}'],
  ['an escape that is none', 'json', '{"a":"\\x"}'],
  ['a number that begins with 0', 'json', '{"a":01}'],
  ['a span that is no object', 'json', '{"resourceSpans":[{"scopeSpans":[{"spans":[null]}]}]}'],
  ['a time that is none', 'json', IN_SPAN(',"startTimeUnixNano":"soon"')],
  ['a time over 64 bits', 'json', IN_SPAN(',"startTimeUnixNano":"18446744073709551616"')],
  ['an enum by name', 'json', IN_SPAN(',"status":{"code":"STATUS_CODE_ERROR"}')],
  ['free text for a number', 'json', IN_SPAN(',"attributes":[{"key":"a","value":{"intValue":"Ada"}}]')],
  ['a message cut off', 'protobuf', SPAN.subarray(0, -1)],
  ['a group', 'protobuf', Uint8Array.of(0x13, 0x14)],
  ['the field number 0', 'protobuf', Uint8Array.of(0x00, 0x00)],
  ['a wire type that is not the field\u2019s', 'protobuf', Uint8Array.of(0x08, 0x04, 0x12, 0x00, 0x12, 0x00)],
  ['a field that ends after what it is in', 'protobuf', Uint8Array.of(0x0a, 0x02, 0x12, 0x04, 0x12, 0x00, 0x12, 0x00)],
  ['a number without end', 'protobuf', Uint8Array.of(0x10, ...Array(10).fill(0xff), 0x01)],
  ['a length over 32 bits', 'protobuf', Uint8Array.of(0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00)],
  ['a text that is no UTF-8', 'protobuf', wrap(0x0a, wrap(0x1a, Uint8Array.of(0xff)))],
])('%s in %s is not decodable, and the message says where and quotes nothing', (_, encoding, body) => {
  const bytes = Buffer.from(body)
  expect(() => scan(bytes, encoding)).toThrow(undecodable)
  expect(() => scan(bytes, encoding)).not.toThrow(/Ada|soon/)
})

test('In protobuf a field that nobody knows goes, and a status said in two parts is the sum of them', () => {
  const ids = Buffer.concat([wrap(0x0a, Buffer.from(TRACE_ID, 'hex')), wrap(0x12, Buffer.from(SPAN_ID, 'hex'))])
  const status = Buffer.concat([wrap(0x7a, Uint8Array.of(0x18, 2)), wrap(0x7a, wrap(0x12, Buffer.from('Ada')))])
  const request = (...parts: Uint8Array[]) => wrap(0x0a, wrap(0x12, wrap(0x12, Buffer.concat(parts))))
  const { traces, body, scrubbed } = scan(request(ids, Buffer.from('\xa2\x01\x03Ada', 'latin1'), status), 'protobuf')
  expect([...tracesIn(traces)]).toEqual([[TRACE_ID, { spans: 1, error: true }]])
  expect(scrubbed).toMatchObject({ fields: 1, messages: 1 })
  expect(Buffer.from(body).equals(request(ids, wrap(0x7a, Uint8Array.of(0x18, 2)), wrap(0x7a, new Uint8Array())))).toBe(
    true,
  )
})

test('A sender that repeats itself is believed no more the second time than the first', () => {
  const attributes = Array.from({ length: 40 }, (_, index) =>
    index % 2 === 0 ? text(names.ATTR_STAGE, 'llm') : text(names.ATTR_STAGE, 'ada@example.org'),
  )
  for (const encoding of ENCODINGS) {
    const { span } = kept({ attributes }, encoding)
    const values = span?.attributes?.map(({ value }) => value?.stringValue)
    expect(values).toEqual(attributes.map((_, index) => (index % 2 === 0 ? 'llm' : '[redacted:email]')))
  }
})
