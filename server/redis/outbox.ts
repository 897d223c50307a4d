/**
 * The outbox of several servers, in Redis. What one of them sends is not due for the others, for as long as that may take: a
 * server that dies with it leaves it to them, and it is sent once more, under the same ID.
 */

import type { Redis } from 'ioredis'
import { METRICS } from '../../metric-names.ts'
import { counter } from '../../metrics.ts'
import { REDIS_PREFIX } from '../../redis.ts'
import { type Delivery, MAX_DEAD, type Outbox } from '../webhooks/outbox.ts'
import { type Script, scriptOn } from './scripts.ts'

const deadLetters = counter(METRICS.webhookDeadLetters)

const key = (name: string) => `${REDIS_PREFIX}:webhooks:${name}`
/** By `id endpoint`: all of them, when those are due that wait, when those came that wait; endpoints that want no more; the dead. */
const [LETTERS, DUE, CREATED, DISABLED, DEAD] = [
  key('letters'),
  key('due'),
  key('created'),
  key('disabled'),
  key('dead'),
]
export const OUTBOX = [LETTERS, DUE, CREATED, DISABLED, DEAD] as const
/** Endpoints that asked to be left alone for a while. */
const HELD = key('held')

/** Longer than an attempt takes, milliseconds. */
const SENDING_MS = 60_000
/** Looked at for what may be sent, at once. */
const MAX_LOOKED_AT = 1_000

export class RedisOutbox implements Outbox {
  readonly #redis: Redis
  readonly #due: Script
  readonly #again: Script
  readonly #bury: Script
  readonly #dig: Script

  constructor(redis: Redis) {
    this.#redis = redis
    this.#due = scriptOn(redis, 'due')
    this.#again = scriptOn(redis, 'again')
    this.#bury = scriptOn(redis, 'bury')
    this.#dig = scriptOn(redis, 'dig')
  }

  async due(now: number, room: number): Promise<Delivery[]> {
    const letters = await this.#due([...OUTBOX, HELD], [now, room, now + SENDING_MS, MAX_LOOKED_AT])
    return (letters as string[]).map(toDelivery)
  }

  async nextDueAfter(now: number): Promise<number | undefined> {
    const [, at] = await this.#redis.zrangebyscore(DUE, `(${now}`, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    return at === undefined ? undefined : Number(at)
  }

  async oldestWaiting(): Promise<number | undefined> {
    const [, at] = await this.#redis.zrange(CREATED, '0', '0', 'WITHSCORES')
    return at === undefined ? undefined : Number(at)
  }

  async taken(delivery: Delivery): Promise<void> {
    const letter = keyOf(delivery)
    await this.#redis.multi().hdel(LETTERS, letter).zrem(DUE, letter).zrem(CREATED, letter).exec()
  }

  async again(delivery: Delivery, reason: string, dueAt: number, holdUntil?: number): Promise<void> {
    const hold = holdUntil === undefined ? [] : [delivery.endpoint, holdUntil]
    await this.#again([...OUTBOX, HELD], [keyOf(delivery), reason, dueAt, ...hold])
  }

  async dead(delivery: Delivery, reason: string): Promise<number> {
    const { lost } = await this.#buried('one', reason, [keyOf(delivery)])
    return lost
  }

  async disable(endpoint: string, now: number, reason: string): Promise<void> {
    await this.#redis.hset(DISABLED, { [endpoint]: now })
    await this.#buried('of', reason, [endpoint])
  }

  async keepOnly(endpoints: readonly string[]): Promise<void> {
    await this.#buried('others', 'not_configured', endpoints)
  }

  async deadLetters(): Promise<Delivery[]> {
    const keys = await this.#redis.zrange(DEAD, '0', '-1')
    if (keys.length === 0) return []
    return (await this.#redis.hmget(LETTERS, ...keys)).flatMap((letter) => (letter ? [toDelivery(letter)] : []))
  }

  waiting(): Promise<number> {
    return this.#redis.zcard(CREATED)
  }

  async disabled(): Promise<{ url: string; disabledAt: number }[]> {
    const endpoints = Object.entries(await this.#redis.hgetall(DISABLED))
    return endpoints.map(([url, at]) => ({ url, disabledAt: Number(at) }))
  }

  async replay(id: string | 'all', now: number): Promise<number> {
    return Number(await this.#dig([...OUTBOX], [id, now]))
  }

  async drop(id: string | 'all'): Promise<number> {
    return Number(await this.#dig([...OUTBOX], [id, '']))
  }

  async enable(endpoint: string): Promise<boolean> {
    return (await this.#redis.hdel(DISABLED, endpoint)) > 0
  }

  async #buried(which: 'one' | 'of' | 'others', reason: string, what: readonly string[]): Promise<{ lost: number }> {
    const [buried, lost] = (await this.#bury([...OUTBOX], [which, reason, MAX_DEAD, ...what])) as [number, number]
    deadLetters.add({}, buried)
    return { lost }
  }
}

function keyOf({ id, endpoint }: Delivery): string {
  return `${id} ${endpoint}`
}

function toDelivery(letter: string): Delivery {
  return JSON.parse(letter) as Delivery
}
