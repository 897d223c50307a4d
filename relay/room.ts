/** Bounds of what is under way at once: bytes that are arriving, and work that takes memory. */
import { StoreUnavailable } from './store/writer-thread.ts'

/** What one request has of the room. */
export interface Share {
  /** Takes so many bytes more. Throws {@link StoreUnavailable} when there is no room for them. */
  take: (bytes: number) => void
  /** Gives all of them back. */
  leave: () => void
}

/**
 * So many bytes for all requests together. Without it each of the many connections there may be could bring its 20 MiB,
 * and take its time.
 */
export function createRoom(bytes: number): () => Share {
  let left = bytes
  return () => {
    let taken = 0
    return {
      take: (more) => {
        if (more > left) throw new StoreUnavailable('Too much is arriving at once.')
        left -= more
        taken += more
      },
      leave: () => {
        left += taken
        taken = 0
      },
    }
  }
}

/** Lets so many run at once; the others wait, in their order. */
export function createPlaces(places: number) {
  let free = places
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      // Handed on, not given back: nobody who comes just now gets in before those that wait.
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}
