import { viewOf } from './byte-set.ts'
import { JsonMessages, MEMBER, withoutRepetition } from './json-message.ts'
import { END_LIST, END_OBJECT } from './json-reader.ts'
import { MAX_ELEMENTS, tooManyElements } from './limits.ts'
import { Repeats } from './repeats.ts'
import type { Scanned } from './scan.ts'
import { isListedEvent, type Listing, listingOf, NO_ATTRIBUTE, OTHER, Scrubber, UNLISTED } from './scrubber.ts'
import { TraceTable } from './trace-table.ts'

const STATUS_ERROR = 2
/** The digits of an ID by their character; -1 for what is none. */
const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(digit) ? -1 : digit
})
/** What stands before the key in the attribute of all that do not write spaces. */
const BEFORE_KEY = '{"key":"'.length
/** So many objects and lists cannot be too deep so far up. */
const SHALLOW = 16
const SMALL = 64
// What an ID is.
const ABSENT = 0
const VALID = 1
const ZERO = 2
const INVALID = 3

/** {@link scan} of a JSON body. */
export function scanJson(body: Uint8Array): Scanned {
  const scan = new JsonScan(body)
  const scanned = scan.scan()
  return scan.repeated ? new JsonScan(withoutRepetition(body)).scan() : scanned
}

/** One method a message. Each stands at a value when it is called, and behind it when it returns. */
class JsonScan extends JsonMessages {
  readonly #body: Uint8Array
  readonly #scrubber: Scrubber
  readonly #traces = new TraceTable()
  readonly #repeats: Repeats
  readonly #words = new Int32Array(4)
  #elements = 0
  #spans = 0
  #rejected = 0

  constructor(body: Uint8Array) {
    super(body)
    this.#body = body
    this.#scrubber = new Scrubber(this.bytes)
    this.#repeats = new Repeats(this.view)
  }

  scan(): Scanned {
    for (let more = this.item('The body'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      if (this.member() === MEMBER.resourceSpans) this.#resourceSpansList()
      else stays = this.#unknown()
    }
    this.finish()
    return {
      traces: this.#traces.facts(),
      spans: this.#spans,
      rejected: this.#rejected,
      body: this.edits.apply(this.#body),
      scrubbed: this.#scrubber.result(),
    }
  }

  #resourceSpansList(): void {
    for (let more = this.list('resourceSpans'); more; more = this.next(END_LIST, true)) this.#resourceSpans()
  }

  #resourceSpans(): void {
    this.#element()
    for (let more = this.item('An item of resourceSpans'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.resource) this.#resource()
      else if (member === MEMBER.scopeSpans) this.#scopeSpansList()
      else if (member === MEMBER.schemaUrl) this.#text('schemaUrl', NO_ATTRIBUTE)
      else stays = this.#unknown()
    }
  }

  #resource(): void {
    for (let more = this.message('A resource'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.attributes) this.#attributes()
      else if (member === MEMBER.droppedAttributesCount) this.integer('droppedAttributesCount')
      else if (member === MEMBER.entityRefs) stays = this.#entityRefs()
      else stays = this.#unknown()
    }
  }

  /** Nothing of ours sends them, and their texts are in no list. */
  #entityRefs(): boolean {
    for (let more = this.list('entityRefs'); more; more = this.next(END_LIST, true)) {
      for (let inner = this.item('An item of entityRefs'); inner; inner = this.next(END_OBJECT, true)) {
        const member = this.member()
        if (member === MEMBER.schemaUrl || member === MEMBER.type) this.textOf('A text of an entity')
        else if (member === MEMBER.idKeys || member === MEMBER.descriptionKeys) this.#keys()
        else this.skip()
      }
    }
    this.#scrubber.dropped('fields')
    return false
  }

  #keys(): void {
    for (let more = this.list('A list of keys'); more; more = this.next(END_LIST, true)) {
      if (this.isNull()) this.fault('A key is null')
      else this.textOf('A key')
    }
  }

  #scopeSpansList(): void {
    for (let more = this.list('scopeSpans'); more; more = this.next(END_LIST, true)) this.#scopeSpans()
  }

  #scopeSpans(): void {
    this.#element()
    for (let more = this.item('An item of scopeSpans'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.spans) this.#spansList()
      else if (member === MEMBER.scope) this.#scope()
      else if (member === MEMBER.schemaUrl) this.#text('schemaUrl', NO_ATTRIBUTE)
      else stays = this.#unknown()
    }
  }

  #scope(): void {
    for (let more = this.message('A scope'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.name || member === MEMBER.version) this.#text('A text of a scope', NO_ATTRIBUTE)
      else if (member === MEMBER.attributes) this.#attributes()
      else if (member === MEMBER.droppedAttributesCount) this.integer('droppedAttributesCount')
      else stays = this.#unknown()
    }
  }

  #spansList(): void {
    for (let more = this.list('spans'), stays = true; more; more = this.next(END_LIST, stays)) stays = this.#span()
  }

  /** Whether the span is accepted. */
  #span(): boolean {
    this.#element()
    let traceId = ABSENT
    let spanId = ABSENT
    let parentId = ABSENT
    let error = false
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    const words = this.#words
    for (let more = this.item('An item of spans'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      switch (this.member()) {
        case MEMBER.traceId:
          traceId = this.#id(4)
          a = words[0] as number
          b = words[1] as number
          c = words[2] as number
          d = words[3] as number
          break
        case MEMBER.spanId:
          spanId = this.#id(2)
          break
        case MEMBER.parentSpanId:
          parentId = this.#id(2)
          break
        case MEMBER.name:
          this.#spanName()
          break
        case MEMBER.startTimeUnixNano:
        case MEMBER.endTimeUnixNano:
          this.nanos('A time of a span')
          break
        case MEMBER.kind:
          this.integer('kind', false)
          break
        case MEMBER.flags:
        case MEMBER.droppedAttributesCount:
        case MEMBER.droppedEventsCount:
        case MEMBER.droppedLinksCount:
          this.integer('A number of a span')
          break
        case MEMBER.traceState:
          this.textOf('traceState')
          break
        case MEMBER.attributes:
          this.#attributes()
          break
        case MEMBER.events:
          this.#events()
          break
        case MEMBER.links:
          this.#links()
          break
        case MEMBER.status:
          error = this.#status()
          break
        default:
          stays = this.#unknown()
      }
    }
    if (traceId !== VALID || spanId !== VALID || parentId === INVALID) {
      this.#rejected += 1
      return false
    }
    this.#spans += 1
    this.#traces.add(a, b, c, d, error)
    return true
  }

  /** Reads an ID of so many words of 32 bits into #words. */
  #id(words: number): number {
    if (this.isNull()) return ABSENT
    if (this.bytes[this.pos] !== 0x22) {
      this.skip()
      return INVALID
    }
    this.string()
    const { from, to } = this
    const length = to - from
    if (this.escaped) return this.#idFrom(Buffer.from(this.text()), words)
    if (length === 0) return ABSENT
    return length === words * 8 ? this.#hex(this.bytes, from, words) : INVALID
  }

  #idFrom(digits: Uint8Array, words: number): number {
    return digits.length === words * 8 ? this.#hex(digits, 0, words) : INVALID
  }

  #hex(bytes: Uint8Array, from: number, words: number): number {
    let all = 0
    let bad = 0
    for (let word = 0, at = from; word < words; word += 1) {
      let value = 0
      for (const end = at + 8; at < end; at += 1) {
        const digit = HEX[bytes[at] as number] as number
        bad |= digit
        value = (value << 4) | digit
      }
      this.#words[word] = value
      all |= value
    }
    if (bad < 0) return INVALID
    return all === 0 ? ZERO : VALID
  }

  #spanName(): void {
    if (!this.textOf('name')) return
    const { from, to } = this
    const scrubber = this.#scrubber
    if (this.escaped ? scrubber.isDecodedSpanName(this.text()) : scrubber.isSpanName(from, to)) return
    this.edits.replace(from, to, Buffer.from(OTHER))
    scrubber.dropped('names')
  }

  #events(): void {
    for (let more = this.list('events'), stays = true; more; more = this.next(END_LIST, stays)) stays = this.#event()
  }

  /** Whether the event is listed. */
  #event(): boolean {
    let listed = false
    for (let more = this.item('An item of events'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.timeUnixNano) this.nanos('A time of an event')
      else if (member === MEMBER.name) listed = this.textOf('The name of an event') && this.#isListedEvent()
      else if (member === MEMBER.attributes) this.#attributes()
      else if (member === MEMBER.droppedAttributesCount) this.integer('droppedAttributesCount')
      else stays = this.#unknown()
    }
    if (!listed) this.#scrubber.dropped('events')
    return listed
  }

  #isListedEvent(): boolean {
    if (!this.escaped) return isListedEvent(this.view, this.from, this.to)
    const name = Buffer.from(this.text())
    return isListedEvent(viewOf(name), 0, name.length)
  }

  #links(): void {
    for (let more = this.list('links'), stays = true; more; more = this.next(END_LIST, stays)) stays = this.#link()
  }

  /** Whether its IDs are IDs: otherwise they could be anything, and it goes. */
  #link(): boolean {
    let traceId = ABSENT
    let spanId = ABSENT
    for (let more = this.item('An item of links'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.traceId) traceId = this.#id(4)
      else if (member === MEMBER.spanId) spanId = this.#id(2)
      else if (member === MEMBER.traceState) this.textOf('traceState')
      else if (member === MEMBER.attributes) this.#attributes()
      else if (member === MEMBER.flags || member === MEMBER.droppedAttributesCount) this.integer('A number of a link')
      else stays = this.#unknown()
    }
    if (traceId !== INVALID && spanId !== INVALID) return true
    this.#scrubber.dropped('links')
    return false
  }

  #status(): boolean {
    let error = false
    for (let more = this.message('A status'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.code) error = this.integer('code', false) === STATUS_ERROR
      else if (member === MEMBER.message) {
        this.textOf('The message of a status')
        this.#scrubber.dropped('messages')
        stays = false
      } else stays = this.#unknown()
    }
    return error
  }

  /** `counts` unless they stand in something that goes anyway. */
  #attributes(counts = true): void {
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
      } else stays = this.#unknown()
    }
    if (valueAt >= 0) {
      // The value came before the key, which says what may stand in it.
      const end = this.pos
      this.pos = valueAt
      this.#value(listing)
      this.pos = end
    }
    if (listing === UNLISTED && counts) this.#scrubber.droppedAttribute(keyFrom, keyTo)
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
      if (member === MEMBER.stringValue) this.#text('stringValue', listing)
      else if (member === MEMBER.intValue) this.integer('intValue')
      else if (member === MEMBER.boolValue) this.boolean('boolValue')
      else if (member === MEMBER.doubleValue) this.double('doubleValue')
      else if (member === MEMBER.arrayValue || member === MEMBER.kvlistValue) {
        this.#listValue(listing, member === MEMBER.kvlistValue)
      } else if (member === MEMBER.bytesValue) this.#bytes(listing)
      else stays = this.#unknown()
    }
  }

  #bytes(listing: Listing): void {
    if (!this.textOf('bytesValue') || listing === UNLISTED || this.to === this.from) return
    this.edits.replace(this.from, this.to)
    this.#scrubber.emptiedBytes()
  }

  /** Values, or (`keyed`) attributes in an attribute: of these only the listed stay, too. */
  #listValue(listing: Listing, keyed: boolean): void {
    for (let more = this.message('A list value'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      if (this.member() !== MEMBER.values) stays = this.#unknown()
      else if (keyed) this.#attributes(listing !== UNLISTED)
      else for (let inner = this.list('values'); inner; inner = this.next(END_LIST, true)) this.#item(listing)
    }
  }

  #item(listing: Listing): void {
    if (this.isNull()) this.fault('An item of values is not an object')
    else this.#value(listing)
  }

  #text(what: string, listing: Listing): void {
    if (!this.textOf(what) || listing === UNLISTED) return
    const { from, to } = this
    const text = this.escaped ? this.#scrubber.decoded(this.text(), listing) : this.#scrubber.text(from, to, listing)
    if (text !== undefined) this.edits.replace(from, to, Buffer.from(JSON.stringify(text).slice(1, -1)))
  }

  #unknown(): false {
    this.skip()
    this.#scrubber.dropped('fields')
    return false
  }

  #element(): void {
    this.#elements += 1
    if (this.#elements > MAX_ELEMENTS) throw tooManyElements()
  }
}
