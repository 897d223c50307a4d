/**
 * Token buckets that all relays of one Redis have in common. Where it cannot be reached, each relay counts by itself: who
 * asks for a resume is not refused, and not waited for, because of what counts.
 */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { REDIS_PREFIX } from '../../redis.ts'
import {
  createQuotas,
  type Exceeded,
  HOUR_MS,
  type Holders,
  LEVELS,
  type Level,
  type Limits,
  type Quotas,
  type Unit,
} from './quotas.ts'

type Script = (keys: number, ...args: (string | number)[]) => Promise<unknown>

/** Once it has not answered, it is left alone for so long, milliseconds: not every caller is to wait for that. */
const AWAY_MS = 5_000
/** Longest wait for it. */
export const QUOTA_ANSWER_MS = 250

/** `secret` is what holders are told apart by in Redis: neither an address nor an install can be read there. */
export function createRedisQuotas(redis: Redis, limits: Limits, secret: string, now: () => number) {
  redis.defineCommand('takeFromBuckets', { lua: readFileSync(new URL('buckets.lua', import.meta.url), 'utf8') })
  const take = (redis as unknown as { takeFromBuckets: Script }).takeFromBuckets.bind(redis)
  const alone = createQuotas(limits, now)
  let awayUntil = 0
  const isAway = () => redis.status !== 'ready' || now() < awayUntil

  async function orAlone<T>(inCommon: () => Promise<T>, byItself: () => T): Promise<T> {
    if (isAway()) return byItself()
    try {
      return await inCommon()
    } catch {
      awayUntil = now() + AWAY_MS
      return byItself()
    }
  }

  function keyOf(level: Level, unit: Unit, holder: string): string {
    const name = createHmac('sha256', secret).update(holder).digest('base64url').slice(0, 22)
    return `${REDIS_PREFIX}:quota:${level}:${unit}:${name}`
  }

  function bucketsOf(holders: Holders, unit: Unit) {
    return LEVELS.flatMap((level) => {
      const [holder, limit] = [holders[level], limits[level][unit]]
      return holder === undefined || limit === undefined ? [] : [{ level, limit, key: keyOf(level, unit, holder) }]
    })
  }

  /** With a `cost` of what is to be taken, or only looked at. */
  async function ask(holders: Holders, unit: Unit, cost: number, takes: boolean): Promise<Exceeded | undefined> {
    const buckets = bucketsOf(holders, unit)
    if (buckets.length === 0) return undefined
    const keys = buckets.map(({ key }) => key)
    const args = [cost, takes ? 1 : 0, HOUR_MS, ...buckets.map(({ limit }) => limit)]
    const answer = (await take(keys.length, ...keys, ...args)) as [number, string, number] | null
    const bucket = answer && buckets[answer[0] - 1]
    if (!bucket) return undefined
    return { level: bucket.level, unit, limit: bucket.limit, left: Number(answer[1]), retryAfterS: answer[2] }
  }

  const quotas: Quotas = {
    exceeded: (...of) =>
      orAlone(
        () => ask(...of, false),
        () => alone.exceeded(...of),
      ),
    charge: (...of) =>
      orAlone(
        () => ask(...of, true),
        () => alone.charge(...of),
      ),
    async usage(level, holder, unit) {
      const limit = limits[level][unit]
      if (limit === undefined || isAway()) return undefined
      const left = await take(1, keyOf(level, unit, holder), 0, 2, HOUR_MS, limit)
      return { used: limit - Number(left), limit }
    },
  }
  return { quotas, state: () => (isAway() ? 'alone' : 'redis') }
}
