/** What is due, cut out of the stored requests and put together into requests for the backend. */
import { promisify } from 'node:util'
import { type InputType, gunzip as zlibGunzip } from 'node:zlib'
import { decode, type Encoding, encode } from '../otlp.ts'
import { slice } from '../scan/scan.ts'
import type { Entry, RequestPlace } from '../store/hour-reader.ts'
import type { Cursor } from '../store/kept.ts'
import { isInRatio, RATIO_TH } from '../store/marks.ts'
import type { Store } from '../store/store.ts'

/** Entries of the outbox that are read at a time. */
const ENTRIES = 256
/** A batch is not filled further than this, before compression: well below what receivers take. */
const MAX_BATCH_BYTES = 1024 * 1024

const gunzip: (body: InputType) => Promise<Buffer> = promisify(zlibGunzip)

/** The due spans of one stored request. */
export interface Part {
  body: Uint8Array
  spans: number
}
export interface Batch {
  encoding: Encoding
  parts: Part[]
  /** Everything up to here is in this batch or one before it; undefined in the middle of an entry. */
  cursor: Cursor | undefined
}

export interface Cutting {
  /** In which encoding; undefined for the one it was received in. */
  protocol: Encoding | undefined
  /** Hears of so many spans that cannot be read any more. They are passed over: the others must not wait for ever. */
  onUnreadable: (error: unknown, spans: number) => void
}

/**
 * Everything that is due after a cursor, in order. A batch is not held back for what only comes while it is put together:
 * where that never ends, nothing would be sent before a whole batch is full, and its hours may be gone by then.
 */
export async function* batchesAfter(store: Store, after: Cursor, cutting: Cutting): AsyncGenerator<Batch> {
  let batch: Batch = { encoding: 'protobuf', parts: [], cursor: undefined }
  let bytes = 0
  let cursor = after
  for (;;) {
    const entries = store.entriesAfter(cursor, ENTRIES)
    const last = entries.at(-1)
    if (!last) break
    cursor = last
    for (const group of groupsOf(store, entries)) {
      for (const place of group.places) {
        const cut = await partOf(store, place, group.wanted, cutting)
        if (!cut) continue
        const { encoding, part } = cut
        const fits = encoding === batch.encoding && bytes + part.body.length <= MAX_BATCH_BYTES
        if (batch.parts.length > 0 && !fits) {
          yield batch
          batch = { encoding, parts: [], cursor: undefined }
          bytes = 0
        }
        batch.encoding = encoding
        batch.parts.push(part)
        bytes += part.body.length
      }
      batch.cursor = group.cursor
    }
    // Short of what was asked for: these were the newest, of this file at least.
    if (entries.length < ENTRIES) {
      yield batch
      batch = { encoding: 'protobuf', parts: [], cursor: undefined }
      bytes = 0
    }
  }
  if (batch.cursor) yield batch
}

/** The parts as one body. Messages of protobuf that follow one another are one; JSON has to be taken apart for it. */
export function joined({ parts, encoding }: Batch): Uint8Array {
  const [first] = parts
  if (first && parts.length === 1) return first.body
  if (encoding === 'protobuf') return Buffer.concat(parts.map(({ body }) => body))
  return encode({ resourceSpans: parts.flatMap(({ body }) => decode(body, encoding).resourceSpans) }, encoding)
}

interface Group {
  places: RequestPlace[]
  wanted: Set<string>
  cursor: Cursor
}

/** Entries of one request that follow one another are one group: it is read and cut once. */
function* groupsOf(store: Store, entries: Entry[]): Generator<Group> {
  let group: Group | undefined
  for (const entry of entries) {
    const { file, seq, request, traceId } = entry
    const place = group?.places[0]
    if (group && place && !entry.earlier && entry.forward && place.file === file && place.request === request) {
      group.wanted.add(traceId)
      group.cursor = { file, seq }
      continue
    }
    if (group) yield group
    const places = entry.forward ? store.placesOf(entry) : []
    group = { places, wanted: new Set([traceId]), cursor: { file, seq } }
    if (!entry.earlier) continue
    // Not to be added to: it is about other requests, too.
    yield group
    group = undefined
  }
  if (group) yield group
}

async function partOf(
  store: Store,
  place: RequestPlace,
  wanted: ReadonlySet<string>,
  { protocol, onUnreadable }: Cutting,
): Promise<{ encoding: Encoding; part: Part } | undefined> {
  const stored = store.request(place)
  if (!stored) return undefined
  const thresholds = new Map([...wanted].map((traceId) => [traceId, thresholdOf(store, traceId)]))
  const spans = [...wanted].reduce((sum, traceId) => sum + store.spansIn(place, traceId), 0)
  const encoding = protocol ?? stored.encoding
  try {
    const body = slice(
      await gunzip(stored.body),
      stored.encoding,
      (id) => wanted.has(id),
      (id) => thresholds.get(id),
    )
    if (!body) return undefined
    const inEncoding = encoding === stored.encoding ? body : encode(decode(body, stored.encoding), encoding)
    return { encoding, part: { body: inEncoding, spans } }
  } catch (error) {
    onUnreadable(error, spans)
    return undefined
  }
}

/** Of errors all are kept, of the ratio one in a hundred; of what was reported nobody can say, so nothing is. */
function thresholdOf(store: Store, traceId: string): string | null {
  if (store.markOf(traceId).error > 0) return 'th:0'
  return isInRatio(traceId) ? `th:${RATIO_TH}` : null
}
