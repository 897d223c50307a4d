/** OTLP's messages in JSON: members by name, and values of the kind they must be. */
import { Undecodable } from '../otlp.ts'
import { ByteSet, viewOf } from './byte-set.ts'
import { JsonReader, LETTER_N, LIST, OBJECT, QUOTE } from './json-reader.ts'

/** Every member of every message, numbered. */
export const MEMBER = {
  resourceSpans: 0,
  resource: 1,
  scopeSpans: 2,
  scope: 3,
  spans: 4,
  entityRefs: 5,
  idKeys: 6,
  descriptionKeys: 7,
  attributes: 8,
  traceId: 9,
  spanId: 10,
  parentSpanId: 11,
  traceState: 12,
  flags: 13,
  name: 14,
  kind: 15,
  startTimeUnixNano: 16,
  endTimeUnixNano: 17,
  events: 18,
  links: 19,
  status: 20,
  droppedAttributesCount: 21,
  droppedEventsCount: 22,
  droppedLinksCount: 23,
  timeUnixNano: 24,
  code: 25,
  message: 26,
  key: 27,
  value: 28,
  schemaUrl: 29,
  version: 30,
  type: 31,
  stringValue: 32,
  boolValue: 33,
  intValue: 34,
  doubleValue: 35,
  arrayValue: 36,
  kvlistValue: 37,
  bytesValue: 38,
  values: 39,
} as const
const MEMBERS = new ByteSet(Object.keys(MEMBER))
/** As they stand there, where no spaces are written. */
const SPELLED = new ByteSet(Object.keys(MEMBER).map((name) => `"${name}":`))

const INTEGER = /^-?\d{1,20}$/
const MAX_UINT64 = 2n ** 64n - 1n
const MIN_INT64 = -(2n ** 63n)
const DOUBLE = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i

/** What is parsed as infinite. Not yet in TypeScript's library. */
const TOO_LARGE = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('1e400')

export class JsonMessages extends JsonReader {
  /** Whether some object has a member twice: then what was read is void, for the last one counts. */
  repeated = false
  #fault: string | undefined
  /** The member that was read last, and of each the one that came after it. */
  #last = 0
  readonly #followers = new Uint8Array(64)
  /** Which were seen, a bit each, by depth. */
  readonly #seen = new Int32Array(256)
  readonly #seenFrom32 = new Int32Array(256)

  /** Whether nothing was found wrong, or twice, so far. */
  get isSound(): boolean {
    return !this.repeated && this.#fault === undefined
  }

  /** Throws what was found wrong, unless something is said twice: the wrong one may not be the one that counts. */
  override finish(): void {
    super.finish()
    if (this.#fault !== undefined && !this.repeated) throw new Undecodable(this.#fault)
  }

  /** Opens a message that may be null; false when there is nothing in it. */
  message(what: string): boolean {
    return !this.isNull() && this.item(what)
  }

  /** Opens a message that may not be null; false when there is nothing in it. */
  item(what: string): boolean {
    if (this.bytes[this.pos] !== OBJECT) {
      this.mismatch(`${what} is not an object`)
      return false
    }
    const more = this.enter()
    if (more) {
      this.#seen[this.depth] = 0
      this.#seenFrom32[this.depth] = 0
    }
    return more
  }

  /** Opens a list that may be null; false when there is nothing in it. */
  list(what: string): boolean {
    if (this.bytes[this.pos] === LIST) return this.enter()
    if (!this.isNull()) this.mismatch(`${what} is not a list`)
    return false
  }

  /** Reads a member's name; -1 when no message has it. */
  member(): number {
    // Senders write members in one order: the one that came after the last one comes again.
    const expected = this.#followers[this.#last] as number
    const length = SPELLED.spelledAt(expected, this.view, this.pos, this.bytes.length)
    const member = length > 0 ? expected : this.#otherMember()
    if (length > 0) {
      this.pos += length
      this.space()
    }
    if (member < 0) return member
    this.#followers[this.#last] = member
    this.#last = member
    const seen = member < 32 ? this.#seen : this.#seenFrom32
    const bit = 1 << (member & 31)
    const before = seen[this.depth] as number
    if (before & bit) this.repeated = true
    seen[this.depth] = before | bit
    return member
  }

  #otherMember(): number {
    this.name()
    if (!this.escaped) return MEMBERS.indexOf(this.view, this.from, this.to)
    const name = Buffer.from(this.text())
    return MEMBERS.indexOf(viewOf(name), 0, name.length)
  }

  /** Reads a text; false for null. */
  textOf(what: string): boolean {
    if (this.bytes[this.pos] === QUOTE) {
      this.string()
      return true
    }
    if (!this.isNull()) this.mismatch(`${what} is not a text`)
    return false
  }

  boolean(what: string): void {
    const byte = this.bytes[this.pos]
    if (byte === 0x74 || byte === 0x66 || byte === LETTER_N) this.skip()
    else this.mismatch(`${what} is not true or false`)
  }

  /** An integer as a number or, unless it is of an enum, a text; undefined for null. */
  integer(what: string, asText = true): number | undefined {
    const { bytes, pos } = this
    const isText = bytes[pos] === QUOTE && asText
    if (!isText && !this.isNumber()) {
      if (!this.isNull()) this.mismatch(`${what} is not an integer`)
      return undefined
    }
    if (isText) this.string()
    else this.number()
    const short = this.#shortInteger()
    if (short !== undefined) return short
    const text = this.text()
    const value = isText && !INTEGER.test(text) ? Number.NaN : Number(text)
    if (Number.isInteger(value) && (!isText || isInt64(text))) return value
    this.fault(`${what} is not an integer`)
    return undefined
  }

  /** A time: decimal digits as a text, or a number. */
  nanos(what: string): void {
    if (this.#isUsualTime()) return
    if (this.bytes[this.pos] === QUOTE) {
      this.string()
      if (this.#shortInteger() !== undefined || /^\d{1,20}$/.test(this.text())) {
        // 64 bits, which is more than 19 digits, and less than 20.
        if (this.to - this.from < 20 || BigInt(this.text()) <= MAX_UINT64) return
      }
    } else if (this.isNumber()) {
      this.number()
      if (this.#shortInteger() !== undefined) return
      const value = Number(this.text())
      if (Number.isInteger(value) && value >= 0 && value < 2 ** 64) return
    } else {
      if (!this.isNull()) this.mismatch(`${what} is not a 64-bit number`)
      return
    }
    this.fault(`${what} is not a 64-bit number`)
  }

  /** Passes over 19 digits in quotes: a time between 2001 and 2286. */
  #isUsualTime(): boolean {
    const { bytes, pos } = this
    if (bytes[pos] !== QUOTE || bytes[pos + 20] !== QUOTE) return false
    for (let at = pos + 1; at < pos + 20; at += 1) {
      const digit = (bytes[at] as number) - 0x30
      if (digit < 0 || digit > 9) return false
    }
    this.pos += 21
    return true
  }

  /** A number as it is or in a text. JSON has none that are not finite, and a text has them by name only. */
  double(what: string): void {
    const isText = this.bytes[this.pos] === QUOTE
    if (!isText && !this.isNumber()) {
      if (!this.isNull()) this.mismatch(`${what} is not a number`)
      return
    }
    if (isText) this.string()
    else this.number()
    if (this.#shortInteger() !== undefined) return
    const text = this.text()
    if (isText && /^(?:NaN|-?Infinity)$/.test(text)) return
    if ((isText && !DOUBLE.test(text)) || !Number.isFinite(Number(text))) this.fault(`${what} is not a number`)
  }

  /** Passes over a value that is not what it must be. */
  mismatch(what: string): void {
    this.fault(what)
    this.skip()
  }

  fault(what: string): void {
    this.#fault ??= `${what}, near byte ${this.pos}.`
  }

  /** The value of up to 19 digits and nothing else, roughly. */
  #shortInteger(): number | undefined {
    if (this.escaped || this.to - this.from > 19 || this.to === this.from) return undefined
    let value = 0
    for (let at = this.from; at < this.to; at += 1) {
      const digit = (this.bytes[at] as number) - 0x30
      if (digit < 0 || digit > 9) return undefined
      value = value * 10 + digit
    }
    return value
  }
}

function isInt64(text: string): boolean {
  const value = BigInt(text)
  return value >= MIN_INT64 && value <= MAX_UINT64
}

/**
 * A body in which nothing is said twice, with the same meaning. Only for what has been read to its end: before, it
 * could be more than there is memory for.
 */
export function withoutRepetition(body: Uint8Array): Uint8Array {
  const value: unknown = JSON.parse(new TextDecoder().decode(body))
  // Too large a number would become null, which is another value.
  const isTooLarge = (item: unknown) => item === Number.POSITIVE_INFINITY || item === Number.NEGATIVE_INFINITY
  return Buffer.from(JSON.stringify(value, (_, item) => (isTooLarge(item) ? TOO_LARGE : item)))
}
