import { randomBytes } from 'node:crypto'

/** What a request tells about one trace. */
export interface TraceFacts {
  spans: number
  /** Some span has the status code 2. */
  error: boolean
}

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

  /** By trace ID, 32 lower-case hex digits, in order of appearance. */
  facts(): Map<string, TraceFacts> {
    const facts = new Map<string, TraceFacts>()
    const ids = Buffer.alloc(this.#spans.length * 16)
    for (let at = 0; at < ids.length; at += 4) ids.writeInt32BE(this.#words[at / 4] as number, at)
    const digits = ids.toString('hex')
    for (const [index, spans] of this.#spans.entries()) {
      facts.set(digits.slice(index * 32, index * 32 + 32), { spans, error: this.#errors[index] as boolean })
    }
    return facts
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
