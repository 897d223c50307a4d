/** What holds for what a server keeps, wherever that is: each test runs against its own file, and against a real Redis. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { Redis } from 'ioredis'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RedisProcess, startRedis } from '../ops/redis-process.ts'
import type { Config } from './config.ts'
import { readConfig } from './config.ts'
import type { RunEvent } from './contract.ts'
import { keptHere } from './embedded.ts'
import { Failure } from './failure.ts'
import type { Kept } from './kept.ts'
import { TokenQuota } from './quota.ts'
import { keptInRedis } from './redis/kept.ts'
import type { Order, RunUnderWay, Work } from './runs.ts'
import type { Delivery } from './webhooks/outbox.ts'

const RUN = '0123456789abcdef0123456789abcdef'
const OWNER = '6f1d7b9e-2c8a-4d53-9f0e-3a7b5c1d2e4f'
const SECRET_WORDS = 'the secret words of a resume'
const STARTED: RunEvent = { type: 'stage', stage: 'llm', state: 'started' }
const DONE: RunEvent = {
  ...{ type: 'done', pages: 1, sizeBytes: 5, fileName: `${SECRET_WORDS}.pdf`, keywordsMatched: 1, keywordsTotal: 2 },
  ...{ leftOut: 0, terms: [], wording: { by: 'rules', reworded: 0, dropped: 0 } },
}
const PDF = new TextEncoder().encode('%PDF-')
const log = pino({ level: 'silent' })

const order = (id = RUN, owner = OWNER): Order => ({
  ...{ id, owner, parent: ROOT_CONTEXT, links: [], origin: { requestId: 'r-1', waitingSpanId: '0123456789abcdef' } },
  request: {
    profile: { basics: { name: SECRET_WORDS } },
    posting: { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: SECRET_WORDS },
  } as Order['request'],
})

/** Makes a PDF as the pipeline does, as soon as it may. */
const makePdf: Work = async (run) => {
  run.append(STARTED)
  await run.publish(PDF)
  run.append(DONE)
}
/** Works until it is stopped. */
function endless(): { work: Work; runs: RunUnderWay[] } {
  const runs: RunUnderWay[] = []
  const work: Work = async (run) => {
    run.append(STARTED)
    const { promise, resolve } = Promise.withResolvers<void>()
    run.abort.signal.addEventListener('abort', () => resolve())
    runs.push(run)
    await promise
    run.append({ type: 'failed', failure: Failure.ofAbort(run.abort.signal).toBody() })
  }
  return { work, runs }
}

let redis: RedisProcess
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

let distDir: string
let open: Kept[]
let config: Config
beforeEach(async () => {
  distDir = await mkdtemp(join(tmpdir(), 'pass-ats-kept-'))
  open = []
  config = readConfig({
    ...{ SERVER_KEY: 'k'.repeat(32), DIST_DIR: distDir, WEBHOOK_URLS: 'https://hook.invalid/' },
    WEBHOOK_SECRETS: `whsec_${Buffer.alloc(32).toString('base64')}`,
  })
})
afterEach(async () => {
  for (const kept of open) await kept.webhooks.stop()
  for (const kept of open) await kept.close()
  await rm(distDir, { recursive: true })
  const client = new Redis(redis.url)
  await client.flushall()
  client.disconnect()
})

function opened(kept: Kept): Kept {
  open.push(kept)
  return kept
}
const inRedis = (of = config) => opened(keptInRedis({ url: redis.url, maxRuns: 1_000 }, of, log))

/** One server, and what another request meets: the same server, or another one. */
const PLACES: [string, () => { one: Kept; other: Kept }][] = [
  [
    'one server’s own file',
    () => {
      const one = opened(keptHere(config, log))
      return { one, other: one }
    },
  ],
  ['a Redis that two servers share', () => ({ one: inRedis(), other: inRedis() })],
]

const never = new AbortController().signal
async function eventsOf({ runs }: Kept, lastId = 0, id = RUN) {
  return Array.fromAsync((await runs.find(id))?.after(lastId, never) ?? [])
}

describe.each(PLACES)('in %s', (_, start) => {
  let one: Kept
  let other: Kept
  beforeEach(() => {
    const started = start()
    one = started.one
    other = started.other
  })

  it('a run is made once, told from any event on, and its PDF served, whoever is asked', async () => {
    one.runs.workWith(makePdf)
    expect(await one.runs.begin(order())).toMatchObject({ replayed: false, run: { id: RUN, attempt: 1 } })
    expect(await eventsOf(other)).toEqual([
      { id: 1, event: STARTED },
      { id: 2, event: DONE },
    ])
    expect(await eventsOf(other, 1)).toEqual([{ id: 2, event: DONE }])
    expect(await eventsOf(other, 2)).toEqual([])
    const again = await other.runs.begin(order())
    expect(again).toMatchObject({ replayed: true, run: { attempt: 1, end: DONE, canRunAgain: false } })
    expect(again.run.view()).toMatchObject({ status: 'done' })
    const pdf = await other.runs.pdfOf(again.run)
    expect(pdf?.sizeBytes).toBe(PDF.length)
    expect(Buffer.concat(await Array.fromAsync(pdf?.content ?? [])).toString()).toBe('%PDF-')
  })

  it('many requests with one ID, at any server, make one run', async () => {
    let made = 0
    const count: Work = async (run, given) => {
      made++
      await makePdf(run, given)
    }
    one.runs.workWith(count)
    if (other !== one) other.runs.workWith(count)
    const asked = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? one : other).runs.begin(order())))
    expect(asked.filter(({ replayed }) => !replayed)).toHaveLength(1)
    await eventsOf(one)
    expect(made).toBe(1)
  })

  it('works with what was ordered, and with nothing else', async () => {
    const { promise, resolve } = Promise.withResolvers<Order>()
    one.runs.workWith(async (run, given) => {
      resolve(given)
      await makePdf(run, given)
    })
    await other.runs.begin(order())
    const { id, owner, request, origin } = order()
    expect(await promise).toMatchObject({ id, owner, request, origin })
    await eventsOf(one)
  })

  it('a run is its owner’s: to another it does not exist', async () => {
    one.runs.workWith(makePdf)
    await one.runs.begin(order())
    await expect(other.runs.begin(order(RUN, 'somebody else'))).rejects.toMatchObject({ code: 'run_not_found' })
    expect(await other.runs.find(RUN.replace('0', 'f'))).toBeUndefined()
    await eventsOf(one)
  })

  it('a run that is cancelled where it is not worked on stops where it is', async () => {
    const { work, runs } = endless()
    one.runs.workWith(work)
    const { run } = await one.runs.begin(order())
    const told = eventsOf(other)
    await expect.poll(() => runs.length).toBe(1)
    expect((await other.runs.stop(run, 'cancelled')).end).toMatchObject({ failure: { code: 'cancelled' } })
    expect((await told).map(({ event }) => event.type)).toEqual(['stage', 'failed'])
    await expect.poll(() => runs[0]?.abort.signal.aborted).toBe(true)
    expect(Failure.ofAbort(runs[0]?.abort.signal as AbortSignal).code).toBe('cancelled')
    expect(runs[0]?.end).toMatchObject({ failure: { code: 'cancelled' } })
    // Said once, whoever says it again.
    await other.runs.stop(run, 'overloaded')
    runs[0]?.append(DONE)
    expect((await eventsOf(other)).map(({ event }) => event.type)).toEqual(['stage', 'failed'])
    expect(await other.runs.find(RUN)).toMatchObject({ canRunAgain: false })
  })

  it('what has ended is told no more, and what is told keeps its order', async () => {
    one.runs.workWith(async (run) => {
      for (let statements = 1; statements <= 300; statements++)
        run.append({ type: 'writing', statements, correcting: false })
      run.append(DONE)
      run.append(STARTED)
    })
    await one.runs.begin(order())
    const events = await eventsOf(other)
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: 301 }, (_, n) => n + 1))
    expect(events.at(-1)?.event).toEqual(DONE)
  })

  it('a failure’s detail is told to who follows the run', async () => {
    const failure = { ...new Failure('unsupported_character', { detail: SECRET_WORDS }).toBody() }
    one.runs.workWith(async (run) => run.append({ type: 'failed', failure }))
    await one.runs.begin(order())
    expect(await eventsOf(other)).toEqual([{ id: 1, event: { type: 'failed', failure } }])
  })

  it('a stream ends when its reader leaves, and nothing is left of it', async () => {
    const { work, runs } = endless()
    one.runs.workWith(work)
    const { run } = await one.runs.begin(order())
    const leaving = new AbortController()
    const heard = Array.fromAsync((await other.runs.find(RUN))?.after(0, leaving.signal) ?? [])
    await expect.poll(() => runs.length).toBe(1)
    leaving.abort()
    expect((await heard).length).toBeLessThanOrEqual(1)
    await other.runs.stop(run, 'cancelled')
  })

  it('endpoints are told of an end once, whoever ends it, and of a check’s never', async () => {
    const { work, runs } = endless()
    one.runs.workWith(work)
    const { run } = await one.runs.begin(order())
    await expect.poll(() => runs.length).toBe(1)
    await Promise.all([one, other, one, other].map(({ runs }) => runs.stop(run, 'cancelled')))
    const check = order('f'.repeat(32), 'synthetic:check')
    const begun = await one.runs.begin(check)
    await other.runs.stop(begun.run, 'cancelled')
    expect(await other.outbox.deadLetters()).toEqual([])
    expect(await other.outbox.waiting()).toBe(1)
  })

  /** A letter of each of these runs, which nobody sends. */
  async function letters(...ids: string[]): Promise<void> {
    for (const kept of new Set([one, other])) await kept.webhooks.stop()
    one.runs.workWith(makePdf)
    for (const id of ids) {
      await one.runs.begin(order(id))
      await eventsOf(one, 0, id)
    }
  }
  const [A, B, C] = ['a'.repeat(32), 'b'.repeat(32), 'c'.repeat(32)] as [string, string, string]
  const LATER = Date.now() + 3_600_000
  const URL_OF_ENDPOINT = 'https://hook.invalid/'

  it('a letter is due until it is taken, and later when it was put off', async () => {
    await letters(A, B)
    const due = await other.outbox.due(LATER, 8, 0)
    expect(due).toMatchObject([
      { id: `msg_${A}_1`, run: A, span: '0123456789abcdef', endpoint: URL_OF_ENDPOINT, attempts: 0 },
      { id: `msg_${B}_1`, run: B, attempts: 0 },
    ])
    const [first, second] = due as [Delivery, Delivery]
    expect(await one.outbox.oldestWaiting()).toBe(first.createdAt)
    await other.outbox.taken(first)
    await one.outbox.again(second, '500', LATER + 1_000)
    expect(await one.outbox.due(LATER + 999, 8, 0)).toEqual([])
    expect(await one.outbox.nextDueAfter(LATER)).toBe(LATER + 1_000)
    expect(await one.outbox.due(LATER + 1_000, 8, 0)).toMatchObject([{ run: B, attempts: 1, reason: '500' }])
    expect(await other.outbox.waiting()).toBe(1)
  })

  it('an endpoint that asks to be left alone is, with all that waits for it', async () => {
    await letters(A, B)
    const [first] = (await one.outbox.due(LATER, 1, 0)) as [Delivery]
    await one.outbox.again(first, '429', LATER + 9_000, LATER + 9_000)
    expect(await other.outbox.due(LATER + 8_999, 8, 0)).toEqual([])
    expect(await other.outbox.due(LATER + 9_000, 8, 0)).toHaveLength(2)
  })

  it('the dead are listed, begin anew, or go', async () => {
    await letters(A, B, C)
    const due = await one.outbox.due(LATER, 8, 0)
    for (const each of due) expect(await one.outbox.dead(each, '500')).toBe(0)
    expect(await other.outbox.waiting()).toBe(0)
    expect(await other.outbox.deadLetters()).toMatchObject(
      [A, B, C].map((run) => ({ run, attempts: 1, reason: '500' })),
    )
    expect(await other.outbox.drop(`msg_${B}_1`)).toBe(1)
    expect(await other.outbox.replay('no such', LATER)).toBe(0)
    expect(await other.outbox.replay('all', LATER)).toBe(2)
    expect(await one.outbox.due(LATER, 8, 0)).toMatchObject([A, C].map((run) => ({ run, attempts: 0 })))
    expect(await one.outbox.deadLetters()).toEqual([])
  })

  it('an endpoint that wants no more gets no more, until a person says so', async () => {
    await letters(A)
    await one.outbox.disable(URL_OF_ENDPOINT, 1_000, 'gone')
    expect(await other.outbox.disabled()).toEqual([{ url: URL_OF_ENDPOINT, disabledAt: 1_000 }])
    expect(await other.outbox.deadLetters()).toMatchObject([{ run: A, attempts: 0, reason: 'gone' }])
    await one.runs.begin(order(B))
    await eventsOf(one, 0, B)
    expect(await other.outbox.waiting()).toBe(0)
    expect(await other.outbox.enable(URL_OF_ENDPOINT)).toBe(true)
    expect(await other.outbox.enable(URL_OF_ENDPOINT)).toBe(false)
    await one.runs.begin(order(C))
    await eventsOf(one, 0, C)
    expect(await other.outbox.waiting()).toBe(1)
  })

  it('what waits for endpoints that are not there any more is dead', async () => {
    await letters(A)
    await other.outbox.keepOnly([URL_OF_ENDPOINT])
    expect(await other.outbox.waiting()).toBe(1)
    await other.outbox.keepOnly(['https://other.invalid/'])
    expect(await one.outbox.deadLetters()).toMatchObject([{ run: A, reason: 'not_configured' }])
  })

  it('the model’s tokens are counted for all, and no more is given than there is', async () => {
    const quotas = [one, other].map(({ use }) => new TokenQuota(use, { installTokens: 10, overallTokens: 25 }))
    const reserve = (n: number, install: string) => quotas[n % 2]?.reserve(install, 3)
    const given = await Promise.all(Array.from({ length: 12 }, (_, n) => reserve(n, 'a')))
    expect(given.filter((each) => each && !('exhausted' in each))).toHaveLength(3)
    const more = await Promise.all(Array.from({ length: 12 }, (_, n) => reserve(n, `b${n}`)))
    expect(more.filter((each) => each && 'exhausted' in each)).toEqual(Array(7).fill({ exhausted: 'overall' }))
    for (const each of given) if (each && 'settle' in each) await each.settle(1, true)
    expect(await quotas[1]?.reserve('a', 8)).toEqual({ exhausted: 'install' })
    expect(await quotas[1]?.reserve('a', 7)).toHaveProperty('settle')
    // A share of their own, of nobody else's.
    expect(await quotas[0]?.reserve('+', 10)).toHaveProperty('settle')
  })

  it('is within reach', async () => {
    expect(await one.runs.reachable()).toBe(true)
  })
})
