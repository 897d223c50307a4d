/**
 * Our own documents first: while one is being compiled, what strangers have sent stands still. A lower priority would not
 * do, for where Linux groups processes by session, niceness counts within a session only.
 */
export class Precedence {
  #ahead = 0
  readonly #others = new Set<(still: boolean) => void>()

  /** Runs work that goes first. */
  async first<T>(work: () => Promise<T>): Promise<T> {
    if (++this.#ahead === 1) for (const stand of this.#others) stand(true)
    try {
      return await work()
    } finally {
      if (--this.#ahead === 0) for (const stand of this.#others) stand(false)
    }
  }

  /** `stand` hears at once, and each time that it changes, whether to stand still; until what is returned is called. */
  after(stand: (still: boolean) => void): () => void {
    this.#others.add(stand)
    stand(this.#ahead > 0)
    return () => this.#others.delete(stand)
  }
}
