/** The way to a Redis or Valkey that servers or relays share: it comes back by itself, and nobody waits for it for long. */

import { Redis, type RedisOptions } from 'ioredis'

/** Longest wait for an answer, and for a connection, milliseconds. */
const REDIS_ANSWER_MS = 2_000
/** Between two tries to connect: doubling from the first to the second, and up to a half more. */
const RETRY_MS = { first: 50, longest: 2_000 }

/** Everything of this product begins like this. In braces: in a cluster all of it is in one place, as scripts need it. */
export const REDIS_PREFIX = '{pass-ats}'

/** Hears when it is away and when it is back, once each. */
export type OnReachable = (reachable: boolean, code?: string) => void

/**
 * For commands: each is answered, or fails within four seconds. Never throws; what is written while there is no connection
 * waits for the next try.
 */
export function connectRedis(url: string, onReachable: OnReachable = () => {}, options: RedisOptions = {}): Redis {
  const redis = new Redis(url, {
    connectTimeout: REDIS_ANSWER_MS,
    commandTimeout: REDIS_ANSWER_MS,
    maxRetriesPerRequest: 1,
    retryStrategy: (tries) => jittered(Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(tries, 10))),
    // A replica that was the primary a moment ago takes no writes: the name leads to another one by now.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...options,
  })
  let reachable: boolean | undefined
  const tell = (now: boolean, error?: Error & { code?: string }) => {
    if (reachable === now) return
    reachable = now
    onReachable(now, error?.code)
  }
  redis.on('ready', () => tell(true))
  redis.on('error', (error) => tell(false, error))
  redis.on('close', () => tell(false))
  return redis
}

/** One that waits for as long as it takes: for what listens, and for a queue that blocks. */
export function connectPatiently(url: string): Redis {
  return connectRedis(url, undefined, { maxRetriesPerRequest: null, commandTimeout: undefined as never })
}

function jittered(ms: number): number {
  return Math.round(ms * (1 + Math.random() / 2))
}
