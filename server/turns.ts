/** Bounded concurrency with a bounded, visible queue: who waits is told how many are ahead. */

import { Failure } from './failure.ts'

interface Waiter {
  start: () => void
  moved: () => void
}

export class Turns {
  readonly #concurrency: number
  readonly #queueLimit: number
  readonly #waiting: Waiter[] = []
  #running = 0

  constructor({ concurrency, queueLimit }: { concurrency: number; queueLimit: number }) {
    this.#concurrency = concurrency
    this.#queueLimit = queueLimit
  }

  /**
   * Runs work when its turn comes. `onQueued` hears how many wait before it, each time that changes. Throws
   * Failure('overloaded') at once when the queue is full, Failure('interrupted'), or the signal's own, when aborted while waiting.
   */
  async run<T>(
    work: () => Promise<T>,
    { signal, onQueued }: { signal?: AbortSignal | undefined; onQueued?: ((ahead: number) => void) | undefined } = {},
  ): Promise<T> {
    if (signal?.aborted) throw Failure.ofAbort(signal)
    if (this.#running < this.#concurrency) this.#running++
    else await this.#wait(signal, onQueued)
    try {
      return await work()
    } finally {
      // The place is handed on, not given back: nobody who comes now can slip in before those who wait.
      const next = this.#waiting.shift()
      if (next) next.start()
      else this.#running--
      this.#tellPlaces()
    }
  }

  #wait(signal: AbortSignal | undefined, onQueued: ((ahead: number) => void) | undefined): Promise<void> {
    if (this.#waiting.length >= this.#queueLimit) throw new Failure('overloaded')
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(signal ? Failure.ofAbort(signal) : new Failure('interrupted'))
        this.#tellPlaces()
      }
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
        moved: () => onQueued?.(this.#waiting.indexOf(waiter)),
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiter)
      waiter.moved()
    })
  }

  #tellPlaces(): void {
    for (const waiter of this.#waiting) waiter.moved()
  }
}
