/**
 * How much an install, a network address and everybody together may ask for within an hour: token buckets. And how much
 * a synthetic check may, which is in nobody else's.
 */

/** What is counted. Registrations and renewals are those of installs; all others say what they are. */
export const UNITS = ['bytes', 'spans', 'runs', 'keeps', 'registrations', 'renewals'] as const
export type Unit = (typeof UNITS)[number]
export const LEVELS = ['install', 'address', 'overall', 'synthetic'] as const
export type Level = (typeof LEVELS)[number]
/** Units an hour, which is also how many may be taken at once after an hour of silence. What is absent is not limited. */
export type Limits = Record<Level, Partial<Record<Unit, number>>>

/**
 * A browser makes 10 KB of spans in a run and sends few of them. An address may be an office, or a provider's whole
 * town. Overall is what one relay on a small machine takes without falling behind. A synthetic check asks a few times a
 * minute.
 */
export const DEFAULT_LIMITS: Limits = {
  install: { bytes: 16_000_000, spans: 20_000, runs: 60, keeps: 20, renewals: 60 },
  address: { bytes: 160_000_000, spans: 200_000, runs: 300, keeps: 100, registrations: 200 },
  overall: { bytes: 4_000_000_000, spans: 5_000_000, runs: 2_000, keeps: 600, registrations: 5_000 },
  synthetic: { bytes: 16_000_000, spans: 20_000, runs: 600, keeps: 60, registrations: 600, renewals: 600 },
}

export const HOUR_MS = 3_600_000
/** Buckets a level; the one that was not asked for longest goes. A bucket nobody has is a full one. */
const MAX_BUCKETS = 20_000

interface Bucket {
  left: number
  /** When it had so many, milliseconds. */
  at: number
}

/** The bucket that ran out. */
export interface Exceeded {
  level: Level
  unit: Unit
  /** Units an hour. */
  limit: number
  left: number
  /** Until there is enough for what was asked, seconds; at least 1. */
  retryAfterS: number
}

/** Whom a charge is for; a level that is left out is not charged. */
export type Holders = Partial<Record<Level, string>>

type Awaitable<T> = T | Promise<T>

/** Where buckets are: of this relay (`createQuotas`), or of several (`redis-quotas.ts`). */
export interface Quotas {
  /**
   * Which bucket holds less than `cost`, the one to wait for longest. What costs more than a bucket ever holds needs
   * a full one.
   */
  exceeded(holders: Holders, unit: Unit, cost: number): Awaitable<Exceeded | undefined>
  /** Takes `cost` from every bucket, which may leave a debt; or from none, and tells which one is exceeded. */
  charge(holders: Holders, unit: Unit, cost: number): Awaitable<Exceeded | undefined>
  /** What a holder has used of what it may within an hour, and how much that is; undefined when it has no limit. */
  usage(level: Level, holder: string, unit: Unit): Awaitable<{ used: number; limit: number } | undefined>
}

export function createQuotas(limits: Limits, now: () => number, maxBuckets = MAX_BUCKETS) {
  const buckets = Object.fromEntries(LEVELS.map((level) => [level, new Map()])) as Record<Level, Map<string, Bucket>>

  /** What is in a bucket by now. */
  function leftIn(key: string, level: Level, limit: number): number {
    const bucket = buckets[level].get(key)
    if (!bucket) return limit
    // A clock that was set back fills nothing, and goes on from where it is.
    bucket.at = Math.min(bucket.at, now())
    return Math.min(limit, bucket.left + ((now() - bucket.at) * limit) / HOUR_MS)
  }

  function fill(key: string, level: Level, left: number): void {
    const all = buckets[level]
    // Put in anew: a Map keeps its entries in this order, so that the first is the one to go.
    all.delete(key)
    all.set(key, { left, at: now() })
    const [oldest] = all.keys()
    if (all.size > maxBuckets && oldest !== undefined) all.delete(oldest)
  }

  function bucketsOf(holders: Holders, unit: Unit) {
    return LEVELS.flatMap((level) => {
      const [holder, limit] = [holders[level], limits[level][unit]]
      if (holder === undefined || limit === undefined) return []
      const key = `${unit} ${holder}`
      return [{ level, limit, key, left: leftIn(key, level, limit) }]
    })
  }

  function exceeded(holders: Holders, unit: Unit, cost: number): Exceeded | undefined {
    const [longest] = bucketsOf(holders, unit)
      .map(({ level, limit, left }) => ({ level, unit, limit, left, missing: Math.min(cost, limit) - left }))
      .filter(({ missing }) => missing > 0)
      .map(({ missing, left, ...rest }) => ({
        ...rest,
        left: Math.max(0, Math.floor(left)),
        retryAfterS: Math.max(1, Math.ceil((missing * HOUR_MS) / rest.limit / 1_000)),
      }))
      .sort((a, b) => b.retryAfterS - a.retryAfterS)
    return longest
  }

  return {
    exceeded,

    charge(holders: Holders, unit: Unit, cost: number): Exceeded | undefined {
      const short = exceeded(holders, unit, cost)
      if (short) return short
      for (const { level, key, left } of bucketsOf(holders, unit)) fill(key, level, left - cost)
      return undefined
    },

    usage(level: Level, holder: string, unit: Unit): { used: number; limit: number } | undefined {
      const limit = limits[level][unit]
      return limit === undefined ? undefined : { used: limit - leftIn(`${unit} ${holder}`, level, limit), limit }
    },

    /** Buckets that are remembered, over all levels. */
    size: () => LEVELS.reduce((sum, level) => sum + buckets[level].size, 0),
  }
}
