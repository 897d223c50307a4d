import { Edits } from './edits.ts'
import { MAX_ELEMENTS, tooManyElements } from './limits.ts'
import { fields, ProtobufReader, varint } from './protobuf-reader.ts'
import { Repeats } from './repeats.ts'
import type { Scanned } from './scan.ts'
import { isListedEvent, type Listing, listingOf, NO_ATTRIBUTE, OTHER, Scrubber, UNLISTED } from './scrubber.ts'
import { TraceTable } from './trace-table.ts'

// The field numbers of ../otlp.proto, by message.
const IN_REQUEST = fields(1)
const IN_RESOURCE_SPANS = fields(1, 2, 3)
const IN_RESOURCE = fields(1, 2, 3)
const IN_ENTITY_REF = fields(1, 2, 3, 4)
const IN_SCOPE_SPANS = fields(1, 2, 3)
const IN_SCOPE = fields(1, 2, 3, 4)
const IN_SPAN = fields(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
const IN_EVENT = fields(1, 2, 3, 4)
const IN_LINK = fields(1, 2, 3, 4, 5, 6)
const IN_STATUS = fields(2, 3)
const IN_KEY_VALUE = fields(1, 2)
const IN_VALUE = fields(1, 2, 3, 4, 5, 6, 7)
const IN_LIST = fields(1)

/** So many fields cannot be too deep so far up. */
const SHALLOW = 16
const SMALL = 64
const STATUS_ERROR = 2

/** {@link scan} of a protobuf body. */
export function scanProtobuf(body: Uint8Array): Scanned {
  return new ProtobufScan(body).scan()
}

/** One method a message. Each stands at the message's content when it is called, and at `end` when it returns. */
class ProtobufScan extends ProtobufReader {
  readonly #body: Uint8Array
  readonly #edits = new Edits()
  readonly #scrubber: Scrubber
  readonly #traces = new TraceTable()
  readonly #repeats: Repeats
  #elements = 0
  #spans = 0
  #rejected = 0
  // The key that was found last.
  #key = -1
  #keyEnd = -1

  constructor(body: Uint8Array) {
    super(body)
    this.#body = body
    this.#scrubber = new Scrubber(this.bytes)
    this.#repeats = new Repeats(this.view)
  }

  scan(): Scanned {
    const end = this.bytes.length
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.#message(end, this.#resourceSpans)
      else this.#unknown(at, tag, IN_REQUEST, end)
    }
    return {
      traces: this.#traces.facts(),
      spans: this.#spans,
      rejected: this.#rejected,
      body: this.#edits.apply(this.#body),
      scrubbed: this.#scrubber.result(),
    }
  }

  /** Reads a message in the field this stands in, and makes its length good if something in it was edited. */
  #message(end: number, read: (this: ProtobufScan, end: number, depth: number) => void, depth = 0): void {
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const to = this.content(end)
    const from = this.pos
    read.call(this, to, depth)
    this.#relength(lengthAt, from, to, count, delta)
  }

  #relength(lengthAt: number, from: number, to: number, count: number, delta: number): void {
    if (this.#edits.count === count || this.#edits.delta === delta) return
    this.#edits.replace(lengthAt, from, varint(to - from + this.#edits.delta - delta))
  }

  /** Takes out the field that began at `at` and ends here, with what was edited in it. */
  #drop(at: number, count: number, delta: number): void {
    this.#edits.rollback(count, delta)
    this.#edits.replace(at, this.pos)
  }

  #resourceSpans(end: number): void {
    this.#element()
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.#message(end, this.#resource)
      else if (tag === 0x12) this.#message(end, this.#scopeSpans)
      else if (tag === 0x1a) this.#string(end, NO_ATTRIBUTE)
      else this.#unknown(at, tag, IN_RESOURCE_SPANS, end)
    }
  }

  #resource(end: number): void {
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.#attribute(at, end, 3)
      else if (tag === 0x10) this.int32(end)
      else if (tag === 0x1a) this.#entityRef(at, end)
      else this.#unknown(at, tag, IN_RESOURCE, end)
    }
  }

  /** Nothing of ours sends one, and its texts are in no list. */
  #entityRef(at: number, end: number): void {
    const { count, delta } = this.#edits
    const to = this.content(end)
    while (this.pos < to) {
      const fieldAt = this.pos
      const tag = this.tag(to)
      if (tag === 0x0a || tag === 0x12 || tag === 0x1a || tag === 0x22) this.text(to)
      else this.#unknown(fieldAt, tag, IN_ENTITY_REF, to)
    }
    this.#drop(at, count, delta)
    this.#scrubber.dropped('fields')
  }

  #scopeSpans(end: number): void {
    this.#element()
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x12) this.#span(at, end)
      else if (tag === 0x0a) this.#message(end, this.#scope)
      else if (tag === 0x1a) this.#string(end, NO_ATTRIBUTE)
      else this.#unknown(at, tag, IN_SCOPE_SPANS, end)
    }
  }

  #scope(end: number): void {
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a || tag === 0x12) this.#string(end, NO_ATTRIBUTE)
      else if (tag === 0x1a) this.#attribute(at, end, 4)
      else if (tag === 0x20) this.int32(end)
      else this.#unknown(at, tag, IN_SCOPE, end)
    }
  }

  #span(at: number, parentEnd: number): void {
    this.#element()
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    let traceId = -1
    let validSpanId = false
    let validParent = true
    let error = false
    while (this.pos < end) {
      const fieldAt = this.pos
      const tag = this.tag(end)
      switch (tag) {
        case 0x4a:
          this.#attribute(fieldAt, end, 4)
          break
        case 0x0a: {
          const to = this.content(end)
          traceId = to - this.pos === 16 ? this.pos : -1
          this.pos = to
          break
        }
        case 0x12: {
          const to = this.content(end)
          validSpanId = to - this.pos === 8 && !this.#isZero(this.pos, to)
          this.pos = to
          break
        }
        case 0x22: {
          const to = this.content(end)
          validParent = to === this.pos || to - this.pos === 8
          this.pos = to
          break
        }
        case 0x2a:
          this.#spanName(end)
          break
        case 0x39:
        case 0x41:
          this.fixed(8, end)
          break
        case 0x30:
        case 0x50:
        case 0x60:
        case 0x70:
          this.int32(end)
          break
        case 0x85:
          this.fixed(4, end)
          break
        case 0x1a:
          this.text(end)
          break
        case 0x5a:
          this.#event(fieldAt, end)
          break
        case 0x6a:
          this.#link(fieldAt, end)
          break
        case 0x7a:
          // Said twice, a message is the sum of both; protobufjs forgets the first.
          error = this.#status(end, error)
          break
        default:
          this.#unknown(fieldAt, tag, IN_SPAN, end)
      }
    }
    if (traceId < 0 || this.#isZero(traceId, traceId + 16) || !validSpanId || !validParent) {
      this.#rejected += 1
      this.#drop(at, count, delta)
      return
    }
    this.#relength(lengthAt, from, end, count, delta)
    this.#spans += 1
    const { view } = this
    this.#traces.add(
      view.getInt32(traceId),
      view.getInt32(traceId + 4),
      view.getInt32(traceId + 8),
      view.getInt32(traceId + 12),
      error,
    )
  }

  #spanName(end: number): void {
    const lengthAt = this.pos
    const from = this.text(end)
    if (this.#scrubber.isSpanName(from, this.pos)) return
    this.#edits.replace(lengthAt, this.pos, lengthDelimited(OTHER))
    this.#scrubber.dropped('names')
  }

  #event(at: number, parentEnd: number): void {
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    let listed = false
    while (this.pos < end) {
      const fieldAt = this.pos
      const tag = this.tag(end)
      if (tag === 0x09) this.fixed(8, end)
      else if (tag === 0x12) listed = isListedEvent(this.view, this.text(end), this.pos)
      else if (tag === 0x1a) this.#attribute(fieldAt, end, 5)
      else if (tag === 0x20) this.int32(end)
      else this.#unknown(fieldAt, tag, IN_EVENT, end)
    }
    if (listed) this.#relength(lengthAt, from, end, count, delta)
    else {
      this.#drop(at, count, delta)
      this.#scrubber.dropped('events')
    }
  }

  /** A link whose IDs are no IDs goes: they could be anything. */
  #link(at: number, parentEnd: number): void {
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    let traceIdSize = 0
    let spanIdSize = 0
    while (this.pos < end) {
      const fieldAt = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) traceIdSize = this.#size(end)
      else if (tag === 0x12) spanIdSize = this.#size(end)
      else if (tag === 0x1a) this.text(end)
      else if (tag === 0x22) this.#attribute(fieldAt, end, 5)
      else if (tag === 0x28) this.int32(end)
      else if (tag === 0x35) this.fixed(4, end)
      else this.#unknown(fieldAt, tag, IN_LINK, end)
    }
    if ((traceIdSize === 0 || traceIdSize === 16) && (spanIdSize === 0 || spanIdSize === 8)) {
      this.#relength(lengthAt, from, end, count, delta)
      return
    }
    this.#drop(at, count, delta)
    this.#scrubber.dropped('links')
  }

  #size(end: number): number {
    const to = this.content(end)
    const size = to - this.pos
    this.pos = to
    return size
  }

  #status(parentEnd: number, before: boolean): boolean {
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    let error = before
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x18) error = this.int32(end) === STATUS_ERROR
      else if (tag === 0x12) {
        this.text(end)
        this.#edits.replace(at, this.pos)
        this.#scrubber.dropped('messages')
      } else this.#unknown(at, tag, IN_STATUS, end)
    }
    this.#relength(lengthAt, from, end, count, delta)
    return error
  }

  /** `counts` unless it stands in something that goes anyway. */
  #attribute(at: number, parentEnd: number, depth: number, counts = true): void {
    const lengthAt = this.pos
    // Behind the length of the attribute, the key's tag, and its length.
    const known = counts && depth < SHALLOW ? this.#repeats.at(lengthAt, lengthAt + 3) : 0
    if (known > 0 && lengthAt + known <= parentEnd) {
      this.marks += this.#repeats.marks
      this.pos += known
      return
    }
    const { slot } = this.#repeats
    const marksBefore = this.marks
    this.enter(depth)
    const { count, delta } = this.#edits
    const end = this.content(parentEnd)
    const from = this.pos
    this.#findKey(end)
    const key = this.#key
    const keyEnd = this.#keyEnd
    const listing = counts && key >= 0 ? listingOf(this.view, key, keyEnd) : UNLISTED
    this.pos = from
    while (this.pos < end) {
      const fieldAt = this.pos
      const tag = this.tag(end)
      if (tag === 0x12) this.#value(end, depth + 1, listing)
      else if (tag === 0x0a) this.text(end)
      else this.#unknown(fieldAt, tag, IN_KEY_VALUE, end)
    }
    if (listing !== UNLISTED) {
      if (this.#edits.count > count) this.#relength(lengthAt, from, end, count, delta)
      else if (depth < SHALLOW && this.marks - marksBefore < SMALL)
        this.#repeats.remember(slot, lengthAt, end, this.marks - marksBefore)
      return
    }
    this.#drop(at, count, delta)
    if (counts) this.#scrubber.droppedAttribute(key, keyEnd)
  }

  /** Finds the key of an attribute before its value is read: fields come in any order, and the last one counts. */
  #findKey(end: number): void {
    this.#key = -1
    this.#keyEnd = -1
    while (this.pos < end) {
      const tag = this.tag(end)
      if (tag !== 0x0a) {
        this.skip(tag, 0, end)
        continue
      }
      this.#keyEnd = this.content(end)
      this.#key = this.pos
      this.pos = this.#keyEnd
    }
  }

  #value(parentEnd: number, depth: number, listing: Listing): void {
    this.enter(depth)
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.#string(end, listing)
      else if (tag === 0x10) this.int32(end)
      else if (tag === 0x18) this.int64(end)
      else if (tag === 0x21) this.fixed(8, end)
      else if (tag === 0x2a || tag === 0x32) this.#list(end, depth + 1, listing, tag === 0x32)
      else if (tag === 0x3a) this.#bytes(end, listing)
      else this.#unknown(at, tag, IN_VALUE, end)
    }
    this.#relength(lengthAt, from, end, count, delta)
  }

  /** Values, or (`keyed`) attributes in an attribute: of these only the listed stay, too. */
  #list(parentEnd: number, depth: number, listing: Listing, keyed: boolean): void {
    this.enter(depth)
    const { count, delta } = this.#edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag !== 0x0a) this.#unknown(at, tag, IN_LIST, end)
      else if (keyed) this.#attribute(at, end, depth + 1, listing !== UNLISTED)
      else this.#value(end, depth + 1, listing)
    }
    this.#relength(lengthAt, from, end, count, delta)
  }

  /** Emptied, not taken out: of several kinds of value in one the last counts. */
  #bytes(end: number, listing: Listing): void {
    const lengthAt = this.pos
    const from = this.content(end)
    const size = from - this.pos
    this.pos = from
    if (listing === UNLISTED || size === 0) return
    this.#edits.replace(lengthAt, from, Uint8Array.of(0))
    this.#scrubber.emptiedBytes()
  }

  #string(end: number, listing: Listing): void {
    const lengthAt = this.pos
    const from = this.text(end)
    if (listing === UNLISTED) return
    const text = this.#scrubber.text(from, this.pos, listing)
    if (text !== undefined) this.#edits.replace(lengthAt, this.pos, lengthDelimited(text))
  }

  #element(): void {
    this.#elements += 1
    if (this.#elements > MAX_ELEMENTS) throw tooManyElements()
  }

  #isZero(from: number, to: number): boolean {
    for (let at = from; at < to; at += 4) if (this.view.getInt32(at) !== 0) return false
    return true
  }

  #unknown(at: number, tag: number, known: number, end: number): void {
    this.skip(tag, known, end)
    this.#edits.replace(at, this.pos)
    this.#scrubber.dropped('fields')
  }
}

function lengthDelimited(text: string): Uint8Array {
  const bytes = Buffer.from(text)
  return Buffer.concat([varint(bytes.length), bytes])
}
