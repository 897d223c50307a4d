/**
 * The newest requests of an hour, which its index does not have yet, by trace.
 *
 * IDs are random, so each new row of the index changes a page of its own, and that page is written twice. Measured, it
 * was most of what storing costs. In order and many at a time, several rows share a page. Until then the requests
 * themselves say which traces they have, and this is what they say.
 */
import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { TRACE_BYTES } from '../scan/trace-list.ts'

/** A request with spans of a trace. */
export interface Part {
  request: number
  spans: number
}

/** Not to be guessed from outside: with known slots, IDs could be chosen that all want the same. */
const SEED = randomBytes(4).readInt32LE()
const FIRST_PAIRS = 1_024
const ID_BYTES = 16

/** Starts with what the hour's index does not have yet. */
export function createTail(db: DatabaseSync) {
  const unindexed = db.prepare('SELECT id, traces FROM request WHERE id > (SELECT request_id FROM indexed) ORDER BY id')
  // Numbers side by side and no Map of strings: that cost more than everything else that is done with a pair.
  let capacity = FIRST_PAIRS
  /** IDs, one a pair. */
  let ids = Buffer.alloc(capacity * ID_BYTES)
  let requests = new Float64Array(capacity)
  let spans = new Uint32Array(capacity)
  /** The newest pair in each slot, and the one in the same slot before each pair; -1 for none. */
  let slots = new Int32Array(capacity * 2).fill(-1)
  let before = new Int32Array(capacity)
  let size = 0
  let last = 0

  const slotOf = (bytes: Buffer, at: number) => {
    const mixed = Math.imul(SEED ^ bytes.readInt32LE(at), 0x85ebca6b) ^ bytes.readInt32LE(at + 8)
    return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) & (slots.length - 1)
  }

  function link(pair: number): void {
    const slot = slotOf(ids, pair * ID_BYTES)
    before[pair] = slots[slot] as number
    slots[slot] = pair
  }

  function grow(): void {
    capacity *= 2
    ids = Buffer.concat([ids], capacity * ID_BYTES)
    const grown = [requests, spans] as const
    requests = new Float64Array(capacity)
    spans = new Uint32Array(capacity)
    requests.set(grown[0])
    spans.set(grown[1])
    before = new Int32Array(capacity)
    slots = new Int32Array(capacity * 2).fill(-1)
    for (let pair = 0; pair < size; pair += 1) link(pair)
  }

  /** Adds a request. Again does nothing: it may have been in the file when that was opened. */
  function add(request: number, traces: Uint8Array): void {
    if (request <= last) return
    const packed = Buffer.from(traces.buffer, traces.byteOffset, traces.length)
    for (let at = 0; at < packed.length; at += TRACE_BYTES) {
      if (size === capacity) grow()
      packed.copy(ids, size * ID_BYTES, at, at + ID_BYTES)
      requests[size] = request
      spans[size] = packed.readUInt32BE(at + ID_BYTES) >>> 1
      link(size)
      size += 1
    }
    last = request
  }

  function clear(): void {
    size = 0
    slots.fill(-1)
  }

  for (const { id, traces } of unindexed.iterate()) add(Number(id), traces as Uint8Array)

  return {
    add,
    clear,
    /** Forgets what came after a request: it was not written after all. */
    rewind(to: number): void {
      while (size > 0 && (requests[size - 1] as number) > to) size -= 1
      slots.fill(-1)
      for (let pair = 0; pair < size; pair += 1) link(pair)
      last = to
    },
    /** The newest request that was added; 0 before the first. */
    last: () => last,
    /** Pairs of a trace and a request. */
    size: () => size,
    /** The parts of a trace, in order of arrival. */
    of(traceId: string): Part[] {
      const id = Buffer.from(traceId, 'hex')
      const parts: Part[] = []
      for (let pair = slots[slotOf(id, 0)] as number; pair >= 0; pair = before[pair] as number) {
        if (id.compare(ids, pair * ID_BYTES, (pair + 1) * ID_BYTES) !== 0) continue
        parts.push({ request: requests[pair] as number, spans: spans[pair] as number })
      }
      return parts.reverse()
    },
    /** The IDs between two, both included, each once. */
    between(from: string, to: string): string[] {
      const first = Number.parseInt(from.slice(0, 8), 16)
      const beyond = Number.parseInt(to.slice(0, 8), 16)
      const found = new Set<string>()
      for (let at = 0; at < size * ID_BYTES; at += ID_BYTES) {
        const word = ids.readUInt32BE(at)
        if (word >= first && word <= beyond) found.add(ids.toString('hex', at, at + ID_BYTES))
      }
      return [...found].filter((id) => id >= from && id <= to).sort()
    },
    /** Every pair, in order of the first 32 bits of the IDs: what belongs on one page of an index comes together. */
    *inOrder(): Generator<Part & { traceId: Uint8Array }> {
      // As one number with the pair's own, because numbers sort many times as fast as anything that is compared.
      const order = Float64Array.from(
        { length: size },
        (_, pair) => ids.readUInt32BE(pair * ID_BYTES) * capacity + pair,
      )
      for (const key of order.sort()) {
        const pair = key % capacity
        const traceId = ids.subarray(pair * ID_BYTES, (pair + 1) * ID_BYTES)
        yield { traceId, request: requests[pair] as number, spans: spans[pair] as number }
      }
    },
  }
}

export type Tail = ReturnType<typeof createTail>
