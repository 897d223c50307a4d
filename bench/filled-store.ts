/** A store that a busy day has filled, made in a minute: through its own door, with bodies that differ in their IDs only. */

import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { type InputType, type ZlibOptions, gzip as zlibGzip } from 'node:zlib'
import { decode, spansOf } from '../relay/otlp.ts'
import { packTraces, tracesIn } from '../relay/scan/trace-list.ts'
import type { NewRequest } from '../relay/store/journal.ts'
import { openStore } from '../relay/store/store.ts'
import { otlpPayload } from './otlp-payload.ts'

const HOUR_MS = 3_600_000
const HOURS = 24
const SPANS_A_REQUEST = 512
/** A trace comes in so many requests, as that of a run does from several processes. */
const REQUESTS_A_TRACE = 2
/** One trace in so many has failed. */
const FAILED = 100
/** Compressed and appended at once. */
const WIDTH = 16
const ID_BYTES = 16
export const TERMS = { retentionMs: HOURS * HOUR_MS, keptMs: 30 * HOURS * HOUR_MS, maxBytes: 5 * 1024 ** 3 }

const gzip: (body: InputType, options: ZlibOptions) => Promise<Buffer> = promisify(zlibGzip)

/** Requests of {@link SPANS_A_REQUEST} spans each, {@link REQUESTS_A_TRACE} in a row of the same traces. */
export function createRequests() {
  const body = Buffer.from(otlpPayload(SPANS_A_REQUEST, 'protobuf'))
  const traces = [...new Set([...spansOf(decode(body, 'protobuf'))].map(({ traceId }) => traceId))]
  const places = traces.map((traceId) => placesOf(body, Buffer.from(traceId, 'hex')))
  let made = 0
  let ids: Buffer[] = []

  return async (): Promise<NewRequest> => {
    if (made % REQUESTS_A_TRACE === 0) ids = traces.map(() => randomBytes(ID_BYTES))
    made += 1
    const filled = Buffer.from(body)
    ids.forEach((id, index) => {
      for (const at of places[index] ?? []) {
        id.copy(filled, at)
        // Behind the trace's ID stands the span's, with a byte for its field and one for its length.
        randomBytes(8).copy(filled, at + ID_BYTES + 2)
      }
    })
    const facts = ids.map((id, index) => {
      const failed = index === 0 && made % Math.ceil(FAILED / traces.length) === 0
      return [id.toString('hex'), { spans: places[index]?.length ?? 0, error: failed }] as const
    })
    return { encoding: 'protobuf', body: await gzip(filled, { level: 1 }), traces: packTraces(facts) }
  }
}

/** Fills the last {@link HOURS} hours with that many spans; answers with the IDs of some of their traces. */
export async function fillStore(folder: string, spans: number, onHour: (hour: number) => void): Promise<string[]> {
  let now = Date.now()
  const store = openStore(folder, TERMS, { now: () => now })
  const next = createRequests()
  const some: string[] = []
  const requests = Math.ceil(spans / SPANS_A_REQUEST / HOURS)
  try {
    for (let hour = HOURS - 1; hour >= 0; hour--) {
      now = Date.now() - hour * HOUR_MS
      for (let at = 0; at < requests; at += WIDTH) {
        const made = await Promise.all(Array.from({ length: Math.min(WIDTH, requests - at) }, next))
        await Promise.all(made.map((request) => store.append(request)))
        for (const request of made) {
          const traces = [...tracesIn(request.traces)]
          some.push(traces[made.length % traces.length]?.[0] ?? '')
        }
      }
      onHour(HOURS - hour)
    }
  } finally {
    await store.close()
  }
  return some
}

function placesOf(body: Buffer, id: Buffer): number[] {
  const places: number[] = []
  for (let at = body.indexOf(id); at >= 0; at = body.indexOf(id, at + 1)) places.push(at)
  return places
}
