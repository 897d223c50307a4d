import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, test } from 'vitest'
import { decode, encode, spansOf, type TracesData } from './otlp.ts'
import { sampleRequest, sampleSpan, TRACE_ID } from './sample-run.ts'

const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

/** Fields that one encoding spells out and the other leaves to their default mean the same. */
function meaning(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaning)
  if (typeof value !== 'object' || value === null) return value
  const isDefault = (item: unknown) => item === 0 || item === '' || (Array.isArray(item) && item.length === 0)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => !isDefault(item))
      .map(([key, item]) => [key, key === 'intValue' ? String(item) : meaning(item)]),
  )
}

test('What the OpenTelemetry SDK sends in JSON and in protobuf decodes to the same', () => {
  const exporter = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('t', '1')
  const parent = tracer.startSpan('parent', {
    attributes: { s: 'ü', i: 42, big: 9_007_199_254_740_991, d: 0.5, b: false, list: ['a', 'b'] },
  })
  parent.addEvent('exception', { 'exception.type': 'X' })
  tracer.startSpan('child', { links: [{ context: parent.spanContext() }] }).end()
  parent.setStatus({ code: 2, message: 'm' }).end()
  const spans = exporter.getFinishedSpans()
  const json = decode(JsonTraceSerializer.serializeRequest(spans) ?? bytes(''), 'json')
  const protobuf = decode(ProtobufTraceSerializer.serializeRequest(spans) ?? bytes(''), 'protobuf')
  expect([...spansOf(protobuf)]).toHaveLength(2)
  expect(meaning(protobuf)).toEqual(meaning(json))
})

test('Encoding to protobuf and back changes nothing, up to the last bit of 64', () => {
  const request = sampleRequest([
    sampleSpan('00f067aa0ba902b7', {
      parentSpanId: 'b7ad6b7169203331',
      traceState: 'ot=th:fd70a4',
      flags: 3,
      startTimeUnixNano: '18446744073709551615',
      attributes: [
        { key: 'i', value: { intValue: '-9223372036854775808' } },
        { key: 'zero', value: { intValue: '0' } },
        { key: 'bytes', value: { bytesValue: 'AAEC' } },
        { key: 'map', value: { kvlistValue: { values: [{ key: 'k', value: { boolValue: true } }] } } },
      ],
      status: { code: 2 },
    }),
  ])
  expect(decode(encode(request, 'protobuf'), 'protobuf')).toEqual(request)
})

test('JSON may have ids in upper case, times as numbers, and fields nobody knows', () => {
  const span = { traceId: TRACE_ID.toUpperCase(), spanId: '00F067AA0BA902B7', startTimeUnixNano: 1.7e18, newField: [1] }
  const [decoded] = spansOf(decode(bytes({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }), 'json'))
  expect(decoded).toMatchObject({ traceId: TRACE_ID, spanId: '00f067aa0ba902b7' })
  expect(decoded?.startTimeUnixNano).toBe('1700000000000000000')
})

test.each([
  ['text', 'not json'],
  ['a list', '[]'],
  ['null', 'null'],
  ['resourceSpans that is no list', '{"resourceSpans":{}}'],
  ['a span that is no object', '{"resourceSpans":[{"scopeSpans":[{"spans":[1]}]}]}'],
  ['a time that is no number', '{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"soon"}]}]}]}'],
])('%s is not decodable as JSON', (_, body) => {
  expect(() => decode(bytes(body), 'json')).toThrow(expect.objectContaining({ name: 'Undecodable' }))
})

test('Truncated or endlessly nested protobuf is not decodable, and does not overflow the stack', () => {
  const whole = encode(sampleRequest([sampleSpan('00f067aa0ba902b7')]), 'protobuf')
  expect(() => decode(whole.subarray(0, -3), 'protobuf')).toThrow(expect.objectContaining({ name: 'Undecodable' }))
  let nested = Buffer.alloc(0)
  const wrap = (tag: number, body: Buffer) => {
    const length: number[] = []
    for (let rest = body.length; ; rest >>>= 7) {
      length.push(rest > 127 ? (rest & 127) | 128 : rest)
      if (rest <= 127) break
    }
    return Buffer.concat([Buffer.from([tag, ...length]), body])
  }
  for (let depth = 0; depth < 5_000; depth++) nested = wrap(0x0a, wrap(0x2a, nested)) // values[0] of arrayValue
  const attribute = wrap(0x4a, wrap(0x12, wrap(0x2a, nested)))
  const request = wrap(0x0a, wrap(0x12, wrap(0x12, attribute)))
  expect(() => decode(request, 'protobuf')).toThrow(expect.objectContaining({ name: 'Undecodable' }))
})

test('An empty request decodes to no spans', () => {
  const empty: TracesData = { resourceSpans: [] }
  expect(decode(bytes(''), 'protobuf')).toEqual(empty)
  expect(decode(bytes('{}'), 'json')).toEqual(empty)
})

test('Null is another way to leave a JSON field out, wherever it stands', () => {
  const span = {
    traceId: TRACE_ID,
    spanId: '00f067aa0ba902b7',
    parentSpanId: null,
    events: null,
    endTimeUnixNano: null,
  }
  const request = {
    resourceSpans: [{ resource: null, scopeSpans: null }, { scopeSpans: [{ spans: null }, { spans: [span] }] }],
  }
  expect([...spansOf(decode(bytes(request), 'json'))]).toEqual([
    { traceId: TRACE_ID, spanId: '00f067aa0ba902b7', parentSpanId: '' },
  ])
  expect(decode(bytes({ resourceSpans: null }), 'json')).toEqual({ resourceSpans: [] })
})
