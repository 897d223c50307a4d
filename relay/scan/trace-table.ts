/** The traces that a request has spans of, as they are met. */

import { randomBytes } from 'node:crypto'
import { TRACE_BYTES } from './trace-list.ts'

/** Not to be guessed from outside: with known slots, IDs could be chosen that all want the same. */
const SEED = randomBytes(4).readInt32LE()

const SLOTS = 256
// One for all requests, which are scanned one after another; who has more traces makes larger ones.
const FIRST_SLOTS = new Int32Array(SLOTS)
const FIRST_WORDS = new Int32Array(SLOTS * 2)

/** Counts spans by trace, without a string for each of them: an ID is four 32-bit words. A new one ends the one before. */
export class TraceTable {
  #slots = FIRST_SLOTS.fill(-1)
  #words = FIRST_WORDS
  #spans: number[] = []
  #errors: boolean[] = []
  #last = -1

  /** Counts a span of the trace with these words, high bits first. */
  add(a: number, b: number, c: number, d: number, error: boolean): void {
    const index = this.#is(this.#last, a, b, c, d) ? this.#last : this.#find(a, b, c, d)
    this.#last = index
    this.#spans[index] = (this.#spans[index] as number) + 1
    if (error) this.#errors[index] = true
  }

  /** In order of appearance, packed. */
  packed(): Uint8Array {
    const packed = new Uint8Array(this.#spans.length * TRACE_BYTES)
    const view = new DataView(packed.buffer)
    for (let index = 0, at = 0; index < this.#spans.length; index += 1) {
      for (let word = 0; word < 4; word += 1, at += 4) view.setInt32(at, this.#words[index * 4 + word] as number)
      view.setUint32(at, (this.#spans[index] as number) * 2 + Number(this.#errors[index]))
      at += 4
    }
    return packed
  }

  #is(index: number, a: number, b: number, c: number, d: number): boolean {
    const words = this.#words
    const at = index * 4
    return index >= 0 && words[at + 3] === d && words[at + 2] === c && words[at + 1] === b && words[at] === a
  }

  #find(a: number, b: number, c: number, d: number): number {
    const mask = this.#slots.length - 1
    let slot = mix(a, b, c, d) & mask
    for (let index = this.#slots[slot] as number; index >= 0; index = this.#slots[slot] as number) {
      if (this.#is(index, a, b, c, d)) return index
      slot = (slot + 1) & mask
    }
    const index = this.#spans.length
    if (index * 2 >= mask) {
      this.#grow()
      return this.#find(a, b, c, d)
    }
    this.#slots[slot] = index
    const words = this.#words
    words[index * 4] = a
    words[index * 4 + 1] = b
    words[index * 4 + 2] = c
    words[index * 4 + 3] = d
    this.#spans.push(0)
    this.#errors.push(false)
    return index
  }

  #grow(): void {
    const size = this.#slots.length * 2
    const words = new Int32Array(size * 2)
    words.set(this.#words)
    this.#words = words
    this.#slots = new Int32Array(size).fill(-1)
    for (let index = 0; index < this.#spans.length; index += 1) {
      const [a = 0, b = 0, c = 0, d = 0] = words.subarray(index * 4, index * 4 + 4)
      let slot = mix(a, b, c, d) & (size - 1)
      while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & (size - 1)
      this.#slots[slot] = index
    }
  }
}

function mix(a: number, b: number, c: number, d: number): number {
  let mixed = SEED
  for (let round = 0; round < 4; round += 1) {
    mixed = Math.imul(mixed ^ (round === 0 ? a : round === 1 ? b : round === 2 ? c : d), 0x85ebca6b)
    mixed ^= mixed >>> 15
  }
  return mixed
}
