/** What the model has cost today, of all servers of one Redis. */

import type { Redis } from 'ioredis'
import { REDIS_PREFIX } from '../../redis.ts'
import type { Exhausted, Holder, Use, UseStore } from '../quota.ts'
import { reached, type Script, scriptOn } from './scripts.ts'

/** Longer than the day that is counted, seconds: what is corrected late finds it. */
const LIFE_S = 2 * 86_400

export class RedisUse implements UseStore {
  readonly #redis: Redis
  readonly #script: Script

  constructor(redis: Redis) {
    this.#redis = redis
    this.#script = scriptOn(redis, 'use')
  }

  async take(day: number, who: readonly Holder[], tokens: number): Promise<Exhausted | undefined> {
    const holders = who.flatMap(({ name, most }) => [name, most])
    const full = Number(await reached(this.#script([keyOf(day)], [tokens, 0, LIFE_S, ...holders])))
    return who[full - 1]?.level
  }

  async correct(day: number, who: readonly Holder[], tokens: number, resumes: number): Promise<void> {
    // A correction is of what was taken: no limit stands against it. Where it cannot be written, what was set aside stays
    // used, and the run has its resume.
    const holders = who.flatMap(({ name }) => [name, ''])
    await this.#script([keyOf(day)], [tokens, resumes, LIFE_S, ...holders]).catch(() => undefined)
  }

  async used(day: number, who: string): Promise<Use> {
    const [tokens, resumes] = await reached(this.#redis.hmget(keyOf(day), `${who} tokens`, `${who} resumes`))
    return { tokens: Number(tokens), resumes: Number(resumes) }
  }
}

function keyOf(day: number): string {
  return `${REDIS_PREFIX}:model-use:${day}`
}
