/** Attributes in JSON, and what may stay of them. */
import { viewOf } from './byte-set.ts'
import { JsonMessages, MEMBER } from './json-message.ts'
import { END_LIST, END_OBJECT } from './json-reader.ts'
import { Repeats } from './repeats.ts'
import { type Listing, listingOf, Scrubber, UNLISTED } from './scrubber.ts'

/** What stands before the key in the attribute of all that do not write spaces. */
const BEFORE_KEY = '{"key":"'.length
/** So many objects and lists cannot be too deep so far up. */
const SHALLOW = 16
const SMALL = 64

export class JsonAttributes extends JsonMessages {
  readonly scrubber: Scrubber
  readonly #repeats: Repeats

  constructor(body: Uint8Array) {
    super(body)
    this.scrubber = new Scrubber(this.bytes)
    this.#repeats = new Repeats(this.view)
  }

  /** `counts` unless they stand in something that goes anyway. */
  attributes(counts = true): void {
    for (let more = this.list('attributes'), stays = true; more; more = this.next(END_LIST, stays)) {
      stays = this.#attribute(counts)
    }
  }

  /** Whether the attribute is listed. */
  #attribute(counts: boolean): boolean {
    const at = this.pos
    const known = counts && this.depth < SHALLOW ? this.#repeats.at(at, at + BEFORE_KEY) : 0
    if (known > 0) {
      this.marks += this.#repeats.marks
      this.pos += known
      return true
    }
    const { slot } = this.#repeats
    const { marks } = this
    const { count } = this.edits
    let listing = UNLISTED
    let keyFrom = -1
    let keyTo = -1
    let valueAt = -1
    for (let more = this.item('An attribute'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.key) {
        if (!this.textOf('A key')) continue
        keyFrom = this.from
        keyTo = this.to
        listing = counts ? this.#listing() : UNLISTED
      } else if (member === MEMBER.value) {
        valueAt = keyFrom < 0 ? this.pos : -1
        if (keyFrom < 0) this.skip()
        else this.#value(listing)
      } else stays = this.unknown()
    }
    if (valueAt >= 0) {
      // The value came before the key, which says what may stand in it.
      const end = this.pos
      this.pos = valueAt
      this.#value(listing)
      this.pos = end
    }
    if (listing === UNLISTED && counts) this.scrubber.droppedAttribute(keyFrom, keyTo)
    if (listing === UNLISTED) return false
    if (this.edits.count === count && this.isSound && this.depth < SHALLOW && this.marks - marks < SMALL) {
      this.#repeats.remember(slot, at, this.pos, this.marks - marks)
    }
    return true
  }

  #listing(): Listing {
    if (!this.escaped) return listingOf(this.view, this.from, this.to)
    const key = Buffer.from(this.text())
    return listingOf(viewOf(key), 0, key.length)
  }

  #value(listing: Listing): void {
    for (let more = this.message('A value'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.stringValue) this.probed('stringValue', listing)
      else if (member === MEMBER.intValue) this.integer('intValue')
      else if (member === MEMBER.boolValue) this.boolean('boolValue')
      else if (member === MEMBER.doubleValue) this.double('doubleValue')
      else if (member === MEMBER.arrayValue || member === MEMBER.kvlistValue) {
        this.#listValue(listing, member === MEMBER.kvlistValue)
      } else if (member === MEMBER.bytesValue) this.#bytes(listing)
      else stays = this.unknown()
    }
  }

  #bytes(listing: Listing): void {
    if (!this.textOf('bytesValue') || listing === UNLISTED || this.to === this.from) return
    this.edits.replace(this.from, this.to)
    this.scrubber.emptiedBytes()
  }

  /** Values, or (`keyed`) attributes in an attribute: of these only the listed stay, too. */
  #listValue(listing: Listing, keyed: boolean): void {
    for (let more = this.message('A list value'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      if (this.member() !== MEMBER.values) stays = this.unknown()
      else if (keyed) this.attributes(listing !== UNLISTED)
      else for (let inner = this.list('values'); inner; inner = this.next(END_LIST, true)) this.#item(listing)
    }
  }

  #item(listing: Listing): void {
    if (this.isNull()) this.fault('An item of values is not an object')
    else this.#value(listing)
  }

  /** Reads a text that may be null, and strikes it if it must not stay. */
  probed(what: string, listing: Listing): void {
    if (!this.textOf(what) || listing === UNLISTED) return
    const { from, to } = this
    const text = this.escaped ? this.scrubber.decoded(this.text(), listing) : this.scrubber.text(from, to, listing)
    if (text !== undefined) this.edits.replace(from, to, Buffer.from(JSON.stringify(text).slice(1, -1)))
  }

  /** Passes over a member that the protocol does not have. It does not stay. */
  unknown(): false {
    this.skip()
    this.scrubber.dropped('fields')
    return false
  }
}
