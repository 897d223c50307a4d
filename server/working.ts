/** The work under way in this process. */

export class Working {
  readonly #under = new Set<Promise<unknown>>()

  /** Counts the work in until it settles; gives it back as it is. */
  add<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.then(
      () => this.#under.delete(settled),
      () => this.#under.delete(settled),
    )
    this.#under.add(settled)
    return work
  }

  /** Resolves when nothing is under way. Never rejects. */
  async done(): Promise<void> {
    await Promise.all(this.#under)
  }
}
