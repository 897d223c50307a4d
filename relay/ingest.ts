/**
 * Spans in: POST /v1/traces, and the relay's own.
 *
 * The duties are those of opentelemetry-proto `docs/specification.md`, "OTLP/HTTP": answers in the encoding of the
 * request, errors as `google.rpc.Status`, limits on what comes out of decompression, `partial_success` for what was
 * refused for good, and a success only when nothing of it can be lost any more.
 */
import { promisify } from 'node:util'
import { gunzipSync, type InputType, gunzip as zlibGunzip, gzip as zlibGzip } from 'node:zlib'
import { Hono } from 'hono'
import { METRICS } from '../metric-names.ts'
import { counter } from '../metrics.ts'
import { type Meter, meterOf } from './access/access.ts'
import { BodyTooLarge, readBounded } from './bounded-body.ts'
import { INSTANCE_HEADER } from './forward/destination.ts'
import { giveBack } from './give-back.ts'
import { chunkSizeOf } from './gzip-trailer.ts'
import type { Log } from './log.ts'
import { CONTENT_TYPES, type Encoding, encodeResponse, encodeStatus, encodingOf, Undecodable } from './otlp.ts'
import { createPlaces, createRoom } from './room.ts'
import { scan } from './scan/scan.ts'
import type { Scrubbed } from './scan/scrubber.ts'
import type { NewRequest } from './store/journal.ts'
import type { Traces } from './store/traces.ts'
import { StoreUnavailable } from './store/writer-thread.ts'

/** Largest accepted request after decompression: the limit that the specification recommends, 20 MiB. */
export const MAX_BODY_BYTES = 20 * 1024 * 1024
/** Bytes of all requests that are arriving or being stored: six of the largest, or very many as they usually are. */
const MAX_ARRIVING_BYTES = 128 * 1024 * 1024
/** Larger requests, after decompression, are read one after another: each takes its time, and its memory twice. */
const LARGE_BYTES = 1024 * 1024
/** Of the others so many are unpacked and read, since a few bytes of gzip can be a megabyte each. */
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

const spansBy = counter(METRICS.relaySpans)
const countReceived = spansBy.tally({ result: 'received', reason: 'none' })
const countStored = spansBy.tally({ result: 'stored', reason: 'none' })
const countInvalid = spansBy.tally({ result: 'dropped', reason: 'invalid' })
const scrubbedBy = counter(METRICS.relayScrubbed)

type Room = { maxOutputLength: number; chunkSize: number }
const gunzip: (body: InputType, options: Room) => Promise<Buffer> = promisify(zlibGunzip)
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
export type Charge = (spans: number) => void | Promise<void>

/** A body that was looked through: what is to be stored of it, packed, and what is answered then. */
interface Prepared extends Accepted {
  /** Undefined when nothing is left of it. */
  request: NewRequest | undefined
  spans: number
}

/** Makes the one way in; `onStored` is called after every request that was kept. */
export function createAccept(store: Pick<Traces, 'append'>, onStored: () => void): Accept {
  const inPlace = createPlaces(MAX_SMALL_AT_ONCE)
  const inTurn = createTurns()

  async function prepare(body: IncomingBody, inflated: Uint8Array, charge?: Charge): Promise<Prepared> {
    const { bytes, encoding, gzipped } = body
    const { traces, spans, rejected, body: clean, scrubbed } = scan(inflated, encoding)
    // A service is charged nothing, and waits for nothing.
    if (charge) await charge(spans + rejected)
    countReceived(spans + rejected)
    countInvalid(rejected)
    if (scrubbed) countScrubbed(scrubbed)
    const isClean = clean === inflated
    if (inflated !== bytes && isClean) giveBack(inflated)
    const hasSpans = traces.length > 0
    // As received when nothing had to go, so that what is forwarded is what was sent, byte for byte.
    const packed = hasSpans && !(isClean && gzipped) ? await gzip(clean) : bytes
    return {
      request: hasSpans ? { encoding, body: packed, traces } : undefined,
      spans,
      rejected,
      reason: rejected > 0 ? 'Spans need a trace ID of 16 bytes and span IDs of 8, not all zero.' : '',
      scrubbed,
    }
  }

  async function keep({ request, spans, ...accepted }: Prepared): Promise<Accepted> {
    if (!request) return accepted
    await store.append(request).catch((error) => {
      spansBy.add({ result: 'dropped', reason: 'store_unavailable' }, spans)
      throw error
    })
    countStored(spans)
    onStored()
    return accepted
  }

  return async (body, charge) => {
    const prepared = await inPlace(async () => {
      // Tried, not looked up: the length in gzip's trailer is the sender's word.
      const small = await inflate(body, LARGE_BYTES)
      return small && prepare(body, small, charge)
    })
    // Not in its place: it is packed again, and how many wait for the disk is the store's to bound, and to tell.
    if (prepared) return keep(prepared)
    return inTurn(async () => {
      const large = await inflate(body, MAX_BODY_BYTES)
      if (!large) throw new BodyTooLarge(`More than ${MAX_BODY_BYTES} bytes.`)
      return keep(await prepare(body, large, charge))
    })
  }
}

/** By kind; the names themselves are in the log. */
function countScrubbed({ sample: _, values, ...kinds }: Scrubbed): void {
  const texts = Object.values(values).reduce((sum, count) => sum + count, 0)
  for (const [kind, count] of Object.entries({ ...kinds, values: texts })) scrubbedBy.add({ kind }, count)
}

/** The body after decompression; undefined when that is more than `limit` bytes. */
async function inflate({ bytes, gzipped }: IncomingBody, limit: number): Promise<Uint8Array | undefined> {
  if (!gzipped) return bytes.length <= limit ? bytes : undefined
  try {
    const room = { maxOutputLength: limit, chunkSize: chunkSizeOf(bytes) }
    // A small one is done in less time than it takes to have another thread do it.
    return limit <= LARGE_BYTES ? gunzipSync(bytes, room) : await gunzip(bytes, room)
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

/** A request as far as the receiver has to know it. */
export interface Delivery {
  header(name: string): string | undefined
  /** The body as it came; `take` is told of every part. Throws what that throws, BodyTooLarge, or as the connection fails. */
  read(take: (bytes: number) => void): Promise<Uint8Array>
  /** Whether its sender is gone. */
  isAborted(): boolean
  /** Undefined when nothing is counted. */
  meter: Meter | undefined
}
export interface Receipt {
  status: 200 | 400 | 413 | 415 | 429 | 503
  headers: Record<string, string>
  body: Uint8Array<ArrayBuffer>
}
/** Answers a POST. Throws Refused for quotas, and what nobody has thought of. */
export type Receive = (delivery: Delivery) => Promise<Receipt>

/** The OTLP/HTTP receiver. `instanceId` is what this relay's own forwarder sends along. */
export function createReceive(accept: Accept, log: Log, instanceId: string): Receive {
  const enter = createRoom(MAX_ARRIVING_BYTES)
  return async ({ header, read, isAborted, meter }) => {
    const encoding = encodingOf(header('content-type'))
    if (!encoding) return refusal(415, UNIMPLEMENTED, 'Send application/json or application/x-protobuf.', 'json')
    const compression = header('content-encoding')?.trim().toLowerCase() || 'identity'
    if (compression !== 'identity' && compression !== 'gzip') {
      return refusal(415, UNIMPLEMENTED, 'Send the body as it is, or with gzip.', encoding)
    }
    if (header(INSTANCE_HEADER) === instanceId) {
      const message = 'This relay is forwarding to itself: its OTLP endpoint leads back to it.'
      return refusal(400, INVALID_ARGUMENT, message, encoding)
    }
    const share = enter()
    try {
      const bytes = await read(share.take)
      if (meter) await meter.bytes(bytes.length)
      const body = { bytes, encoding, gzipped: compression === 'gzip' }
      const { rejected, reason, scrubbed } = await accept(body, meter?.spans)
      if (rejected > 0) log.warn({ rejected_spans: rejected }, 'spans refused')
      if (scrubbed) log.warn({ scrubbed }, 'not listed, taken out')
      return { status: 200, headers: typed(encoding), body: encodeResponse(rejected, reason, encoding) }
    } catch (error) {
      if (error instanceof BodyTooLarge) return refusal(413, RESOURCE_EXHAUSTED, error.message, encoding)
      if (error instanceof Undecodable) return refusal(400, INVALID_ARGUMENT, error.message, encoding)
      if (isAborted()) return refusal(400, INVALID_ARGUMENT, 'The body ended early.', encoding)
      if (!(error instanceof StoreUnavailable)) throw error
      log.error({ err: error.cause ?? error }, 'spans not stored')
      const [status, code] = error.tooMuch ? ([429, RESOURCE_EXHAUSTED] as const) : ([503, UNAVAILABLE] as const)
      const { headers, ...rest } = refusal(status, code, 'Try again later.', encoding)
      return { ...rest, headers: { ...headers, 'retry-after': retryAfter(error) } }
    } finally {
      share.leave()
    }
  }
}

/** The receiver as a route, for everybody. */
export function createIngest(accept: Accept, log: Log, instanceId: string): Hono {
  const receive = createReceive(accept, log, instanceId)
  const ingest = new Hono()
  ingest.post('/v1/traces', async (c) => {
    const { status, headers, body } = await receive({
      header: (name) => c.req.header(name),
      read: (take) => readBounded(c.req.raw, MAX_BODY_BYTES, take),
      isAborted: () => c.req.raw.signal.aborted,
      meter: meterOf(c),
    })
    return c.body(body, status, headers)
  })

  ingest.all('/v1/traces', (c) => {
    const encoding = encodingOf(c.req.header('content-type')) ?? 'json'
    const headers = { ...typed(encoding), allow: 'POST, OPTIONS' }
    return c.body(encodeStatus(UNIMPLEMENTED, 'Use POST.', encoding), 405, headers)
  })
  return ingest
}

/** Seconds, at least one. */
export function retryAfter({ afterMs = RETRY_AFTER_S * 1_000 }: StoreUnavailable): string {
  return String(Math.max(1, Math.ceil(afterMs / 1_000)))
}

const typed = (encoding: Encoding) => ({ 'content-type': CONTENT_TYPES[encoding] })

function refusal(status: Receipt['status'], code: number, message: string, encoding: Encoding): Receipt {
  return { status, headers: typed(encoding), body: encodeStatus(code, message, encoding) }
}
