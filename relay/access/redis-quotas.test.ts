import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RedisProcess, startRedis } from '../../ops/redis-process.ts'
import { createQuotas, type Limits, type Quotas } from './quotas.ts'
import { createRedisQuotas } from './redis-quotas.ts'

const LIMITS: Limits = {
  install: { runs: 4, spans: 100 },
  address: { runs: 6 },
  overall: { runs: 10 },
  synthetic: { runs: 2 },
}
const ADDRESS = '203.0.113.7'

let redis: RedisProcess
const clients: Redis[] = []
beforeAll(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  await clients[0]?.flushall()
  for (const client of clients.splice(0)) client.disconnect()
})
afterAll(() => redis.stop())

async function inRedis() {
  const client = new Redis(redis.url, { commandTimeout: 500, maxRetriesPerRequest: 1 })
  client.on('error', () => undefined)
  clients.push(client)
  await client.ping()
  return createRedisQuotas(client, LIMITS, 'secret', Date.now)
}

/** One relay, and what another request meets. */
const PLACES: [string, () => Promise<[Quotas, Quotas]>][] = [
  [
    'one relay',
    async () => {
      const quotas = createQuotas(LIMITS, Date.now)
      return [quotas, quotas]
    },
  ],
  ['two relays of one Redis', async () => [(await inRedis()).quotas, (await inRedis()).quotas]],
]

describe.each(PLACES)('in %s', (_, start) => {
  it('no more is given than there is, at whichever is asked, and all at once', async () => {
    const quotas = await start()
    const asked = Array.from({ length: 20 }, (_, n) => (quotas[n % 2] as Quotas).charge({ install: 'a' }, 'runs', 1))
    const refused = (await Promise.all(asked)).filter((exceeded) => exceeded !== undefined)
    expect(refused).toHaveLength(16)
    expect(refused[0]).toMatchObject({ level: 'install', unit: 'runs', limit: 4, left: 0 })
    // A quarter of an hour makes one.
    expect(refused[0]?.retryAfterS).toBeGreaterThan(890)
    expect(refused[0]?.retryAfterS).toBeLessThanOrEqual(900)
    const usage = await quotas[1].usage('install', 'a', 'runs')
    expect(usage?.limit).toBe(4)
    expect(usage?.used).toBeCloseTo(4, 1)
  })

  it('where one level refuses none is charged, and the one to wait for longest is named', async () => {
    const [one, other] = await start()
    const holders = (install: string) => ({ install, address: ADDRESS, overall: '' })
    for (let n = 0; n < 4; n++) expect(await one.charge(holders('a'), 'runs', 1)).toBeUndefined()
    for (let n = 0; n < 3; n++) expect(await other.charge(holders('a'), 'runs', 1)).toMatchObject({ level: 'install' })
    expect(await other.charge(holders('b'), 'runs', 2)).toBeUndefined()
    expect(await one.charge(holders('b'), 'runs', 1)).toMatchObject({ level: 'address', limit: 6 })
    expect((await one.usage('overall', '', 'runs'))?.used).toBeCloseTo(6, 1)
  })

  it('what costs more than a bucket holds needs a full one, and has to be paid off', async () => {
    const [one, other] = await start()
    expect(await one.exceeded({ install: 'a' }, 'runs', 8)).toBeUndefined()
    expect(await one.charge({ install: 'a' }, 'runs', 8)).toBeUndefined()
    const exceeded = await other.charge({ install: 'a' }, 'runs', 1)
    expect(exceeded).toMatchObject({ level: 'install', left: 0 })
    expect(exceeded?.retryAfterS).toBeGreaterThan(5 * 890)
  })

  it('what has no limit is not counted', async () => {
    const [one] = await start()
    expect(await one.charge({ install: 'a', address: ADDRESS }, 'keeps', 1_000)).toBeUndefined()
    expect(await one.usage('install', 'a', 'keeps')).toBeUndefined()
  })
})

it('Redis is told of nobody, and keeps nothing longer than it takes to be full again', async () => {
  const { quotas } = await inRedis()
  await quotas.charge({ install: 'the install', address: ADDRESS }, 'runs', 1)
  const keys = (await clients[0]?.keys('*')) ?? []
  expect(keys).toHaveLength(2)
  for (const key of keys) {
    expect(key).not.toMatch(/203\.0|the install/)
    expect(await clients[0]?.pttl(key)).toBeGreaterThan(0)
    expect(await clients[0]?.pttl(key)).toBeLessThanOrEqual(3_600_000)
  }
})

it('without Redis a relay counts by itself, keeps nobody waiting, and says so', async () => {
  const { quotas, state } = await inRedis()
  expect(state()).toBe('redis')
  redis.freeze()
  try {
    for (let n = 0; n < 4; n++) expect(await quotas.charge({ install: 'a' }, 'runs', 1)).toBeUndefined()
    expect(await quotas.charge({ install: 'a' }, 'runs', 1)).toMatchObject({ level: 'install' })
    expect(state()).toBe('alone')
  } finally {
    redis.thaw()
  }
})
