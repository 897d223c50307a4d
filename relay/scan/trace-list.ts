/**
 * The traces of a request, packed: 20 bytes each, the ID and behind it how many spans the request has of it, with the
 * lowest bit for whether one of them failed. Made by the scan, handed to the thread that writes, and stored, as it is: an
 * object for each would cost more than finding it did.
 */

/** What a request tells about one trace. */
export interface TraceFacts {
  spans: number
  /** Some span has the status code 2. */
  error: boolean
}

export const TRACE_BYTES = 20
const ID_BYTES = 16
/** Digits of a record in hex. */
const DIGITS = TRACE_BYTES * 2

/** Packs traces by their IDs, 32 lower-case hex digits each. */
export function packTraces(traces: Iterable<readonly [string, TraceFacts]>): Uint8Array {
  return Buffer.concat(
    Array.from(traces, ([traceId, { spans, error }]) => {
      const record = Buffer.alloc(TRACE_BYTES, traceId, 'hex')
      record.writeUInt32BE(spans * 2 + Number(error), ID_BYTES)
      return record
    }),
  )
}

/** By trace ID, 32 lower-case hex digits, in order of appearance. */
export function* tracesIn(packed: Uint8Array): Generator<[string, TraceFacts]> {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.length)
  // All digits at once: a call for each ID takes longer than cutting them out.
  const digits = bytes.toString('hex')
  for (let index = 0; index * TRACE_BYTES < bytes.length; index += 1) {
    const told = bytes.readUInt32BE(index * TRACE_BYTES + ID_BYTES)
    const from = index * DIGITS
    yield [digits.slice(from, from + ID_BYTES * 2), { spans: told >>> 1, error: (told & 1) === 1 }]
  }
}
