/**
 * Traces in Grafana Tempo: `GET /api/v2/traces/{id}` in protobuf, and TraceQL by `GET /api/search`.
 *
 * Source: Tempo's HTTP API and `pkg/tempopb/tempo.proto`. The trace is field 1 of the answer, itself OTLP; field 3 says
 * whether it is whole. Its JSON is left alone: it has IDs in base64. What is not there is an empty answer, or 404. A search
 * answers with a line a trace, whose ID lacks the zeros that it begins with, and knows no beginning of an ID.
 */
import protobuf from 'protobufjs'
import { ATTR_SAMPLING_KEEP } from '../../names.ts'
import { decode } from '../otlp.ts'
import { StoreUnavailable } from '../store/writer-thread.ts'
import { weigh } from '../weight.ts'
import { ask, type Endpoint } from './ask.ts'
import { type Found, MAX_ANSWER_BYTES, type Reader } from './reader.ts'

const PROTOBUF = 'application/protobuf'
const TRACE_FIELD = 1
const STATUS_FIELD = 3
const PARTIAL = 1
const OURS = 'resource.service.name =~ "pass-ats-.+"'
const FAILED = 'status = error'
const QUERIES = {
  all: `{ ${OURS} }`,
  failed: `{ ${OURS} && ${FAILED} }`,
  'failed or reported': `{ ${OURS} && (${FAILED} || span.${ATTR_SAMPLING_KEEP} = true) }`,
}

/** Tempo's query frontend. */
export function createTempo(endpoint: Endpoint): Reader {
  return {
    name: 'Tempo',

    async trace(traceId) {
      const body = await ask(endpoint, `/api/v2/traces/${traceId}`, PROTOBUF, MAX_ANSWER_BYTES)
      const { trace, partial = false } = body ? answerIn(body) : {}
      if (!trace || trace.length === 0) return undefined
      weigh(trace, 'protobuf')
      const data = decode(trace, 'protobuf')
      return partial ? { ...data, partial } : data
    },

    async search({ from, to, limit, only }) {
      const query = new URLSearchParams({
        q: QUERIES[only ?? 'all'],
        // Whole seconds, of which the last is not looked at.
        start: String(Math.floor(from / 1_000)),
        end: String(Math.ceil(to / 1_000)),
        limit: String(limit),
      })
      const body = await ask(endpoint, `/api/search?${query}`, 'application/json', MAX_ANSWER_BYTES)
      const { traces = [] } = JSON.parse(new TextDecoder().decode(body)) as { traces?: Line[] }
      return traces
        .map(found)
        .filter(({ startedAt }) => startedAt < to)
        .sort((a, b) => b.startedAt - a.startedAt)
    },
  }
}

interface Line {
  traceID: string
  startTimeUnixNano: string
}

function found({ traceID, startTimeUnixNano }: Line): Found {
  return { traceId: traceID.padStart(32, '0'), startedAt: Number(BigInt(startTimeUnixNano) / 1_000_000n) }
}

/** The bytes of the trace within an answer, and whether there was more of it than Tempo answers with. */
function answerIn(answer: Uint8Array): { trace?: Uint8Array; partial?: boolean } {
  const reader = protobuf.Reader.create(answer)
  try {
    const found: ReturnType<typeof answerIn> = {}
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (tag >>> 3 === TRACE_FIELD && (tag & 7) === 2) found.trace = reader.bytes()
      else if (tag >>> 3 === STATUS_FIELD && (tag & 7) === 0) found.partial = reader.int32() === PARTIAL
      else reader.skipType(tag & 7)
    }
    return found
  } catch (cause) {
    throw new StoreUnavailable('The trace store answers with what is no trace.', { cause })
  }
}
