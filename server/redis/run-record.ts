/** One run as it is in Redis: its keys, its fields, and who reads them. */

import type { Redis } from 'ioredis'
import { REDIS_PREFIX } from '../../redis.ts'
import type { Run, RunEvent } from '../contract.ts'
import { type Ended, isSyntheticOwner, type KnownRun, mayRunAgain, type Numbered, viewOf } from '../runs.ts'
import type { Seal } from './sealed.ts'

export const RUN_PREFIX = `${REDIS_PREFIX}:run:`
/** Runs under way, by the time at which they are to have ended; and all that are known, by when they began. */
export const OPEN = `${REDIS_PREFIX}:open`
export const RUNS = `${REDIS_PREFIX}:runs`

/** Events read at once. */
const PAGE = 500

export function keysOf(id: string) {
  const run = `${RUN_PREFIX}${id}`
  return { run, events: `${run}:events`, order: `${run}:order`, pdf: `${run}:pdf` }
}

/** What is known of a run, as it was when it was read. */
export class RunRecord implements KnownRun {
  readonly id: string
  readonly owner: string
  readonly attempt: number
  readonly startedAt: number
  readonly requestId: string | undefined
  readonly waitingSpanId: string
  readonly elapsedMs: number | undefined
  /** How often a server has begun to work on it, within this posting of it. */
  readonly claims: number
  readonly end: Ended | undefined
  readonly #last: RunEvent['type'] | undefined
  readonly #follow: (lastId: number, signal: AbortSignal) => AsyncGenerator<Numbered>

  constructor(
    id: string,
    fields: Record<string, string>,
    seal: Seal,
    follow: (id: string, lastId: number, signal: AbortSignal) => AsyncGenerator<Numbered>,
  ) {
    this.id = id
    this.owner = fields.owner ?? ''
    this.attempt = Number(fields.attempt)
    this.startedAt = Number(fields.startedAt)
    this.requestId = fields.requestId || undefined
    this.waitingSpanId = fields.span ?? ''
    this.elapsedMs = fields.elapsedMs ? Number(fields.elapsedMs) : undefined
    this.claims = Number(fields.claims)
    this.end = fields.end ? (eventIn(seal, id, fields.end) as Ended) : undefined
    this.#last = fields.last as RunEvent['type'] | undefined
    this.#follow = (lastId, signal) => follow(id, lastId, signal)
  }

  get synthetic(): boolean {
    return isSyntheticOwner(this.owner)
  }

  get canRunAgain(): boolean {
    return mayRunAgain(this.end, this.attempt)
  }

  after(lastId: number, signal: AbortSignal): AsyncGenerator<Numbered> {
    return this.#follow(lastId, signal)
  }

  view(): Run {
    return viewOf(this.id, this.#last)
  }
}

export function sealEvent(seal: Seal, id: string, event: RunEvent): string {
  return seal.closeJson(`event of ${id}`, event).toString('base64')
}

function eventIn(seal: Seal, id: string, sealed: string): RunEvent {
  return seal.openJson(`event of ${id}`, Buffer.from(sealed, 'base64')) as RunEvent
}

/** What came after an event, and how the run stands with it: read at one moment. Undefined when it is not known any more. */
export async function readAfter(redis: Redis, seal: Seal, id: string, lastId: number) {
  const { run, events } = keysOf(id)
  const answers = await redis
    .multi()
    .xrange(events, `(${Math.max(0, lastId)}-0`, '+', 'COUNT', PAGE)
    .hmget(run, 'attempt', 'type', 'claims')
    .exec()
  const failed = answers?.find(([error]) => error)?.[0]
  if (!answers || failed) throw failed ?? new Error('Redis has dropped a transaction.')
  const [entries, [attempt, type, claims]] = answers.map(([, answer]) => answer) as [
    [string, string[]][],
    (string | null)[],
  ]
  if (attempt == null) return undefined
  return {
    events: entries.map(([at, [, sealed = '']]) => ({
      id: Number(at.split('-')[0]),
      event: eventIn(seal, id, sealed),
    })),
    hasEnded: type != null,
    isWaiting: claims === '0',
  }
}
