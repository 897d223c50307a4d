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
import { meterOf } from './access/access.ts'
import { BodyTooLarge, readBounded } from './bounded-body.ts'
import { INSTANCE_HEADER } from './forward/destination.ts'
import type { Log } from './log.ts'
import { CONTENT_TYPES, type Encoding, encodeResponse, encodeStatus, encodingOf, Undecodable } from './otlp.ts'
import { createPlaces, createRoom } from './room.ts'
import { scan } from './scan/scan.ts'
import type { Scrubbed } from './scan/scrubber.ts'
import type { Store } from './store/store.ts'
import { StoreUnavailable } from './store/writer-thread.ts'

/** Largest accepted request after decompression: the limit that the specification recommends, 20 MiB. */
export const MAX_BODY_BYTES = 20 * 1024 * 1024
/** Bytes of all requests that are arriving or being stored: six of the largest, or very many as they usually are. */
const MAX_ARRIVING_BYTES = 128 * 1024 * 1024
/** Larger requests, after decompression, are read one after another: each takes its time, and its memory twice. */
const LARGE_BYTES = 1024 * 1024
/** Of the others so many, since a few bytes of gzip can be a megabyte each. More of them than one transaction takes. */
const MAX_SMALL_AT_ONCE = 64
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
  /** What must not be kept and was taken out, if anything was. */
  scrubbed: Scrubbed | undefined
}
/**
 * Keeps a request's spans. Resolves when they are on disk. Throws Undecodable, BodyTooLarge or StoreUnavailable; then
 * nothing was kept.
 */
export type Accept = (body: IncomingBody, charge?: Charge) => Promise<Accepted>
/** Told how many spans there are before any is kept; may throw, and then none is. */
export type Charge = (spans: number) => void

/** Makes the one way in; `onStored` is called after every request that was kept. */
export function createAccept(store: Store, onStored: () => void): Accept {
  const inPlace = createPlaces(MAX_SMALL_AT_ONCE)
  const inTurn = createTurns()

  async function keep(body: IncomingBody, inflated: Uint8Array, charge?: Charge): Promise<Accepted> {
    const { bytes, encoding, gzipped } = body
    const { traces, spans, rejected, body: clean, scrubbed } = scan(inflated, encoding)
    charge?.(spans + rejected)
    if (traces.size > 0) {
      // As received when nothing had to go, so that what is forwarded is what was sent, byte for byte.
      const stored = clean !== inflated ? await gzip(clean) : gzipped ? bytes : await gzip(bytes)
      await store.append({ encoding, body: stored, traces })
      onStored()
    }
    return {
      rejected,
      reason: rejected > 0 ? 'Spans need a trace ID of 16 bytes and span IDs of 8, not all zero.' : '',
      scrubbed,
    }
  }

  return async (body, charge) => {
    const accepted = await inPlace(async () => {
      // Tried, not looked up: the length in gzip's trailer is the sender's word.
      const small = await inflate(body, LARGE_BYTES)
      return small && keep(body, small, charge)
    })
    if (accepted) return accepted
    return inTurn(async () => {
      const large = await inflate(body, MAX_BODY_BYTES)
      if (!large) throw new BodyTooLarge(`More than ${MAX_BODY_BYTES} bytes.`)
      return keep(body, large, charge)
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

/** The OTLP/HTTP receiver. `instanceId` is what this relay's own forwarder sends along. */
export function createIngest(accept: Accept, log: Log, instanceId: string): Hono {
  const ingest = new Hono()
  const enter = createRoom(MAX_ARRIVING_BYTES)

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
    const share = enter()
    try {
      const bytes = await readBounded(c.req.raw, MAX_BODY_BYTES, share.take)
      const meter = meterOf(c)
      meter?.bytes(bytes.length)
      const { rejected, reason, scrubbed } = await accept(
        { bytes, encoding, gzipped: compression === 'gzip' },
        meter?.spans,
      )
      if (rejected > 0) log.warn({ rejected_spans: rejected }, 'spans refused')
      if (scrubbed) log.warn({ scrubbed }, 'not listed, taken out')
      return c.body(encodeResponse(rejected, reason, encoding), 200, { 'content-type': CONTENT_TYPES[encoding] })
    } catch (error) {
      if (error instanceof BodyTooLarge) return refuse(c, 413, RESOURCE_EXHAUSTED, error.message, encoding)
      if (error instanceof Undecodable) return refuse(c, 400, INVALID_ARGUMENT, error.message, encoding)
      if (c.req.raw.signal.aborted) return refuse(c, 400, INVALID_ARGUMENT, 'The body ended early.', encoding)
      if (!(error instanceof StoreUnavailable)) throw error
      log.error({ err: error.cause ?? error }, 'spans not stored')
      c.header('retry-after', String(RETRY_AFTER_S))
      return refuse(c, 503, UNAVAILABLE, 'Try again later.', encoding)
    } finally {
      share.leave()
    }
  })

  ingest.all('/v1/traces', (c) => {
    c.header('allow', 'POST, OPTIONS')
    return refuse(c, 405, UNIMPLEMENTED, 'Use POST.', encodingOf(c.req.header('content-type')) ?? 'json')
  })
  return ingest
}

function refuse(c: Context, status: 400 | 405 | 413 | 415 | 503, code: number, message: string, encoding: Encoding) {
  return c.body(encodeStatus(code, message, encoding), status, { 'content-type': CONTENT_TYPES[encoding] })
}
