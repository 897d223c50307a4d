/** Some traces' spans cut out of a request in protobuf, by its own bytes. */

import { Edits } from './edits.ts'
import { fields, ProtobufReader, varint } from './protobuf-reader.ts'
import type { Threshold, Wanted } from './scan.ts'
import { withThreshold } from './tracestate.ts'

const IN_REQUEST = fields(1)
const IN_RESOURCE_SPANS = fields(2)
const IN_SCOPE_SPANS = fields(2)
const IN_SPAN = fields(1, 3)
const TRACE_STATE = 0x1a

/** {@link slice} of a protobuf body. */
export function sliceProtobuf(body: Uint8Array, wanted: Wanted, threshold: Threshold): Uint8Array | undefined {
  return new ProtobufSlice(body, wanted, threshold).slice()
}

class ProtobufSlice extends ProtobufReader {
  readonly #body: Uint8Array
  readonly #wanted: Wanted
  readonly #threshold: Threshold
  readonly #edits = new Edits()
  /** The trace of the span before: where its ID stands, that ID, and whether it is wanted. */
  #lastIdAt = -1
  #traceId = ''
  #lastWanted = false

  constructor(body: Uint8Array, wanted: Wanted, threshold: Threshold) {
    super(body)
    this.#body = body
    this.#wanted = wanted
    this.#threshold = threshold
  }

  slice(): Uint8Array | undefined {
    return this.#holding(0x0a, IN_REQUEST, this.bytes.length, this.#resourceSpans)
      ? this.#edits.apply(this.#body)
      : undefined
  }

  /**
   * Reads what stands up to `end`: in the fields with this tag are messages of which those stay that `keep` says so of,
   * everything else stays. Returns whether any of them did.
   */
  #holding(inner: number, known: number, end: number, keep: (this: ProtobufSlice, end: number) => boolean): boolean {
    let kept = false
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag !== inner) {
        this.skip(tag, known, end)
        continue
      }
      const { count, delta } = this.#edits
      const lengthAt = this.pos
      const to = this.content(end)
      const from = this.pos
      if (keep.call(this, to)) {
        kept = true
        if (this.#edits.delta !== delta) {
          this.#edits.replace(lengthAt, from, varint(to - from + this.#edits.delta - delta))
        }
      } else {
        this.#edits.rollback(count, delta)
        // Most of a busy service's request goes: neighbours go as one.
        this.#edits.remove(at, to)
      }
    }
    return kept
  }

  #resourceSpans(end: number): boolean {
    return this.#holding(0x12, IN_RESOURCE_SPANS, end, this.#scopeSpans)
  }

  #scopeSpans(end: number): boolean {
    return this.#holding(0x12, IN_SCOPE_SPANS, end, this.#span)
  }

  #span(end: number): boolean {
    const start = this.pos
    let idAt = -1
    // Of the last one, which is the one that counts.
    let stateAt = start
    let stateFrom = start
    let stateEnd = start
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) {
        const to = this.content(end)
        idAt = to - this.pos === 16 ? this.pos : -1
        this.pos = to
      } else if (tag === TRACE_STATE) {
        stateAt = at
        stateFrom = this.text(end)
        stateEnd = this.pos
      } else this.skip(tag, IN_SPAN, end)
    }
    if (idAt < 0 || !this.#isWanted(idAt)) return false
    const threshold = this.#threshold(this.#traceId)
    const tracestate = threshold === undefined ? '' : this.#slice(stateFrom, stateEnd).toString()
    const changed = threshold === undefined ? tracestate : withThreshold(tracestate, threshold)
    if (changed !== tracestate) {
      const bytes = Buffer.from(changed)
      this.#edits.replace(stateAt, stateEnd, Buffer.concat([Uint8Array.of(TRACE_STATE), varint(bytes.length), bytes]))
    }
    return true
  }

  /** Asks once for all spans of a trace that follow one another. */
  #isWanted(at: number): boolean {
    const { view } = this
    const before = this.#lastIdAt
    this.#lastIdAt = at
    let same = before >= 0
    for (let word = 0; same && word < 16; word += 4) same = view.getInt32(before + word) === view.getInt32(at + word)
    if (same) return this.#lastWanted
    this.#traceId = this.#slice(at, at + 16).toString('hex')
    this.#lastWanted = this.#wanted(this.#traceId)
    return this.#lastWanted
  }

  #slice(from: number, to: number): Buffer {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + from, to - from)
  }
}
