/**
 * What is to be changed in a body, by position; everything between is copied as it is.
 *
 * Three lists of numbers and not one of objects: a body of nothing but unlisted attributes has a million of them.
 */
export class Edits {
  #froms: number[] = []
  #tos: number[] = []
  #texts: (Uint8Array | undefined)[] = []
  /** Bytes by which the body grows (or, negative, shrinks). */
  delta = 0

  get count(): number {
    return this.#froms.length
  }

  /** Puts `text` in the place of the bytes from `from` to `to`; none takes them out. */
  replace(from: number, to: number, text?: Uint8Array): void {
    this.#froms.push(from)
    this.#tos.push(to)
    this.#texts.push(text)
    this.delta += (text?.length ?? 0) - (to - from)
  }

  /** Takes bytes out that may follow on what was taken out last; nothing may have been rolled back to within that. */
  remove(from: number, to: number): void {
    const last = this.count - 1
    if (last < 0 || this.#tos[last] !== from || this.#texts[last] !== undefined) {
      this.replace(from, to)
      return
    }
    this.#tos[last] = to
    this.delta -= to - from
  }

  /** Forgets every edit but the first `count`; `delta` is what it was then. */
  rollback(count: number, delta: number): void {
    // Nearly always: to set the length of an array is slow, even to what it is.
    if (this.count === count) return
    this.#froms.length = count
    this.#tos.length = count
    this.#texts.length = count
    this.delta = delta
  }

  /** The edited body; the very same when there is nothing to edit. */
  apply(body: Uint8Array): Uint8Array {
    if (this.count === 0) return body
    // Not initialized: every byte is written below.
    const edited = Buffer.allocUnsafe(body.length + this.delta)
    const source = Buffer.from(body.buffer, body.byteOffset, body.length)
    let read = 0
    let write = 0
    for (const index of this.#inOrder()) {
      const text = this.#texts[index]
      write += source.copy(edited, write, read, this.#froms[index])
      if (text) edited.set(text, write)
      write += text?.length ?? 0
      read = this.#tos[index] as number
    }
    source.copy(edited, write, read)
    return edited
  }

  #inOrder(): Iterable<number> {
    const order = Uint32Array.from(this.#froms, (_, index) => index)
    // The length of a message is edited after what is in it, and stands before it.
    return order.sort((a, b) => (this.#froms[a] as number) - (this.#froms[b] as number) || a - b)
  }
}
