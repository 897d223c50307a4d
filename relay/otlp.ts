/**
 * OTLP traces as this relay sees them: the JSON shape of the protocol, and the way between it and protobuf.
 *
 * Source: opentelemetry-proto `docs/specification.md`, "JSON Protobuf Encoding": ids are hex of any case, enums are
 * integers, 64-bit numbers are strings or numbers, unknown fields are ignored.
 */
import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'

/** How a body is encoded; the names are also what the store keeps. */
export type Encoding = 'json' | 'protobuf'
/** The content type of an encoding. */
export const CONTENT_TYPES: Record<Encoding, string> = { json: 'application/json', protobuf: 'application/x-protobuf' }

/** The encoding of a content type, with or without parameters; undefined for any other. */
export function encodingOf(contentType: string | undefined): Encoding | undefined {
  const type = contentType?.split(';')[0]?.trim().toLowerCase()
  if (type === CONTENT_TYPES.json) return 'json'
  if (type === CONTENT_TYPES.protobuf) return 'protobuf'
  return undefined
}

/** An attribute's value; 64-bit integers are decimal strings (numbers where a JSON sender sent numbers). */
export interface AnyValue {
  stringValue?: string
  boolValue?: boolean
  intValue?: string | number
  doubleValue?: number | string
  arrayValue?: { values?: AnyValue[] }
  kvlistValue?: { values?: KeyValue[] }
  /** Base64. */
  bytesValue?: string
}
export interface KeyValue {
  key: string
  value?: AnyValue
}
export interface SpanEvent {
  timeUnixNano?: string
  name?: string
  attributes?: KeyValue[]
}
export interface SpanLink {
  traceId: string
  spanId: string
  traceState?: string
  attributes?: KeyValue[]
}
/** A span. Ids are lower-case hex, times decimal strings of nanoseconds since 1970. */
export interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  traceState?: string
  flags?: number
  name?: string
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind?: number
  startTimeUnixNano?: string
  endTimeUnixNano?: string
  attributes?: KeyValue[]
  events?: SpanEvent[]
  links?: SpanLink[]
  /** `code`: 0 unset, 1 ok, 2 error. */
  status?: { code?: number; message?: string }
}
export interface ScopeSpans {
  scope?: { name?: string; version?: string; attributes?: KeyValue[] }
  spans?: OtlpSpan[]
  schemaUrl?: string
}
export interface ResourceSpans {
  resource?: { attributes?: KeyValue[] }
  scopeSpans?: ScopeSpans[]
  schemaUrl?: string
}
/** An export request, and the answer of the look-up. */
export interface TracesData {
  resourceSpans: ResourceSpans[]
}

/** The body is not OTLP. Its message says where, and never quotes the body. */
export class Undecodable extends Error {
  override name = 'Undecodable'
}

// Parsed at start-up, not generated: one readable file is the definition, and no build step can fall behind it.
const { root } = protobuf.parse(readFileSync(new URL('./otlp.proto', import.meta.url), 'utf8'))
/** What an export request is made of. */
export const RequestType = root.resolveAll().lookupType('otlp.ExportTraceServiceRequest')
const Response = root.lookupType('otlp.ExportTraceServiceResponse')
const RpcStatus = root.lookupType('otlp.RpcStatus')

/** Decodes an export request of either encoding. Throws {@link Undecodable}. */
export function decode(body: Uint8Array, encoding: Encoding): TracesData {
  try {
    return encoding === 'json' ? decodeJson(body) : decodeProtobuf(body)
  } catch (cause) {
    if (cause instanceof Undecodable) throw cause
    // Whatever a parser throws (bad wire type, index out of range, too deep) means the same to the sender.
    throw new Undecodable(`The body is not an OTLP trace request in ${encoding}.`, { cause })
  }
}

function decodeProtobuf(body: Uint8Array): TracesData {
  const message = RequestType.toObject(RequestType.decode(body), { longs: String, bytes: String, json: true })
  return normalize(message, (id) => (typeof id === 'string' ? Buffer.from(id, 'base64').toString('hex') : ''))
}

function decodeJson(body: Uint8Array): TracesData {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  return asTraces(JSON.parse(text))
}

/** The same of JSON that is parsed already. Throws {@link Undecodable}. */
export function asTraces(value: unknown): TracesData {
  return normalize(value, (id) => (typeof id === 'string' ? id.toLowerCase() : ''))
}

/** Encodes an export request. Fields that the protocol does not know are left out. */
export function encode(data: TracesData, encoding: Encoding): Uint8Array {
  if (encoding === 'json') return Buffer.from(JSON.stringify(data))
  const base64 = (id: unknown) => (typeof id === 'string' ? Buffer.from(id, 'hex').toString('base64') : '')
  const message = RequestType.fromObject(normalize(structuredClone(data), base64))
  return RequestType.encode(message).finish()
}

/** The answer to an export request: unset partial success when every span was accepted. */
export function encodeResponse(
  rejectedSpans: number,
  errorMessage: string,
  encoding: Encoding,
): Uint8Array<ArrayBuffer> {
  const body = rejectedSpans === 0 ? {} : { partialSuccess: { rejectedSpans: String(rejectedSpans), errorMessage } }
  if (encoding === 'json') return Buffer.from(JSON.stringify(body))
  return Buffer.from(Response.encode(Response.fromObject(body)).finish())
}

/** How many spans an answer says were refused, and why; none when it is no such answer: it was a success all the same. */
export function decodeResponse(body: Uint8Array, encoding: Encoding): { rejected: number; reason: string } {
  try {
    const answer = encoding === 'json' ? JSON.parse(Buffer.from(body).toString()) : Response.decode(body).toJSON()
    const { rejectedSpans, errorMessage } = answer?.partialSuccess ?? {}
    const rejected = Number(rejectedSpans ?? 0)
    return { rejected: Number.isInteger(rejected) ? rejected : 0, reason: String(errorMessage ?? '') }
  } catch {
    return { rejected: 0, reason: '' }
  }
}

/** A `google.rpc.Status`; `code` is a gRPC status code. */
export function encodeStatus(code: number, message: string, encoding: Encoding): Uint8Array<ArrayBuffer> {
  if (encoding === 'json') return Buffer.from(JSON.stringify({ code, message }))
  return Buffer.from(RpcStatus.encode(RpcStatus.create({ code, message })).finish())
}

/** Every span of a request, whichever resource and scope it is under. */
export function* spansOf(data: TracesData): Generator<OtlpSpan> {
  for (const { scopeSpans = [] } of data.resourceSpans) for (const { spans = [] } of scopeSpans) yield* spans
}

type Loose = Record<string, unknown>

/**
 * Checks the frame of a request (lists are lists, spans are objects) and rewrites ids and times in place. It goes no
 * deeper than spans, events and links: attribute values need no rewriting, and recursion into them could be made to
 * overflow the stack.
 */
function normalize(data: unknown, id: (value: unknown) => string): TracesData {
  const request = object(data, 'The body')
  request.resourceSpans = list(request, 'resourceSpans')
  for (const resourceSpans of list(request, 'resourceSpans')) {
    if (resourceSpans.resource) list(object(resourceSpans.resource, 'A resource'), 'attributes')
    for (const scopeSpans of list(resourceSpans, 'scopeSpans')) {
      for (const span of list(scopeSpans, 'spans')) {
        span.traceId = id(span.traceId)
        span.spanId = id(span.spanId)
        if (span.parentSpanId !== undefined) span.parentSpanId = id(span.parentSpanId ?? '')
        nanos(span, 'startTimeUnixNano')
        nanos(span, 'endTimeUnixNano')
        for (const event of list(span, 'events')) nanos(event, 'timeUnixNano')
        for (const link of list(span, 'links')) {
          link.traceId = id(link.traceId)
          link.spanId = id(link.spanId)
        }
        list(span, 'attributes')
      }
    }
  }
  return request as unknown as TracesData
}

function object(value: unknown, what: string): Loose {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Loose
  throw new Undecodable(`${what} is not an object.`)
}

function list(parent: Loose, field: string): Loose[] {
  const value = parent[field]
  if (value === undefined || value === null) {
    delete parent[field] // In JSON, null is another way to leave a field out.
    return []
  }
  if (!Array.isArray(value)) throw new Undecodable(`${field} is not a list.`)
  for (const item of value) object(item, `An item of ${field}`)
  return value
}

function nanos(parent: Loose, field: string): void {
  const value = parent[field]
  if (value === undefined || value === null) {
    delete parent[field]
    return
  }
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw new Undecodable(`${field} is not a 64-bit number.`)
  }
  parent[field] = BigInt(value).toString()
}
