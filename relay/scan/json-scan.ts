/** The one pass over a request in JSON: which traces it has spans of, what failed in it, and what must not be kept. */

import { viewOf } from './byte-set.ts'
import { JsonAttributes } from './json-attributes.ts'
import { MEMBER, withoutRepetition } from './json-message.ts'
import { END_LIST, END_OBJECT } from './json-reader.ts'
import { MAX_ELEMENTS, tooManyElements } from './limits.ts'
import type { Scanned } from './scan.ts'
import { isListedEvent, NO_ATTRIBUTE, OTHER } from './scrubber.ts'
import { TraceTable } from './trace-table.ts'

const STATUS_ERROR = 2
/** The digits of an ID by their character; -1 for what is none. */
const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(digit) ? -1 : digit
})
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
class JsonScan extends JsonAttributes {
  readonly #body: Uint8Array
  readonly #traces = new TraceTable()
  readonly #words = new Int32Array(4)
  #elements = 0
  #spans = 0
  #rejected = 0

  constructor(body: Uint8Array) {
    super(body)
    this.#body = body
  }

  scan(): Scanned {
    for (let more = this.item('The body'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      if (this.member() === MEMBER.resourceSpans) this.#resourceSpansList()
      else stays = this.unknown()
    }
    this.finish()
    return {
      traces: this.#traces.packed(),
      spans: this.#spans,
      rejected: this.#rejected,
      body: this.edits.apply(this.#body),
      scrubbed: this.scrubber.result(),
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
      else if (member === MEMBER.schemaUrl) this.probed('schemaUrl', NO_ATTRIBUTE)
      else stays = this.unknown()
    }
  }

  #resource(): void {
    for (let more = this.message('A resource'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.attributes) this.attributes()
      else if (member === MEMBER.droppedAttributesCount) this.integer('droppedAttributesCount')
      else if (member === MEMBER.entityRefs) stays = this.#entityRefs()
      else stays = this.unknown()
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
    this.scrubber.dropped('fields')
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
      else if (member === MEMBER.schemaUrl) this.probed('schemaUrl', NO_ATTRIBUTE)
      else stays = this.unknown()
    }
  }

  #scope(): void {
    for (let more = this.message('A scope'), stays = true; more; more = this.next(END_OBJECT, stays)) {
      stays = true
      const member = this.member()
      if (member === MEMBER.name || member === MEMBER.version) this.probed('A text of a scope', NO_ATTRIBUTE)
      else if (member === MEMBER.attributes) this.attributes()
      else if (member === MEMBER.droppedAttributesCount) this.integer('droppedAttributesCount')
      else stays = this.unknown()
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
          this.attributes()
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
          stays = this.unknown()
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
    const scrubber = this.scrubber
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
      else if (member === MEMBER.attributes) this.attributes()
      else if (member === MEMBER.droppedAttributesCount) this.integer('droppedAttributesCount')
      else stays = this.unknown()
    }
    if (!listed) this.scrubber.dropped('events')
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
      else if (member === MEMBER.attributes) this.attributes()
      else if (member === MEMBER.flags || member === MEMBER.droppedAttributesCount) this.integer('A number of a link')
      else stays = this.unknown()
    }
    if (traceId !== INVALID && spanId !== INVALID) return true
    this.scrubber.dropped('links')
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
        this.scrubber.dropped('messages')
        stays = false
      } else stays = this.unknown()
    }
    return error
  }

  #element(): void {
    this.#elements += 1
    if (this.#elements > MAX_ELEMENTS) throw tooManyElements()
  }
}
