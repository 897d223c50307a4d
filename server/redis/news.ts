/** Who hears that something is new: told by Redis, and after every time that it was away, since what it said then is lost. */

import type { Redis } from 'ioredis'

export class News {
  readonly #redis: Redis
  readonly #listeners = new Map<string, Set<() => void>>()

  /** The connection is for nothing else from now on. */
  constructor(redis: Redis) {
    this.#redis = redis
    redis.on('message', (channel: string) => this.#tell(channel))
    redis.on('ready', () => {
      for (const channel of this.#listeners.keys()) this.#tell(channel)
    })
  }

  /** Calls back whenever something is new there, until the function that it returns is called. */
  listen(channel: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(channel, listeners)
    // Where it cannot be told now, it is when the connection is back.
    if (listeners.size === 1) this.#redis.subscribe(channel).catch(() => undefined)
    return () => {
      listeners.delete(listener)
      if (listeners.size > 0) return
      this.#listeners.delete(channel)
      this.#redis.unsubscribe(channel).catch(() => undefined)
    }
  }

  #tell(channel: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener()
  }
}
