/**
 * What the scanners must agree with, for their tests: bodies decoded whole, and the closed list applied to objects. Slow,
 * and written without a look at how the scanners do it.
 */
import protobuf from 'protobufjs'
import * as names from '../../names.ts'
import { type AnyValue, type Encoding, type KeyValue, RequestType, type TracesData } from '../otlp.ts'
import { probe } from './probe.ts'
import type { TraceFacts } from './trace-list.ts'

type Message = Record<string, unknown>

const LISTED = new Set<string>(
  Object.entries(names).flatMap(([constant, name]) => (/^(ATTR|RESOURCE)_/.test(constant) ? [name] : [])),
)

/**
 * Reads protobuf by its specification, by the definition in otlp.proto: what protobufjs does otherwise (it forgets the
 * first of two of a message, takes texts that are no UTF-8, and lets any wire type stand for any field) is done here
 * as specified. Throws for what no reader should take.
 */
function decodeStrictly(body: Uint8Array): Message {
  const at = { pos: 0 }
  return read(RequestType, body, at, body.length, {}, 0)
}

function read(type: protobuf.Type, body: Uint8Array, at: { pos: number }, end: number, into: Message, depth: number) {
  if (depth > 100) throw new Error('too deep')
  while (at.pos < end) {
    const tag = varintAt(body, at, end, 'short')
    const number = tag >> 3n
    const wireType = Number(tag & 7n)
    if (number === 0n || tag > 0xffffffffn) throw new Error('field number')
    const field = type.fieldsById[Number(number)]
    if (!field) {
      skip(body, at, end, wireType)
      continue
    }
    field.resolve()
    const inner = field.resolvedType
    const basic = inner instanceof protobuf.Enum ? 0 : protobuf.types.basic[field.type as 'int32']
    if (wireType !== (inner instanceof protobuf.Type ? 2 : basic)) throw new Error('wire type')
    if (inner instanceof protobuf.Type) {
      const to = lengthAt(body, at, end)
      const before = field.repeated ? {} : ((into[field.name] as Message | undefined) ?? {})
      set(into, field, read(inner, body, at, to, before, depth + 1))
    } else set(into, field, scalar(field, inner instanceof protobuf.Enum ? 'int32' : field.type, body, at, end))
  }
  return into
}

function set(into: Message, field: protobuf.Field, value: unknown) {
  if (!field.repeated) {
    for (const other of field.partOf?.oneof ?? []) if (other !== field.name) delete into[other]
    into[field.name] = value
    return
  }
  into[field.name] ??= []
  ;(into[field.name] as unknown[]).push(value)
}

function scalar(_field: protobuf.Field, type: string, body: Uint8Array, at: { pos: number }, end: number): unknown {
  if (type === 'string' || type === 'bytes') {
    const to = lengthAt(body, at, end)
    const bytes = body.subarray(at.pos, to)
    at.pos = to
    return type === 'bytes'
      ? Buffer.from(bytes).toString('hex')
      : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  }
  if (type === 'fixed64' || type === 'double' || type === 'fixed32') {
    const size = type === 'fixed32' ? 4 : 8
    if (at.pos + size > end) throw new Error('cut off')
    at.pos += size
    return Buffer.from(body.subarray(at.pos - size, at.pos)).toString('hex')
  }
  const value = varintAt(body, at, end, type === 'int64' ? 'any' : 'short or negative')
  return type === 'bool'
    ? value !== 0n
    : type === 'int64'
      ? String(BigInt.asIntN(64, value))
      : Number(BigInt.asIntN(32, value))
}

function skip(body: Uint8Array, at: { pos: number }, end: number, wireType: number) {
  if (wireType === 0) varintAt(body, at, end)
  else if (wireType === 2) at.pos = lengthAt(body, at, end)
  else if (wireType === 1 || wireType === 5) at.pos += wireType === 1 ? 8 : 4
  else throw new Error('group')
  if (at.pos > end) throw new Error('cut off')
}

function lengthAt(body: Uint8Array, at: { pos: number }, end: number): number {
  const length = varintAt(body, at, end, 'short')
  if (length > BigInt(end - at.pos)) throw new Error('too long')
  return at.pos + Number(length)
}

/** Which sizes a number may have: five bytes hold 32 bits, and a negative one has all ten. */
type Sizes = 'any' | 'short' | 'short or negative'

function varintAt(body: Uint8Array, at: { pos: number }, end: number, sizes: Sizes = 'any'): bigint {
  let value = 0n
  for (let size = 1; size <= 10; size += 1) {
    if (at.pos >= end) throw new Error('cut off')
    const byte = BigInt(body[at.pos] as number)
    at.pos += 1
    value |= (byte & 0x7fn) << BigInt(7 * (size - 1))
    if (byte >= 0x80n) continue
    if (size > 5 && (sizes === 'short' || (sizes === 'short or negative' && size < 10))) throw new Error('varint')
    return value
  }
  throw new Error('varint')
}

/**
 * Reads JSON by the same definition: members that are no fields are left out, and a value of another kind than its
 * field's is thrown. IDs stay as they are.
 */
function parseStrictly(body: Uint8Array): Message {
  const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  return checked(RequestType, value)
}

function checked(type: protobuf.Type, value: unknown): Message {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object')
  const message: Message = {}
  for (const [name, item] of Object.entries(value)) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name]?.resolve() : undefined
    if (!field) continue
    if (item === null) message[name] = null
    else if (!field.repeated) message[name] = checkedItem(field, item)
    else if (!Array.isArray(item)) throw new Error('no list')
    else message[name] = item.map((inner) => checkedItem(field, inner))
  }
  return message
}

function checkedItem(field: protobuf.Field, value: unknown): unknown {
  const ok = (test: boolean) => {
    if (!test) throw new Error(`no ${field.type}: ${field.name}`)
    return value
  }
  if (field.resolvedType instanceof protobuf.Type) return checked(field.resolvedType, value)
  if (field.resolvedType) return ok(Number.isInteger(value))
  if (/Id$/.test(field.name)) return value
  const digits = typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined
  if (field.type === 'bool') return ok(typeof value === 'boolean')
  if (field.type === 'string' || field.type === 'bytes') return ok(typeof value === 'string')
  if (field.type === 'double') {
    const named = value === 'NaN' || value === 'Infinity' || value === '-Infinity'
    const text = typeof value === 'string' && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value)
    return ok(named || ((text || typeof value === 'number') && Number.isFinite(Number(value))))
  }
  if (field.type === 'fixed64') {
    if (typeof value === 'string') return ok(digits !== undefined && !value.startsWith('-') && digits < 2n ** 64n)
    return ok(Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 64)
  }
  return ok(Number.isInteger(value) || (digits !== undefined && digits >= -(2n ** 63n) && digits < 2n ** 64n))
}

type Loose = {
  resourceSpans?: {
    resource?: { attributes?: KeyValue[]; entityRefs?: unknown }
    schemaUrl?: string
    scopeSpans?: {
      scope?: { name?: string; version?: string; attributes?: KeyValue[] }
      schemaUrl?: string
      spans?: Loose[]
    }[]
  }[]
  name?: string
  attributes?: KeyValue[]
  events?: { name?: string; attributes?: KeyValue[] }[]
  links?: { traceId?: unknown; spanId?: unknown; attributes?: KeyValue[] }[]
  status?: { code?: number; message?: string }
  traceId?: unknown
  spanId?: unknown
  parentSpanId?: unknown
}

const NAMES = new Set(
  Object.entries(names).flatMap(([key, name]) => (/^(SPAN|RPC)_/.test(key) ? [name as string] : [])),
)
const EVENTS = new Set(Object.entries(names).flatMap(([key, name]) => (/^EVENT_/.test(key) ? [name as string] : [])))
const METHOD = /^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|QUERY|HTTP)( \/[\w./{}:*-]{0,127})?$/
const IDS = /^(session\.id|gen_ai\.response\.id|app\.installation\.id|service\.instance\.id)$/

/** Applies the closed list to what {@link decodeStrictly} or {@link parseStrictly} has read, in place. */
export function scrubbed(request: Message): { request: Message; facts: Map<string, TraceFacts>; rejected: number } {
  const facts = new Map<string, TraceFacts>()
  let rejected = 0
  const text = (value: string, isId = false) => probe(value, isId)?.value ?? value
  const texts = (item: Record<string, unknown> | null | undefined, ...keys: string[]) => {
    for (const key of keys) if (typeof item?.[key] === 'string') item[key] = text(item[key])
  }
  const attributes = (item: { attributes?: KeyValue[] } | null | undefined) => {
    if (item?.attributes) item.attributes = keyValues(item.attributes)
  }
  const keyValues = (list: KeyValue[]) => {
    const kept = list.filter(({ key }) => LISTED.has(key))
    for (const attribute of kept) value(attribute.value, IDS.test(attribute.key))
    return kept
  }
  const value = (item: AnyValue | null | undefined, isId: boolean): void => {
    if (typeof item?.stringValue === 'string') item.stringValue = text(item.stringValue, isId)
    if (typeof item?.bytesValue === 'string') item.bytesValue = ''
    for (const inner of item?.arrayValue?.values ?? []) value(inner, isId)
    if (item?.kvlistValue?.values) item.kvlistValue.values = keyValues(item.kvlistValue.values)
  }
  for (const resourceSpans of (request as Loose).resourceSpans ?? []) {
    attributes(resourceSpans.resource)
    delete resourceSpans.resource?.entityRefs
    texts(resourceSpans, 'schemaUrl')
    for (const scopeSpans of resourceSpans.scopeSpans ?? []) {
      attributes(scopeSpans.scope)
      texts(scopeSpans.scope, 'name', 'version')
      texts(scopeSpans, 'schemaUrl')
      if (!scopeSpans.spans) continue
      scopeSpans.spans = scopeSpans.spans.filter((span) => {
        const traceId = idOf(span.traceId)
        const valid =
          isId(span.traceId, 32) &&
          isId(span.spanId, 16) &&
          (isAbsent(span.parentSpanId) || /^[0-9a-f]{16}$/.test(idOf(span.parentSpanId)))
        if (!valid) {
          rejected += 1
          return false
        }
        const before = facts.get(traceId) ?? { spans: 0, error: false }
        facts.set(traceId, { spans: before.spans + 1, error: before.error || span.status?.code === 2 })
        return true
      })
      for (const span of scopeSpans.spans) {
        const { name } = span
        if (
          name &&
          !NAMES.has(name) &&
          !((METHOD.test(name) || /^chat [\w.:/@-]{1,127}$/.test(name)) && !probe(name, false))
        )
          span.name = 'other'
        attributes(span)
        if (span.events) span.events = span.events.filter((event) => EVENTS.has(event.name ?? ''))
        for (const event of span.events ?? []) attributes(event)
        if (span.links) span.links = span.links.filter((link) => isWhole(link.traceId, 32) && isWhole(link.spanId, 16))
        for (const link of span.links ?? []) attributes(link)
        delete span.status?.message
      }
    }
  }
  return { request, facts, rejected }
}

const idOf = (id: unknown) => (typeof id === 'string' ? id.toLowerCase() : '-')
const isAbsent = (id: unknown) => id === undefined || id === null || id === ''
const isId = (id: unknown, digits: number) => isWhole(id, digits) && !isAbsent(id) && !/^0*$/.test(idOf(id))
const isWhole = (id: unknown, digits: number) => isAbsent(id) || new RegExp(`^[0-9a-f]{${digits}}$`).test(idOf(id))

/** Only the spans of wanted traces, as the scanners slice. */
export function filtered(data: TracesData, wanted: (traceId: string) => boolean): TracesData {
  const resourceSpans = data.resourceSpans.flatMap((resource) => {
    const scopeSpans = (resource.scopeSpans ?? []).flatMap((scope) => {
      const spans = (scope.spans ?? []).filter(({ traceId }) => /^[0-9a-f]{32}$/.test(traceId) && wanted(traceId))
      return spans.length > 0 ? [{ ...scope, spans }] : []
    })
    return scopeSpans.length > 0 ? [{ ...resource, scopeSpans }] : []
  })
  return { ...data, resourceSpans }
}

/** How a body reads by the specification. */
export function readStrictly(body: Uint8Array, encoding: Encoding): Message {
  return encoding === 'json' ? parseStrictly(body) : decodeStrictly(body)
}
