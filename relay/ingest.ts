/**
 * Spans in: POST /v1/traces, and the relay's own.
 *
 * The duties are those of opentelemetry-proto `docs/specification.md`, "OTLP/HTTP": answers in the encoding of the
 * request, errors as `google.rpc.Status`, limits on what comes out of decompression, `partial_success` for what was
 * refused for good, and a success only when nothing of it can be lost any more.
 */
import { promisify } from 'node:util'
import { type InputType, gunzip as zlibGunzip, gzip as zlibGzip } from 'node:zlib'
import { type Context, Hono } from 'hono'
import { BodyTooLarge, readBounded } from './bounded-body.ts'
import { INSTANCE_HEADER } from './forward/destination.ts'
import type { Log } from './log.ts'
import {
  CONTENT_TYPES,
  decode,
  type Encoding,
  encode,
  encodeResponse,
  encodeStatus,
  type OtlpSpan,
  spansOf,
  type TracesData,
  Undecodable,
} from './otlp.ts'
import type { TraceInRequest } from './store/journal.ts'
import type { Store } from './store/store.ts'
import { StoreUnavailable } from './store/writer-thread.ts'
import { weigh } from './weight.ts'

/** Largest accepted request after decompression: the limit that the specification recommends, 20 MiB. */
export const MAX_BODY_BYTES = 20 * 1024 * 1024
/** Most resource spans, scope spans and spans of one request. Senders' batches are of 512 to 8,192 spans. */
export const MAX_ELEMENTS = 50_000
/** Larger requests, after decompression, are decoded one after another: what they become is many times their size. */
const LARGE_BYTES = 1024 * 1024
/** Large requests that wait for their turn, each as it came in. */
const MAX_LARGE_WAITING = 8
/** Seconds after which a refused sender may try again. */
export const RETRY_AFTER_S = 5

// gRPC status codes (google/rpc/code.proto).
const INVALID_ARGUMENT = 3
const RESOURCE_EXHAUSTED = 8
const UNIMPLEMENTED = 12
const UNAVAILABLE = 14

const gunzip: (body: InputType, options: { maxOutputLength: number }) => Promise<Buffer> = promisify(zlibGunzip)
const gzip: (body: InputType) => Promise<Buffer> = promisify(zlibGzip)

/** A request body as it came in. */
export interface IncomingBody {
  bytes: Uint8Array
  encoding: Encoding
  gzipped: boolean
}
/** How many of its spans were refused for good, and why; `rejected` is 0 when all were kept. */
export interface Accepted {
  rejected: number
  reason: string
}
/**
 * Keeps a request's spans. Resolves when they are on disk. Throws Undecodable, BodyTooLarge or StoreUnavailable; then
 * nothing was kept.
 */
export type Accept = (body: IncomingBody) => Promise<Accepted>

/** Makes the one way in; `onStored` is called after every request that was kept. */
export function createAccept(store: Store, onStored: () => void): Accept {
  const inTurn = createTurns()

  async function keep({ bytes, encoding, gzipped }: IncomingBody, inflated: Uint8Array): Promise<Accepted> {
    weigh(inflated, encoding)
    const data = decode(inflated, encoding)
    if (countElements(data) > MAX_ELEMENTS) {
      throw new BodyTooLarge(`More than ${MAX_ELEMENTS} resource spans, scope spans and spans.`)
    }
    const rejected = sift(data)
    const traces = tracesIn(data)
    if (traces.size > 0) {
      // As received when nothing was refused: what is looked up is what was sent.
      const kept = rejected > 0 ? encode(data, encoding) : bytes
      const body = gzipped && rejected === 0 ? kept : await gzip(kept)
      await store.append({ encoding, body, traces })
      onStored()
    }
    return {
      rejected,
      reason: rejected > 0 ? 'Spans need a trace ID of 16 bytes and span IDs of 8, not all zero.' : '',
    }
  }

  return async (body) => {
    // Tried, not looked up: the length in gzip's trailer is the sender's word.
    const small = await inflate(body, LARGE_BYTES)
    if (small) return keep(body, small)
    return inTurn(async () => {
      const large = await inflate(body, MAX_BODY_BYTES)
      if (!large) throw new BodyTooLarge(`More than ${MAX_BODY_BYTES} bytes.`)
      return keep(body, large)
    })
  }
}

/** The body after decompression; undefined when that is more than `limit` bytes. */
async function inflate({ bytes, gzipped }: IncomingBody, limit: number): Promise<Uint8Array | undefined> {
  if (!gzipped) return bytes.length <= limit ? bytes : undefined
  try {
    return await gunzip(bytes, { maxOutputLength: limit })
  } catch (cause) {
    if (cause instanceof RangeError) return undefined
    throw new Undecodable('The body is not valid gzip.', { cause })
  }
}

/** One after another. Throws {@link StoreUnavailable} when too many wait already. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve()
  let taken = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (taken > MAX_LARGE_WAITING) throw new StoreUnavailable('Too many large requests are waiting.')
    taken += 1
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn.finally(() => {
      taken -= 1
    })
  }
}

function countElements({ resourceSpans }: TracesData): number {
  let elements = resourceSpans.length
  for (const { scopeSpans = [] } of resourceSpans) {
    elements += scopeSpans.length
    for (const { spans = [] } of scopeSpans) elements += spans.length
  }
  return elements
}

/** Removes spans with invalid ids from `data` and tells how many. */
function sift(data: TracesData): number {
  let rejected = 0
  for (const { scopeSpans = [] } of data.resourceSpans) {
    for (const scope of scopeSpans) {
      const valid = (scope.spans ?? []).filter(hasValidIds)
      rejected += (scope.spans?.length ?? 0) - valid.length
      scope.spans = valid
    }
  }
  return rejected
}

/** The traces that a request has spans of, how many, and whether one of them is an error. */
function tracesIn(data: TracesData): Map<string, TraceInRequest> {
  const traces = new Map<string, TraceInRequest>()
  for (const { traceId, status } of spansOf(data)) {
    const { spans, error } = traces.get(traceId) ?? { spans: 0, error: false }
    traces.set(traceId, { spans: spans + 1, error: error || status?.code === 2 })
  }
  return traces
}

function hasValidIds({ traceId, spanId, parentSpanId }: OtlpSpan): boolean {
  return (
    /^(?!0{32})[0-9a-f]{32}$/.test(traceId) &&
    /^(?!0{16})[0-9a-f]{16}$/.test(spanId) &&
    (!parentSpanId || /^[0-9a-f]{16}$/.test(parentSpanId))
  )
}

/** The OTLP/HTTP receiver. `instanceId` is what this relay's own forwarder sends along. */
export function createIngest(accept: Accept, log: Log, instanceId: string): Hono {
  const ingest = new Hono()

  ingest.post('/v1/traces', async (c) => {
    const encoding = encodingOf(c.req.header('content-type'))
    if (!encoding) return refuse(c, 415, UNIMPLEMENTED, 'Send application/json or application/x-protobuf.', 'json')
    const compression = c.req.header('content-encoding')?.trim().toLowerCase() || 'identity'
    if (compression !== 'identity' && compression !== 'gzip') {
      return refuse(c, 415, UNIMPLEMENTED, 'Send the body as it is, or with gzip.', encoding)
    }
    if (c.req.header(INSTANCE_HEADER) === instanceId) {
      const message = 'This relay is forwarding to itself: its OTLP endpoint leads back to it.'
      return refuse(c, 400, INVALID_ARGUMENT, message, encoding)
    }
    try {
      const bytes = await readBounded(c.req.raw, MAX_BODY_BYTES)
      const { rejected, reason } = await accept({ bytes, encoding, gzipped: compression === 'gzip' })
      if (rejected > 0) log.warn({ rejected_spans: rejected }, 'spans refused')
      return c.body(encodeResponse(rejected, reason, encoding), 200, { 'content-type': CONTENT_TYPES[encoding] })
    } catch (error) {
      if (error instanceof BodyTooLarge) return refuse(c, 413, RESOURCE_EXHAUSTED, error.message, encoding)
      if (error instanceof Undecodable) return refuse(c, 400, INVALID_ARGUMENT, error.message, encoding)
      if (c.req.raw.signal.aborted) return refuse(c, 400, INVALID_ARGUMENT, 'The body ended early.', encoding)
      if (!(error instanceof StoreUnavailable)) throw error
      log.error({ err: error.cause ?? error }, 'spans not stored')
      c.header('retry-after', String(RETRY_AFTER_S))
      return refuse(c, 503, UNAVAILABLE, 'Try again later.', encoding)
    }
  })

  ingest.all('/v1/traces', (c) => {
    c.header('allow', 'POST, OPTIONS')
    return refuse(c, 405, UNIMPLEMENTED, 'Use POST.', encodingOf(c.req.header('content-type')) ?? 'json')
  })
  return ingest
}

function encodingOf(contentType: string | undefined): Encoding | undefined {
  const type = contentType?.split(';')[0]?.trim().toLowerCase()
  if (type === CONTENT_TYPES.json) return 'json'
  if (type === CONTENT_TYPES.protobuf) return 'protobuf'
  return undefined
}

function refuse(c: Context, status: 400 | 405 | 413 | 415 | 503, code: number, message: string, encoding: Encoding) {
  return c.body(encodeStatus(code, message, encoding), status, { 'content-type': CONTENT_TYPES[encoding] })
}
