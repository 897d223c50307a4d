/** The one pass over a request in protobuf: which traces it has spans of, what failed in it, and what must not be kept. */

import { MAX_ELEMENTS, tooManyElements } from './limits.ts'
import { lengthDelimited, ProtobufAttributes } from './protobuf-attributes.ts'
import { fields } from './protobuf-reader.ts'
import type { Scanned } from './scan.ts'
import { isListedEvent, NO_ATTRIBUTE, OTHER } from './scrubber.ts'
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

const STATUS_ERROR = 2

/** {@link scan} of a protobuf body. */
export function scanProtobuf(body: Uint8Array): Scanned {
  return new ProtobufScan(body).scan()
}

/** One method a message. Each stands at the message's content when it is called, and at `end` when it returns. */
class ProtobufScan extends ProtobufAttributes {
  readonly #body: Uint8Array
  readonly #traces = new TraceTable()
  #elements = 0
  #spans = 0
  #rejected = 0

  constructor(body: Uint8Array) {
    super(body)
    this.#body = body
  }

  scan(): Scanned {
    const end = this.bytes.length
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.#message(end, this.#resourceSpans)
      else this.unknown(at, tag, IN_REQUEST, end)
    }
    return {
      traces: this.#traces.packed(),
      spans: this.#spans,
      rejected: this.#rejected,
      body: this.edits.apply(this.#body),
      scrubbed: this.scrubber.result(),
    }
  }

  /** Reads a message in the field this stands in, and makes its length good if something in it was edited. */
  #message(end: number, read: (this: ProtobufScan, end: number, depth: number) => void, depth = 0): void {
    const { count, delta } = this.edits
    const lengthAt = this.pos
    const to = this.content(end)
    const from = this.pos
    read.call(this, to, depth)
    this.relength(lengthAt, from, to, count, delta)
  }

  #resourceSpans(end: number): void {
    this.#element()
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.#message(end, this.#resource)
      else if (tag === 0x12) this.#message(end, this.#scopeSpans)
      else if (tag === 0x1a) this.string(end, NO_ATTRIBUTE)
      else this.unknown(at, tag, IN_RESOURCE_SPANS, end)
    }
  }

  #resource(end: number): void {
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.attribute(at, end, 3)
      else if (tag === 0x10) this.int32(end)
      else if (tag === 0x1a) this.#entityRef(at, end)
      else this.unknown(at, tag, IN_RESOURCE, end)
    }
  }

  /** Nothing of ours sends one, and its texts are in no list. */
  #entityRef(at: number, end: number): void {
    const { count, delta } = this.edits
    const to = this.content(end)
    while (this.pos < to) {
      const fieldAt = this.pos
      const tag = this.tag(to)
      if (tag === 0x0a || tag === 0x12 || tag === 0x1a || tag === 0x22) this.text(to)
      else this.unknown(fieldAt, tag, IN_ENTITY_REF, to)
    }
    this.drop(at, count, delta)
    this.scrubber.dropped('fields')
  }

  #scopeSpans(end: number): void {
    this.#element()
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x12) this.#span(at, end)
      else if (tag === 0x0a) this.#message(end, this.#scope)
      else if (tag === 0x1a) this.string(end, NO_ATTRIBUTE)
      else this.unknown(at, tag, IN_SCOPE_SPANS, end)
    }
  }

  #scope(end: number): void {
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a || tag === 0x12) this.string(end, NO_ATTRIBUTE)
      else if (tag === 0x1a) this.attribute(at, end, 4)
      else if (tag === 0x20) this.int32(end)
      else this.unknown(at, tag, IN_SCOPE, end)
    }
  }

  #span(at: number, parentEnd: number): void {
    this.#element()
    const { count, delta } = this.edits
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
          this.attribute(fieldAt, end, 4)
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
          this.unknown(fieldAt, tag, IN_SPAN, end)
      }
    }
    if (traceId < 0 || this.#isZero(traceId, traceId + 16) || !validSpanId || !validParent) {
      this.#rejected += 1
      this.drop(at, count, delta)
      return
    }
    this.relength(lengthAt, from, end, count, delta)
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
    if (this.scrubber.isSpanName(from, this.pos)) return
    this.edits.replace(lengthAt, this.pos, lengthDelimited(OTHER))
    this.scrubber.dropped('names')
  }

  #event(at: number, parentEnd: number): void {
    const { count, delta } = this.edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    let listed = false
    while (this.pos < end) {
      const fieldAt = this.pos
      const tag = this.tag(end)
      if (tag === 0x09) this.fixed(8, end)
      else if (tag === 0x12) listed = isListedEvent(this.view, this.text(end), this.pos)
      else if (tag === 0x1a) this.attribute(fieldAt, end, 5)
      else if (tag === 0x20) this.int32(end)
      else this.unknown(fieldAt, tag, IN_EVENT, end)
    }
    if (listed) this.relength(lengthAt, from, end, count, delta)
    else {
      this.drop(at, count, delta)
      this.scrubber.dropped('events')
    }
  }

  /** A link whose IDs are no IDs goes: they could be anything. */
  #link(at: number, parentEnd: number): void {
    const { count, delta } = this.edits
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
      else if (tag === 0x22) this.attribute(fieldAt, end, 5)
      else if (tag === 0x28) this.int32(end)
      else if (tag === 0x35) this.fixed(4, end)
      else this.unknown(fieldAt, tag, IN_LINK, end)
    }
    if ((traceIdSize === 0 || traceIdSize === 16) && (spanIdSize === 0 || spanIdSize === 8)) {
      this.relength(lengthAt, from, end, count, delta)
      return
    }
    this.drop(at, count, delta)
    this.scrubber.dropped('links')
  }

  #size(end: number): number {
    const to = this.content(end)
    const size = to - this.pos
    this.pos = to
    return size
  }

  #status(parentEnd: number, before: boolean): boolean {
    const { count, delta } = this.edits
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
        this.edits.replace(at, this.pos)
        this.scrubber.dropped('messages')
      } else this.unknown(at, tag, IN_STATUS, end)
    }
    this.relength(lengthAt, from, end, count, delta)
    return error
  }

  #element(): void {
    this.#elements += 1
    if (this.#elements > MAX_ELEMENTS) throw tooManyElements()
  }

  #isZero(from: number, to: number): boolean {
    for (let at = from; at < to; at += 4) if (this.view.getInt32(at) !== 0) return false
    return true
  }
}
