import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openDatabase } from './database.ts'
import { type Reservation, TokenQuota } from './quota.ts'
import { SqliteUse } from './sqlite-use.ts'

const DAY = 86_400_000
const NOON = 20_000 * DAY + DAY / 2
let folder: string
let now: number
let open: DatabaseSync[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pass-ats-quota-'))
  now = NOON
  open = []
})
afterEach(async () => {
  for (const db of open) db.close()
  await rm(folder, { recursive: true })
})

function quotaOf(installTokens: number, overallTokens: number): TokenQuota {
  const db = openDatabase(folder)
  open.push(db)
  return new TokenQuota(new SqliteUse(db), { installTokens, overallTokens, now: () => now })
}
const taken = async (quota: TokenQuota, install: string, tokens: number) => {
  const reservation = await quota.reserve(install, tokens)
  if ('exhausted' in reservation) throw new Error(reservation.exhausted)
  return reservation as Reservation
}

it('gives each install its share, and no more', async () => {
  const quota = quotaOf(10, 100)
  await taken(quota, 'a', 6)
  expect(await quota.reserve('a', 6)).toEqual({ exhausted: 'install' })
  await taken(quota, 'b', 6)
})

it('gives all together no more than theirs', async () => {
  const quota = quotaOf(10, 15)
  await taken(quota, 'a', 10)
  expect(await quota.reserve('b', 10)).toEqual({ exhausted: 'overall' })
})

it('holds what is reserved until it is known what was used, so that many at once get no more', async () => {
  const quota = quotaOf(10, 100)
  const first = await taken(quota, 'a', 10)
  expect(await quota.reserve('a', 1)).toEqual({ exhausted: 'install' })
  await first.settle(4, true)
  await first.settle(0, true)
  await taken(quota, 'a', 6)
  expect(await quota.reserve('a', 1)).toEqual({ exhausted: 'install' })
})

it('begins anew with the day, and remembers nothing of the one before', async () => {
  const quota = quotaOf(10, 100)
  await (await taken(quota, 'a', 10)).settle(10, true)
  expect(await quota.allowance('a', 5)).toEqual({ left: 0, resetsAt: NOON + DAY / 2 })
  const late = await taken(quota, 'b', 10)
  now += DAY / 2
  await late.settle(10, true)
  await taken(quota, 'a', 10)
  const [{ days } = {}] = open[0]?.prepare('SELECT count(DISTINCT day) AS days FROM model_use').all() ?? []
  expect(days).toBe(1)
})

it('charges an install and all together, or neither', async () => {
  const quota = quotaOf(10, 100)
  open[0]?.exec(`CREATE TRIGGER full BEFORE INSERT ON model_use WHEN new.install = '*'
    BEGIN SELECT raise(ABORT, 'full'); END`)
  await expect(quota.reserve('a', 10)).rejects.toThrow('full')
  open[0]?.exec('DROP TRIGGER full')
  await taken(quota, 'a', 10)
})

it('remembers across a restart, also what was reserved by a process that died', async () => {
  await taken(quotaOf(10, 100), 'a', 10)
  expect(await quotaOf(10, 100).reserve('a', 1)).toEqual({ exhausted: 'install' })
})

it('says how many resumes are left by what they took today, and never one too many', async () => {
  const quota = quotaOf(20_000, 1_000_000)
  expect((await quota.allowance('a', 10_000)).left, 'by what one usually takes').toBe(3)
  for (let done = 0; done < 5; done++) await (await taken(quota, 'a', 10_000)).settle(2_000, true)
  expect((await quota.allowance('a', 10_000)).left).toBe(1)
  await (await taken(quota, 'a', 10_000)).settle(2_000, true)
  expect((await quota.allowance('a', 10_000)).left).toBe(0)
  expect(await quota.reserve('a', 10_000)).toEqual({ exhausted: 'install' })
})
