import { expect, test } from 'vitest'
import { encode } from './otlp.ts'
import { sampleRequest, sampleSpan, text } from './sample-run.ts'
import { weigh } from './weight.ts'

const REQUEST = sampleRequest([
  sampleSpan('00f067aa0ba902b7', {
    attributes: [text('a', 'b'), { key: 'l', value: { arrayValue: { values: [{ intValue: '1' }] } } }],
    status: { code: 2, message: 'm' },
  }),
])
const undecodable = expect.objectContaining({ name: 'Undecodable' })

test('In JSON objects, lists and further items are counted', () => {
  expect(weigh(Buffer.from('{}'), 'json')).toBe(1)
  expect(weigh(Buffer.from('{"a":[{},{}],"b":1}'), 'json')).toBe(6)
})

test('In protobuf the fields of every message are counted', () => {
  // resource_spans(resource(attribute(key, value(string))), scope_spans(span(7 fields, 2 attributes, status)))
  const bare = weigh(encode(sampleRequest([sampleSpan('00f067aa0ba902b7')]), 'protobuf'), 'protobuf')
  // Two times attribute, key, value and what is in it; in the list one more twice; the status and its two fields.
  expect(weigh(encode(REQUEST, 'protobuf'), 'protobuf')).toBe(bare + 4 + 4 + 2 + 3)
})

test.each(['json', 'protobuf'] as const)(
  'Over the limit a body in %s is too large, at the limit it is not',
  (encoding) => {
    const body = encode(REQUEST, encoding)
    const marks = weigh(body, encoding)
    expect(weigh(body, encoding, marks)).toBe(marks)
    expect(() => weigh(body, encoding, marks - 1)).toThrow(expect.objectContaining({ name: 'BodyTooLarge' }))
  },
)

test.each([
  // The decoder reads field 1 as a message whatever its wire type says; skipped as a number it would hide all of this.
  ['a wire type that is not the field’s', [0x08, 0x04, 0x12, 0x00, 0x12, 0x00]],
  ['a field that ends after what it is in', [0x0a, 0x02, 0x12, 0x04, 0x12, 0x00, 0x12, 0x00]],
  ['a field cut off', [0x0a, 0x7f]],
  ['a group that nobody opened', [0x0c]],
])('%s is not decodable', (_, bytes) => {
  expect(() => weigh(Uint8Array.from(bytes), 'protobuf')).toThrow(undecodable)
})
