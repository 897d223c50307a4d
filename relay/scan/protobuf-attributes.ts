/** Attributes in protobuf, what may stay of them, and how what does not is taken out. */
import { Edits } from './edits.ts'
import { fields, ProtobufReader, varint } from './protobuf-reader.ts'
import { Repeats } from './repeats.ts'
import { type Listing, listingOf, Scrubber, UNLISTED } from './scrubber.ts'

// As in ../otlp.proto.
const IN_KEY_VALUE = fields(1, 2)
const IN_VALUE = fields(1, 2, 3, 4, 5, 6, 7)
const IN_LIST = fields(1)
/** So many fields cannot be too deep so far up. */
const SHALLOW = 16
const SMALL = 64

export class ProtobufAttributes extends ProtobufReader {
  readonly edits = new Edits()
  readonly scrubber: Scrubber
  readonly #repeats: Repeats
  // The key that was found last.
  #key = -1
  #keyEnd = -1

  constructor(body: Uint8Array) {
    super(body)
    this.scrubber = new Scrubber(this.bytes)
    this.#repeats = new Repeats(this.view)
  }

  /** Makes the length of a message good, if what is in it has another now. */
  relength(lengthAt: number, from: number, to: number, count: number, delta: number): void {
    if (this.edits.count === count || this.edits.delta === delta) return
    this.edits.replace(lengthAt, from, varint(to - from + this.edits.delta - delta))
  }

  /** Takes out the field that began at `at` and ends here, with what was edited in it. */
  drop(at: number, count: number, delta: number): void {
    this.edits.rollback(count, delta)
    this.edits.replace(at, this.pos)
  }

  /** Takes out a field that the protocol does not have. */
  unknown(at: number, tag: number, known: number, end: number): void {
    this.skip(tag, known, end)
    this.edits.replace(at, this.pos)
    this.scrubber.dropped('fields')
  }

  /** `counts` unless it stands in something that goes anyway. */
  attribute(at: number, parentEnd: number, depth: number, counts = true): void {
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
    const { count, delta } = this.edits
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
      else this.unknown(fieldAt, tag, IN_KEY_VALUE, end)
    }
    if (listing !== UNLISTED) {
      if (this.edits.count > count) this.relength(lengthAt, from, end, count, delta)
      else if (depth < SHALLOW && this.marks - marksBefore < SMALL)
        this.#repeats.remember(slot, lengthAt, end, this.marks - marksBefore)
      return
    }
    this.drop(at, count, delta)
    if (counts) this.scrubber.droppedAttribute(key, keyEnd)
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
    const { count, delta } = this.edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag === 0x0a) this.string(end, listing)
      else if (tag === 0x10) this.int32(end)
      else if (tag === 0x18) this.int64(end)
      else if (tag === 0x21) this.fixed(8, end)
      else if (tag === 0x2a || tag === 0x32) this.#list(end, depth + 1, listing, tag === 0x32)
      else if (tag === 0x3a) this.#bytes(end, listing)
      else this.unknown(at, tag, IN_VALUE, end)
    }
    this.relength(lengthAt, from, end, count, delta)
  }

  /** Values, or (`keyed`) attributes in an attribute: of these only the listed stay, too. */
  #list(parentEnd: number, depth: number, listing: Listing, keyed: boolean): void {
    this.enter(depth)
    const { count, delta } = this.edits
    const lengthAt = this.pos
    const end = this.content(parentEnd)
    const from = this.pos
    while (this.pos < end) {
      const at = this.pos
      const tag = this.tag(end)
      if (tag !== 0x0a) this.unknown(at, tag, IN_LIST, end)
      else if (keyed) this.attribute(at, end, depth + 1, listing !== UNLISTED)
      else this.#value(end, depth + 1, listing)
    }
    this.relength(lengthAt, from, end, count, delta)
  }

  /** Emptied, not taken out: of several kinds of value in one the last counts. */
  #bytes(end: number, listing: Listing): void {
    const lengthAt = this.pos
    const from = this.content(end)
    const size = from - this.pos
    this.pos = from
    if (listing === UNLISTED || size === 0) return
    this.edits.replace(lengthAt, from, Uint8Array.of(0))
    this.scrubber.emptiedBytes()
  }

  /** Reads a text, and strikes it if it must not stay. */
  string(end: number, listing: Listing): void {
    const lengthAt = this.pos
    const from = this.text(end)
    if (listing === UNLISTED) return
    const text = this.scrubber.text(from, this.pos, listing)
    if (text !== undefined) this.edits.replace(lengthAt, this.pos, lengthDelimited(text))
  }
}

/** A text as the content of a field, with its length. */
export function lengthDelimited(text: string): Uint8Array {
  const bytes = Buffer.from(text)
  return Buffer.concat([varint(bytes.length), bytes])
}
