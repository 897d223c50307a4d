/** Requests as the server sends them: spans of our own names with about ten attributes, everything listed. */
import { gzipSync } from 'node:zlib'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_COMPILE_OUTCOME,
  ATTR_COMPILE_SANDBOXED,
  ATTR_ERROR_TYPE,
  ATTR_FAILURE_CODE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_PDF_PAGES,
  ATTR_POSTING_HOST,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_SESSION_ID,
  ATTR_STAGE,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
  ATTR_USER_AGENT,
  RESOURCE_SDK_LANGUAGE,
  RESOURCE_SERVICE_INSTANCE_ID,
  RESOURCE_SERVICE_NAME,
  RESOURCE_SERVICE_VERSION,
  SERVICE_SERVER,
  SPAN_COMPILE,
} from '../names.ts'
import { type Encoding, encode, type KeyValue, type OtlpSpan, type TracesData } from '../relay/otlp.ts'
import type { Load } from './cost.ts'

/** Of a browser; in every server span that a browser caused. */
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36'
/** 2026-01-01T00:00:00Z, nanoseconds. */
const START_NS = 1_767_225_600_000_000_000n
const SPANS_PER_TRACE = 8
/** One trace in so many has an error, unless it is said otherwise: as many as the objective lets fail. */
const FAILED = 100

/** Sent again and again: so many are made in seconds, and are many more than a cache holds. */
const DIFFERENT_SPANS = 65_536

/** The requests of a load. */
export function bodiesOf({ encoding, gzipped, batch, failedIn }: Load): Uint8Array[] {
  return Array.from({ length: DIFFERENT_SPANS / batch }, (_, index) => {
    const body = otlpPayload(batch, encoding, index + 1, failedIn)
    return gzipped ? gzipSync(body) : body
  })
}

/** A request of `count` spans. Which it is goes by `seed`, so that requests of different seeds share no trace. */
export function otlpPayload(count: number, encoding: Encoding, seed = 1, failedIn = FAILED): Uint8Array {
  return encode(payload(count, seed, failedIn), encoding)
}

function payload(count: number, seed: number, failedIn: number): TracesData {
  const random = randomWords(seed)
  let traceId = ''
  let session = ''
  // Counted over all requests: small ones have no more failures than large ones.
  let trace = seed * Math.ceil(count / SPANS_PER_TRACE)
  const spans = Array.from({ length: count }, (_, index) => {
    if (index % SPANS_PER_TRACE === 0) {
      traceId = hex(random, 4)
      session = uuid(random)
      trace += 1
    }
    const failed = trace % failedIn === 0 && index % SPANS_PER_TRACE === 1
    return index % 2 === 0 ? request(traceId, session, index, random) : stage(traceId, session, index, random, failed)
  })
  const resource = {
    attributes: [
      text(RESOURCE_SERVICE_NAME, SERVICE_SERVER),
      text(RESOURCE_SERVICE_VERSION, '0.1.0'),
      text(RESOURCE_SERVICE_INSTANCE_ID, uuid(random)),
      text(RESOURCE_SDK_LANGUAGE, 'nodejs'),
    ],
  }
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: SERVICE_SERVER, version: '0.1.0' }, spans }] }] }
}

/** An HTTP server span of ten attributes. */
function request(traceId: string, session: string, index: number, random: () => number): OtlpSpan {
  return span(traceId, index, random, {
    name: 'GET /runs/{id}/events',
    kind: 2,
    attributes: [
      text(ATTR_HTTP_REQUEST_METHOD, 'GET'),
      text(ATTR_URL_SCHEME, 'http'),
      text(ATTR_URL_PATH, `/runs/${traceId}/events`),
      text(ATTR_HTTP_ROUTE, '/runs/{id}/events'),
      text(ATTR_SERVER_ADDRESS, '127.0.0.1'),
      integer(ATTR_SERVER_PORT, 4320),
      text(ATTR_NETWORK_PROTOCOL_VERSION, '1.1'),
      text(ATTR_USER_AGENT, USER_AGENT),
      integer(ATTR_HTTP_RESPONSE_STATUS_CODE, 200),
      text(ATTR_SESSION_ID, session),
    ],
  })
}

/** A stage of nine, and one in twenty traces fails in it. */
function stage(traceId: string, session: string, index: number, random: () => number, failed: boolean): OtlpSpan {
  return span(traceId, index, random, {
    name: SPAN_COMPILE,
    kind: 1,
    attributes: [
      text(ATTR_STAGE, 'compile'),
      text(ATTR_SESSION_ID, session),
      text(ATTR_COMPILE_OUTCOME, failed ? 'latex_error' : 'ok'),
      { key: ATTR_COMPILE_SANDBOXED, value: { boolValue: true } },
      { key: ATTR_COMPILE_CPU_TIME, value: { doubleValue: (random() >>> 12) / 1e6 } },
      integer(ATTR_PDF_PAGES, 1),
      text(ATTR_POSTING_HOST, 'boards.greenhouse.io'),
      text(ATTR_SERVER_ADDRESS, '127.0.0.1'),
      integer(ATTR_SERVER_PORT, 4320),
      ...(failed ? [text(ATTR_ERROR_TYPE, 'latex_error'), text(ATTR_FAILURE_CODE, 'latex_invalid')] : []),
    ],
    ...(failed ? { status: { code: 2 } } : { status: {} }),
  })
}

function span(traceId: string, index: number, random: () => number, rest: Partial<OtlpSpan>): OtlpSpan {
  const start = START_NS + BigInt(index) * 1_000_000n
  return {
    traceId,
    spanId: hex(random, 2),
    parentSpanId: hex(random, 2),
    traceState: 'ot=th:fd70a4',
    flags: 0x103,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + BigInt(random() >>> 8)),
    ...rest,
  }
}

const text = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })
const integer = (key: string, value: number): KeyValue => ({ key, value: { intValue: String(value) } })

/** 32-bit words, the same for the same seed (xorshift); never 0. */
function randomWords(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function hex(random: () => number, words: number): string {
  return Array.from({ length: words }, () => random().toString(16).padStart(8, '0')).join('')
}

function uuid(random: () => number): string {
  return hex(random, 4).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
}
