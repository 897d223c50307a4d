/** What has been read in this request before, and need not be read again. */

import { isSame } from './byte-set.ts'

// With two less, two of a server span's attributes fell together and were read again each time.
const SLOT_BITS = 11
const SLOTS = 1 << SLOT_BITS
// One for all requests, which are scanned one after another: making them anew costs a small request a tenth of its time.
const FROMS = new Int32Array(SLOTS)
const LENGTHS = new Int32Array(SLOTS)
const MARKS = new Int32Array(SLOTS)

/**
 * Spans say the same again and again: what has been read once and found clean is known by its bytes when it stands
 * there a second time. Only the place of the first is kept, and the latest of those that fall together. A new one takes
 * the place of the one before it.
 */
export class Repeats {
  readonly #view: DataView
  // Kept: each time it is asked for is a call, and this is asked for each attribute.
  readonly #size: number
  #slot = 0
  /** How many marks what {@link at} found has. */
  marks = 0

  constructor(view: DataView) {
    this.#view = view
    this.#size = view.byteLength
    LENGTHS.fill(0)
  }

  /** How long that is which stands at `from` and is known to be clean; 0 when nothing is. Its name is at `key`. */
  at(from: number, key: number): number {
    const view = this.#view
    // Too near to the end to be read four bytes at once without asking; so is what could be remembered there.
    this.#slot = key + NAME_BYTES > this.#size ? SLOTS : slotOf(view, key)
    if (this.#slot === SLOTS) return 0
    const length = LENGTHS[this.#slot] as number
    if (length === 0 || from + length > this.#size) return 0
    if (!isSame(view, from, view, FROMS[this.#slot] as number, length)) return 0
    this.marks = MARKS[this.#slot] as number
    return length
  }

  /** Where {@link at} would look for what it was asked for last. */
  get slot(): number {
    return this.#slot
  }

  /** What stands there is clean. */
  remember(slot: number, from: number, to: number, marks: number): void {
    if (slot === SLOTS) return
    FROMS[slot] = from
    LENGTHS[slot] = to - from
    MARKS[slot] = marks
  }
}

const NAME_BYTES = 21

/** By those parts of a name in which ours differ. */
function slotOf(view: DataView, key: number): number {
  const mixed =
    Math.imul(view.getInt32(key, true), 0x2c1b3c6d) ^
    Math.imul(view.getInt32(key + 9, true), 0x297a2d39) ^
    Math.imul(view.getInt32(key + 13, true), 0x85ebca6b) ^
    Math.imul(view.getInt32(key + 17, true), 0x27d4eb2f)
  return Math.imul(mixed ^ (mixed >>> 15), 0x9e3779b1) >>> (32 - SLOT_BITS)
}
