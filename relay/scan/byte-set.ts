/** A closed list of ASCII strings, asked about bytes where they lie: no string is made of what is looked up. */
export class ByteSet {
  readonly #heads = new Int16Array(1_024).fill(-1)
  readonly #nexts: Int16Array
  readonly #starts: Int32Array
  readonly #lengths: Int32Array
  readonly #view: DataView

  constructor(strings: readonly string[]) {
    const texts = strings.map((string) => Buffer.from(string, 'latin1'))
    this.#nexts = new Int16Array(texts.length)
    this.#starts = new Int32Array(texts.length)
    this.#lengths = Int32Array.from(texts, ({ length }) => length)
    this.#view = viewOf(Uint8Array.from(Buffer.concat(texts)))
    let start = 0
    for (const [index, { length }] of texts.entries()) {
      this.#starts[index] = start
      const slot = slotOf(this.#view, start, length)
      this.#nexts[index] = this.#heads[slot] as number
      this.#heads[slot] = index
      start += length
    }
  }

  /** Where in the list the string stands that is spelled from `from` to `to`; -1 when it is not there. */
  indexOf(view: DataView, from: number, to: number): number {
    const length = to - from
    let index = this.#heads[slotOf(view, from, length)] as number
    while (index >= 0 && !(this.#lengths[index] === length && this.#spells(index, view, from, length))) {
      index = this.#nexts[index] as number
    }
    return index
  }

  /** How long the string at this place is if it is spelled from `from` on, before `end`; otherwise 0. */
  spelledAt(index: number, view: DataView, from: number, end: number): number {
    const length = this.#lengths[index] as number
    return from + length <= end && this.#spells(index, view, from, length) ? length : 0
  }

  #spells(index: number, view: DataView, from: number, length: number): boolean {
    return isSame(view, from, this.#view, this.#starts[index] as number, length)
  }
}

/** Whether the same bytes stand in both places; the caller has seen that there are so many. */
export function isSame(one: DataView, from: number, other: DataView, start: number, length: number): boolean {
  if (length >= 8) {
    const last = length - 8
    for (let at = 0; at < last; at += 8) {
      if (one.getBigInt64(from + at, true) !== other.getBigInt64(start + at, true)) return false
    }
    // The last eight, some of them a second time: a few single ones would take as long as all that is before them.
    return one.getBigInt64(from + last, true) === other.getBigInt64(start + last, true)
  }
  let at = 0
  for (; at + 4 <= length; at += 4) {
    if (one.getInt32(from + at, true) !== other.getInt32(start + at, true)) return false
  }
  for (; at < length; at += 1) if (one.getUint8(from + at) !== other.getUint8(start + at)) return false
  return true
}

/** The bytes of a body, to be read four at once. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** By length, beginning and end: names differ in these. */
function slotOf(view: DataView, from: number, length: number): number {
  if (length < 4) return length === 0 ? 0 : (view.getUint8(from) * 7 + length) & 1_023
  const mixed = Math.imul(view.getInt32(from, true), 31) + view.getInt32(from + length - 4, true) + length
  return Math.imul(mixed, 0x9e3779b1) >>> 22
}
