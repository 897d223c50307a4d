/**
 * Bodies for the scanners' tests, right and wrong in every way, chosen by a tape of bytes: the same tape makes the same
 * body, a shorter one a simpler body, and an empty one nearly nothing, which is what shrinking needs.
 */
import protobuf from 'protobufjs'
import {
  ATTR_GEN_AI_RESPONSE_ID,
  ATTR_HTTP_ROUTE,
  ATTR_SESSION_ID,
  ATTR_STAGE,
  ATTR_URL_FULL,
  EVENT_EXCEPTION,
  EVENT_WORKER_RESUMED,
  RESOURCE_SERVICE_NAME,
  SPAN_LLM,
  SPAN_RUN,
} from '../../names.ts'
import { type Encoding, RequestType } from '../otlp.ts'

class Tape {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** A choice of so many (at most 256); the first when the tape is at its end. */
  choice(count: number): number {
    const byte = this.#bytes[this.#at] ?? 0
    this.#at += 1
    return byte % count
  }

  oneIn(count: number): boolean {
    return this.choice(count) === count - 1
  }

  of<T>(items: readonly T[]): T {
    return items[this.choice(items.length)] as T
  }
}

const TRACE_IDS = [
  '4bf92f3577b34da6a3ce929d0e0e4736',
  '0af7651916cd43dd8448eb211c80319c',
  '00000000000000000000000000000001',
]
const SPAN_IDS = ['00f067aa0ba902b7', 'b7ad6b7169203331', '0000000000000001']
const NO_IDS = ['', '0'.repeat(32), '0'.repeat(16), 'abcd', '4bf92f3577b34da6', `${TRACE_IDS[0]}00`]
const KEYS = [
  ATTR_HTTP_ROUTE,
  ATTR_URL_FULL,
  ATTR_SESSION_ID,
  ATTR_GEN_AI_RESPONSE_ID,
  RESOURCE_SERVICE_NAME,
  ATTR_STAGE,
  'user.email',
  'x',
  '',
  'http.rout\u0117',
]
const TEXTS = [
  'GET',
  SPAN_LLM,
  '127.0.0.1',
  '3f2a9c1e-8b7d-4c6a-9e5f-1a2b3c4d5e6f',
  'ada@example.org',
  'http://a.example/b?c=d#e',
  '+49 170 1234567',
  '4111 1111 1111 1111',
  `sk-${'a1B2'.repeat(8)}`,
  `Bearer ${'a1b2c3d4'.repeat(2)}`,
  'J\u00fcrgen',
  '"\\\n',
  '\ud83d\ude00',
  '',
  '[redacted:email]',
  'A1b2C3d4'.repeat(5),
]
const SPAN_NAMES = [
  SPAN_RUN,
  'GET',
  'GET /runs/{id}',
  'chat gpt-5',
  'Ada Lovelace',
  'other',
  '',
  'GET /+491701234567',
  EVENT_EXCEPTION,
  EVENT_WORKER_RESUMED,
]
const STATES = ['', 'ot=th:fd70a4', 'passats=p:00f067aa0ba902b7,ot=th:0;rv:1', 'a=b']

function textFor(name: string, tape: Tape): string {
  if (name === 'key') return tape.of(KEYS)
  if (name === 'name') return tape.of(SPAN_NAMES)
  if (name === 'traceState') return tape.of(STATES)
  return tape.of(TEXTS)
}

function idFor(name: string, tape: Tape): string {
  if (tape.oneIn(12)) return tape.of(NO_IDS)
  return name === 'traceId' ? tape.of(TRACE_IDS) : tape.of(SPAN_IDS)
}

/** The fields that a message gets: in order or not, some twice, of lists several. */
function fieldsFor(type: protobuf.Type, depth: number, tape: Tape): protobuf.Field[] {
  const all = type.fieldsArray
  if (type.name === 'AnyValue') {
    const flat = depth > 9 ? all.slice(0, 4) : all
    return Array.from({ length: tape.oneIn(16) ? 2 : 1 }, () => tape.of(flat))
  }
  const chosen = all.flatMap((field) => {
    const isFrame = /^(resourceSpans|scopeSpans|spans|traceId|spanId|key|value)$/.test(field.name)
    if (isFrame ? tape.oneIn(24) : !tape.oneIn(3)) return []
    return Array(field.repeated ? 1 + tape.choice(3) : 1).fill(field)
  })
  if (chosen.length > 1 && tape.oneIn(8)) chosen.push(tape.of(chosen))
  if (chosen.length > 1 && tape.oneIn(4)) chosen.reverse()
  return chosen
}

/** A body, and after that a few bytes of it changed, taken out, put in or cut off. */
export function bodyFrom(bytes: Uint8Array, encoding: Encoding): Uint8Array {
  const tape = new Tape(bytes)
  const damage = tape.choice(4) === 3 ? 1 + tape.choice(3) : 0
  let body: Uint8Array = encoding === 'json' ? Buffer.from(jsonText(tape)) : protobufBytes(RequestType, 0, tape)
  for (let count = 0; count < damage; count += 1) body = damaged(body, encoding, tape)
  return body
}

function damaged(body: Uint8Array, encoding: Encoding, tape: Tape): Uint8Array {
  const at = (tape.choice(256) * 256 + tape.choice(256)) % (body.length + 1)
  const inserted =
    encoding === 'json'
      ? Buffer.from(
          tape.of(['"', '\\', '{', '}', ']', '[', ',', ':', '0', '-', '\n', '\0', 'null', ' ', '\u00ff', '1e9', 'u00']),
          'latin1',
        )
      : Uint8Array.of(tape.choice(256))
  const rest = tape.of([at, at + 1, at + inserted.length, at + 1 + tape.choice(16), body.length])
  return Buffer.concat([body.subarray(0, at), tape.oneIn(3) ? Buffer.alloc(0) : inserted, body.subarray(rest)])
}

function protobufBytes(type: protobuf.Type, depth: number, tape: Tape): Uint8Array {
  const parts: Uint8Array[] = []
  for (const field of fieldsFor(type, depth, tape)) {
    field.resolve()
    if (tape.oneIn(200)) parts.push(odd(field, tape))
    const inner = field.resolvedType
    if (inner instanceof protobuf.Type)
      parts.push(tag(field, 2, tape), sized(protobufBytes(inner, depth + 1, tape), tape))
    else if (field.type === 'string') parts.push(tag(field, 2, tape), sized(stringBytes(field.name, tape), tape))
    else if (field.type === 'bytes') {
      const bytes = /Id$/.test(field.name) ? Buffer.from(idFor(field.name, tape), 'hex') : Buffer.from(tape.of(TEXTS))
      parts.push(tag(field, 2, tape), sized(bytes, tape))
    } else if (/^(fixed64|double)$/.test(field.type)) parts.push(tag(field, 1, tape), Buffer.alloc(8, tape.choice(256)))
    else if (field.type === 'fixed32') parts.push(tag(field, 5, tape), Buffer.alloc(4, tape.choice(256)))
    else parts.push(tag(field, 0, tape), varint(tape.of([0n, 1n, 2n, 3n, 300n, 2n ** 32n + 2n, 2n ** 64n - 1n]), tape))
  }
  return Buffer.concat(parts)
}

function stringBytes(name: string, tape: Tape): Uint8Array {
  return tape.oneIn(100) ? Uint8Array.of(0x61, 0xff, 0xc0) : Buffer.from(textFor(name, tape))
}

/** A field that is unknown, too large, a group, of another wire type, packed, or no field at all. */
function odd(field: protobuf.Field, tape: Tape): Uint8Array {
  const rest = Buffer.from([tape.of([0, 1, 2, 8, 0xff]), 1, 0, 0, 0, 0, 0, 0].slice(0, 1 + tape.choice(8)))
  const number = BigInt(tape.of([17, 31, 32, 100, 2 ** 29 - 1, 2 ** 29, 2 ** 32, 0, field.id, field.id + 32]))
  return Buffer.concat([varint((number << 3n) | BigInt(tape.choice(8)), tape), rest])
}

function tag(field: protobuf.Field, wireType: number, tape: Tape): Uint8Array {
  return varint(BigInt(field.id * 8 + wireType), tape)
}

function sized(bytes: Uint8Array, tape: Tape): Uint8Array {
  return Buffer.concat([varint(BigInt(bytes.length), tape), bytes])
}

/** Sometimes with more bytes than needed, which is allowed. */
function varint(value: bigint, tape: Tape): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; bytes.length === 0 || rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn))
  if (tape.oneIn(120)) bytes.push(...Array(tape.choice(11 - bytes.length + 1)).fill(0))
  return Uint8Array.from(bytes, (byte, index) => (index < bytes.length - 1 ? byte | 0x80 : byte))
}

function jsonText(tape: Tape): string {
  return `${tape.oneIn(40) ? '\ufeff' : ''}${space(tape)}${object(RequestType, 0, tape)}${space(tape)}`
}

const space = (tape: Tape) => (tape.oneIn(16) ? tape.of([' ', '\n', '\t \r']) : '')

function object(type: protobuf.Type, depth: number, tape: Tape): string {
  const members = new Map<string, protobuf.Field[]>()
  const texts: string[] = []
  for (const field of fieldsFor(type, depth, tape)) {
    if (!field.repeated) texts.push(member(field.name, single(field, depth, tape), tape))
    else members.set(field.name, [...(members.get(field.name) ?? []), field])
  }
  for (const [name, fields] of members) {
    const items = fields.map((field) => space(tape) + single(field, depth, tape) + space(tape))
    texts.push(member(name, tape.oneIn(100) ? 'null' : `[${items.join(',')}]`, tape))
  }
  if (tape.oneIn(100))
    texts.push(member(tape.of(['trace_id', 'other', 'attributes', '__proto__', 'name', 'spans']), wrong(tape), tape))
  if (texts.length > 1 && tape.oneIn(40)) texts.push(tape.of(texts))
  return `{${space(tape)}${texts.join(`,${space(tape)}`)}}`
}

function member(name: string, value: string, tape: Tape): string {
  const key = tape.oneIn(100) ? `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}"` : `"${name}"`
  return `${key}${space(tape)}:${space(tape)}${value}`
}

function wrong(tape: Tape): string {
  return tape.of([
    'null',
    '[]',
    '{}',
    '"a"',
    '5',
    'true',
    '-1',
    '1.5',
    '[null]',
    '[[1]]',
    '{"a":{"b":[1,{}]}}',
    '1e400',
    '"\\ud800"',
  ])
}

function single(given: protobuf.Field, depth: number, tape: Tape): string {
  const field = given.resolve()
  if (tape.oneIn(200)) return wrong(tape)
  const { resolvedType: inner, type, name } = field
  if (inner instanceof protobuf.Type) return object(inner, depth + 1, tape)
  if (inner) return tape.of(['0', '1', '2', '2.0', '20e-1', '-0', '3'])
  if (/Id$/.test(name)) return quoted(tape.oneIn(4) ? idFor(name, tape).toUpperCase() : idFor(name, tape), tape)
  if (type === 'bytes') return tape.of(['"AAEC"', '""'])
  if (type === 'string') return quoted(textFor(name, tape), tape)
  if (type === 'bool') return tape.of(['true', 'false'])
  if (type === 'double') return tape.of(['1.5', '-0.0', '1E+9', '"NaN"', '"-Infinity"', '"1.5"', '1e400', '"x"'])
  if (type === 'fixed64')
    return tape.of([
      '"1767225600000000000"',
      '1767225600000000000',
      '1.7e18',
      '"18446744073709551615"',
      '0',
      '-0',
      '"0"',
      '"18446744073709551616"',
      '"-1"',
      '-1',
      '1.5',
      '""',
      '18446744073709551616',
      '"00000000000000000001"',
      '"\\u0031"',
    ])
  return tape.of([
    '0',
    '1',
    '"1"',
    '-5',
    '"-5"',
    '"9223372036854775807"',
    '1e3',
    '0.5',
    '"1e3"',
    '"99999999999999999999"',
    '"-9223372036854775809"',
    '1e400',
  ])
}

function quoted(text: string, tape: Tape): string {
  const json = JSON.stringify(text)
  if (text === '' || !tape.oneIn(24)) return json
  return `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`
}
