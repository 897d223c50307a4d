/**
 * JSON (RFC 8259), read where it lies. Takes what JSON.parse takes, and nothing else, up to {@link MAX_BRACKETS} deep.
 *
 * A list or object is walked with {@link enter} and {@link next}, which also take out what is not to stay: with it goes
 * exactly one comma.
 */
import { isUtf8 } from 'node:buffer'
import { Undecodable } from '../otlp.ts'
import { viewOf } from './byte-set.ts'
import { Edits } from './edits.ts'
import { MAX_DEPTH, MAX_MARKS, tooDeep, tooManyMarks } from './limits.ts'

/** A message in a list of another takes two. */
const MAX_BRACKETS = 2 * MAX_DEPTH

export const QUOTE = 0x22
export const OBJECT = 0x7b
export const LIST = 0x5b
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const BACKSLASH = 0x5c
export const LETTER_N = 0x6e
export const END_OBJECT = 0x7d
export const END_LIST = 0x5d
/** From `{` to `}` and from `[` to `]`. */
const TO_CLOSING = 2

/** 1 for what ends a run of plain characters in a string. */
const STOPS = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
)
const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 0x30 && byte <= 0x39

export class JsonReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly edits = new Edits()
  pos = 0
  /** What the string or number was that was read last, without its quotes. */
  from = 0
  to = 0
  /** Whether the string that was read last has escapes. */
  escaped = false
  /** Objects and lists around what is read. */
  depth = 0
  marks = 0
  // By depth, of the item that is being read: where it begins, how many edits there were then, where the one before it
  // ended, and whether one before it stays.
  readonly #itemAt = new Int32Array(MAX_BRACKETS + 1)
  readonly #editsAt = new Int32Array(MAX_BRACKETS + 1)
  readonly #deltaAt = new Int32Array(MAX_BRACKETS + 1)
  readonly #beforeEnd = new Int32Array(MAX_BRACKETS + 1)
  readonly #stays = new Uint8Array(MAX_BRACKETS + 1)

  constructor(body: Uint8Array) {
    this.bytes = new Uint8Array(body.buffer, body.byteOffset, body.length)
    this.view = viewOf(this.bytes)
    if (!isUtf8(body)) throw new Undecodable('The body is not UTF-8.')
    // A byte order mark may be ignored; it does not stay, because not everybody does.
    if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
      this.pos = 3
      this.edits.replace(0, 3)
    }
    this.space()
  }

  /** Checks that nothing follows. */
  finish(): void {
    // Nearly always. One look behind the end, and V8 compares every byte with spaces as if it could be undefined.
    if (this.pos === this.bytes.length) return
    this.space()
    if (this.pos < this.bytes.length) throw this.undecodable()
  }

  space(): void {
    let byte = this.bytes[this.pos]
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      this.pos += 1
      byte = this.bytes[this.pos]
    }
  }

  /** Whether what stands here is `null`, which is passed over. */
  isNull(): boolean {
    if (this.bytes[this.pos] !== LETTER_N) return false
    this.#word('null')
    return true
  }

  /** Opens an object or list (the caller has looked), and stands at its first item. False when it has none. */
  enter(): boolean {
    const closing = (this.bytes[this.pos] as number) + TO_CLOSING
    this.#mark()
    this.depth += 1
    if (this.depth > MAX_BRACKETS) throw tooDeep()
    this.pos += 1
    this.#stays[this.depth] = 0
    this.space()
    if (this.bytes[this.pos] !== closing) {
      this.#begin()
      return true
    }
    this.pos += 1
    this.depth -= 1
    return false
  }

  /** Ends an item, which goes unless it `stays`, and stands at the next. False when there is none. */
  next(closing: number, stays: boolean): boolean {
    const depth = this.depth
    const end = this.pos
    if (stays && this.bytes[end] === COMMA && (this.bytes[end + 1] as number) > 0x20) {
      // As nearly always. What follows does it all.
      this.#stays[depth] = 1
      this.#beforeEnd[depth] = end
      this.pos = end + 1
      this.#mark()
      this.#begin()
      return true
    }
    let leading = -1
    if (stays) this.#stays[depth] = 1
    else {
      this.edits.rollback(this.#editsAt[depth] as number, this.#deltaAt[depth] as number)
      if (this.#stays[depth] === 1) this.edits.replace(this.#beforeEnd[depth] as number, end)
      else leading = this.#itemAt[depth] as number
    }
    this.#beforeEnd[depth] = end
    this.space()
    const byte = this.bytes[this.pos]
    if (byte === COMMA) {
      this.pos += 1
      this.#mark()
      this.space()
      if (leading >= 0) this.edits.replace(leading, this.pos)
      this.#begin()
      return true
    }
    if (byte !== closing) throw this.undecodable()
    if (leading >= 0) this.edits.replace(leading, end)
    this.pos += 1
    this.depth -= 1
    return false
  }

  /** Reads a member's name and stands at its value. */
  name(): void {
    if (this.bytes[this.pos] !== QUOTE) throw this.undecodable()
    this.string()
    this.space()
    if (this.bytes[this.pos] !== COLON) throw this.undecodable()
    this.pos += 1
    this.space()
  }

  /** Reads a string (the caller has seen its quote). */
  string(): void {
    const { bytes } = this
    let at = this.pos + 1
    this.from = at
    this.escaped = false
    for (;;) {
      while (STOPS[bytes[at] as number] === 0) at += 1
      if (bytes[at] === QUOTE) break
      this.pos = at
      if (bytes[at] !== BACKSLASH) throw this.undecodable()
      this.escaped = true
      at = this.#escape(at + 1)
    }
    this.to = at
    this.pos = at + 1
  }

  /** The string or number that was read last. */
  text(): string {
    const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.from, this.to - this.from).toString()
    return this.escaped ? JSON.parse(`"${text}"`) : text
  }

  isNumber(): boolean {
    return this.bytes[this.pos] === MINUS || isDigit(this.bytes[this.pos])
  }

  /** Reads a number (the caller has looked). */
  number(): void {
    const { bytes } = this
    this.from = this.pos
    this.escaped = false
    let at = this.pos
    if (bytes[at] === MINUS) at += 1
    at = bytes[at] === 0x30 ? at + 1 : this.#digits(at)
    if (bytes[at] === 0x2e) at = this.#digits(at + 1)
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      const signed = bytes[at + 1] === 0x2b || bytes[at + 1] === MINUS
      at = this.#digits(signed ? at + 2 : at + 1)
    }
    this.to = at
    this.pos = at
  }

  /** Passes over any value. */
  skip(): void {
    const byte = this.bytes[this.pos]
    if (byte === QUOTE) this.string()
    else if (byte === OBJECT) {
      for (let more = this.enter(); more; more = this.next(END_OBJECT, true)) {
        this.name()
        this.skip()
      }
    } else if (byte === LIST) {
      for (let more = this.enter(); more; more = this.next(END_LIST, true)) this.skip()
    } else if (this.isNumber()) this.number()
    else if (byte === LETTER_N) this.#word('null')
    else if (byte === 0x74) this.#word('true')
    else this.#word('false')
  }

  /** Passes over an object or list that has been read before, and so is one: no more than its end is looked for. */
  pass(): void {
    const { bytes } = this
    let at = this.pos
    let depth = 0
    do {
      const byte = bytes[at] as number
      at += 1
      if (byte === QUOTE) {
        while (bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
        at += 1
      } else if (byte === OBJECT || byte === LIST) depth += 1
      else if (byte === END_OBJECT || byte === END_LIST) depth -= 1
    } while (depth > 0 && at < bytes.length)
    this.pos = at
  }

  undecodable(): Undecodable {
    return new Undecodable(`The body is not JSON, near byte ${this.pos}.`)
  }

  #begin(): void {
    const depth = this.depth
    this.#itemAt[depth] = this.pos
    this.#editsAt[depth] = this.edits.count
    this.#deltaAt[depth] = this.edits.delta
  }

  #mark(): void {
    this.marks += 1
    if (this.marks > MAX_MARKS) throw tooManyMarks()
  }

  /** Passes over an escape after its backslash. */
  #escape(at: number): number {
    const char = String.fromCharCode(this.bytes[at] ?? 0)
    if (char === 'u') {
      const digits = Buffer.from(this.bytes.subarray(at + 1, at + 5)).toString('latin1')
      if (/^[\da-f]{4}$/i.test(digits)) return at + 5
    } else if ('"\\/bfnrt'.includes(char)) return at + 1
    throw this.undecodable()
  }

  #digits(from: number): number {
    let at = from
    while (isDigit(this.bytes[at])) at += 1
    if (at === from) throw this.undecodable()
    return at
  }

  #word(word: string): void {
    for (let index = 0; index < word.length; index += 1) {
      if (this.bytes[this.pos + index] !== word.charCodeAt(index)) throw this.undecodable()
    }
    this.pos += word.length
  }
}
