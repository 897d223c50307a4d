/** What Redis is asked: scripts that it runs whole, each a file and sent once; and what becomes of an answer that does not come. */

import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { Failure } from '../failure.ts'

type Argument = string | number | Buffer
export type Script = (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>

/** Throws, when it is called, what Redis or the way to it has against it. */
export function scriptOn(redis: Redis, name: string, folder = new URL('.', import.meta.url)): Script {
  redis.defineCommand(name, { lua: readFileSync(new URL(`${name}.lua`, folder), 'utf8') })
  const command = (redis as unknown as Record<string, (keys: number, ...args: Argument[]) => Promise<unknown>>)[name]
  return (keys, args) => command?.call(redis, keys.length, ...keys, ...args) ?? Promise.reject(new Error(name))
}

/** What Redis, or the way to it, has against something is one failure to whoever asked. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw cause instanceof Failure ? cause : new Failure('runs_unavailable', { cause })
  }
}
