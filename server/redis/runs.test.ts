/** What only several servers have to get right: `../kept.test.ts` has what holds everywhere. */

import { ROOT_CONTEXT } from '@opentelemetry/api'
import { Redis } from 'ioredis'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type RedisProcess, startRedis } from '../../ops/redis-process.ts'
import type { RunEvent } from '../contract.ts'
import { Failure } from '../failure.ts'
import type { Order, RunUnderWay, Work } from '../runs.ts'
import { RedisRuns, type RedisRunsOptions } from './runs.ts'
import { Seal } from './sealed.ts'

const RUN = '0123456789abcdef0123456789abcdef'
const SECRET_WORDS = 'the secret words of a resume'
const STARTED: RunEvent = { type: 'stage', stage: 'llm', state: 'started' }
const DONE: RunEvent = {
  ...{ type: 'done', pages: 1, sizeBytes: 5, fileName: `${SECRET_WORDS}.pdf`, keywordsMatched: 1, keywordsTotal: 2 },
  ...{ leftOut: 0, terms: [], wording: { by: 'rules', reworded: 0, dropped: 0 } },
}
const never = new AbortController().signal

const order = (id = RUN): Order => ({
  ...{ id, owner: 'owner', parent: ROOT_CONTEXT, links: [], origin: {} },
  request: {
    profile: { basics: { name: SECRET_WORDS } },
    posting: { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: SECRET_WORDS },
  } as Order['request'],
})

let redis: RedisProcess
let client: Redis
const open: RedisRuns[] = []
beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
  client.on('error', () => undefined)
})
afterEach(async () => {
  for (const runs of open.splice(0)) await runs.close()
  await client.flushall()
})
afterAll(async () => {
  client.disconnect()
  await redis.stop()
})

function server(options: Partial<RedisRunsOptions> = {}): RedisRuns {
  const log = pino({ level: 'silent' })
  const runs = new RedisRuns({
    url: redis.url,
    seal: new Seal(['k'.repeat(32)]),
    log,
    maxRuns: 1_000,
    atOnce: 1,
    ...options,
  })
  open.push(runs)
  return runs
}

const makePdf: Work = async (run) => {
  run.append(STARTED)
  await run.publish(new TextEncoder().encode(`%PDF- ${SECRET_WORDS}`))
  run.append(DONE)
}
/** Works until it is stopped, or let go on. */
function held() {
  const runs: RunUnderWay[] = []
  const { promise, resolve: release } = Promise.withResolvers<void>()
  const work: Work = async (run, given) => {
    runs.push(run)
    const stopped = new Promise<void>((resolve) => run.abort.signal.addEventListener('abort', () => resolve()))
    await Promise.race([promise, stopped])
    if (run.abort.signal.aborted) run.append({ type: 'failed', failure: Failure.ofAbort(run.abort.signal).toBody() })
    else await makePdf(run, given)
  }
  return { runs, work, release }
}

async function eventsOf(runs: RedisRuns, id = RUN, lastId = 0) {
  return Array.fromAsync((await runs.find(id))?.after(lastId, never) ?? [])
}

/** All that is in Redis, as it is there. */
async function everything(): Promise<{ keys: string[]; text: string }> {
  const keys = await client.keys('*')
  let text = ''
  for (const key of keys) {
    const type = await client.type(key)
    if (type === 'string') text += (await client.getBuffer(key))?.toString('latin1')
    if (type === 'hash') text += JSON.stringify(await client.hgetall(key))
    if (type === 'stream') text += JSON.stringify(await client.xrange(key, '-', '+'))
  }
  return { keys, text }
}
const MARKS = [SECRET_WORDS, Buffer.from(SECRET_WORDS).toString('base64').slice(4, 20), 'secret words', '%PDF']

it('nothing of a resume can be read in Redis, what it is made of goes with its end, and all of a run has its time', async () => {
  const runs = server()
  const { work, release, runs: taken } = held()
  runs.workWith(work)
  await runs.begin(order())
  await expect.poll(() => taken.length).toBe(1)
  const before = await everything()
  expect(before.keys).toContain(`{pass-ats}:run:${RUN}:order`)
  release()
  await eventsOf(runs)
  const after = await everything()
  expect(after.keys).toContain(`{pass-ats}:run:${RUN}:pdf`)
  expect(after.keys).not.toContain(`{pass-ats}:run:${RUN}:order`)
  for (const mark of MARKS) expect(before.text + after.text).not.toContain(mark)
  for (const key of [...before.keys, ...after.keys].filter((key) => key.includes(RUN) && key.includes(':run:'))) {
    expect(await client.pttl(key), key).not.toBe(-1)
  }
})

it('a PDF is served with a key that was changed meanwhile, and not without the one that it was sealed with', async () => {
  const runs = server()
  runs.workWith(makePdf)
  const { run } = await runs.begin(order())
  await eventsOf(runs)
  const changed = server({ seal: new Seal(['n'.repeat(32), 'k'.repeat(32)]) })
  expect((await changed.pdfOf(run))?.sizeBytes).toBeGreaterThan(5)
  await expect(server({ seal: new Seal(['n'.repeat(32)]) }).pdfOf(run)).rejects.toThrow('sealed with a SERVER_KEY')
})

it('a server that leaves hands its runs to another, at once, and what it still says of them is not heard', async () => {
  const leaving = server()
  const { work, runs: taken } = held()
  leaving.workWith(work)
  const { run } = await leaving.begin(order())
  await expect.poll(() => taken.length).toBe(1)
  const told = eventsOf(server())
  const other = server()
  other.workWith(makePdf)
  await leaving.leave()
  await expect(leaving.begin(order('f'.repeat(32)))).rejects.toMatchObject({ code: 'interrupted' })
  expect((await told).map(({ id, event }) => [id, event.type])).toEqual([
    [10_001, 'stage'],
    [10_002, 'done'],
  ])
  taken[0]?.append(STARTED)
  expect(await other.find(run.id)).toMatchObject({ attempt: 2, end: DONE })
  expect(await eventsOf(other)).toHaveLength(2)
})

it('many who end a run at once give it one end', async () => {
  const [one, other] = [server(), server()]
  const { run } = await one.begin(order())
  await Promise.all([one, other, one, other].map((each) => each.stop(run, 'cancelled')))
  expect(await client.xlen(`{pass-ats}:run:${RUN}:events`)).toBe(1)
})

it('a server that does not know yet that another has taken its run over is not heard', async () => {
  const runs = server()
  const { work, release, runs: taken } = held()
  runs.workWith(work)
  await runs.begin(order())
  await expect.poll(() => taken.length).toBe(1)
  await client.hincrby(`{pass-ats}:run:${RUN}`, 'attempt', 1)
  release()
  await expect.poll(() => taken[0]?.abort.signal.aborted).toBe(true)
  const found = await runs.find(RUN)
  expect(found?.end).toBeUndefined()
  expect(await client.keys(`{pass-ats}:run:${RUN}:*`)).toEqual([`{pass-ats}:run:${RUN}:order`])
})

it('a run that every server leaves in the middle ends clearly, and may be posted again', async () => {
  await server().begin(order())
  for (let claims = 0; claims < 3; claims++) {
    const { work, runs: taken } = held()
    const leaving = server()
    leaving.workWith(work)
    await expect.poll(() => taken.length).toBe(1)
    await leaving.leave()
  }
  const last = server()
  last.workWith(makePdf)
  expect((await eventsOf(last)).at(-1)?.event).toMatchObject({ type: 'failed', failure: { code: 'interrupted' } })
  const again = await last.begin(order())
  expect(again).toMatchObject({ replayed: false, run: { attempt: 4 } })
  expect((await eventsOf(last)).at(-1)?.event).toEqual(DONE)
})

it('who waits is told how many are before it, in the order in which they came', async () => {
  const runs = server()
  const { work, release } = held()
  const made: string[] = []
  runs.workWith(async (run, given) => {
    made.push(run.id)
    await work(run, given)
  })
  const ids = ['1', '2', '3', '4'].map((digit) => digit.repeat(32))
  for (const id of ids) {
    await runs.begin(order(id))
    if (id === ids[0]) await expect.poll(() => made.length).toBe(1)
  }
  const last = server()
  const heard: number[] = []
  for await (const { event } of (await last.find(ids[3] as string))?.after(0, never) ?? []) {
    if (event.type !== 'queued') continue
    heard.push(event.ahead)
    release()
  }
  expect(heard[0]).toBe(2)
  expect(made).toEqual(ids)
})

it('the oldest that has ended makes room, and what is under way never does', async () => {
  const runs = server({ maxRuns: 2 })
  const ids = ['1', '2', '3', '4'].map((digit) => digit.repeat(32)) as [string, string, string, string]
  await runs.begin(order(ids[0]))
  for (const id of ids.slice(1)) {
    const { run } = await runs.begin(order(id))
    await runs.stop(run, 'cancelled')
  }
  const known = await Promise.all(ids.map((id) => runs.find(id)))
  expect(known.map((run) => run !== undefined)).toEqual([true, false, false, true])
  expect((await client.keys(`*run:${ids[1]}*`)).length).toBe(0)
})

it('a run that nobody works on in time ends for who follows it', async () => {
  const runs = server({ runMs: 200 })
  await runs.begin(order())
  const events = (await eventsOf(runs)).filter(({ event }) => event.type !== 'queued')
  expect(events).toMatchObject([{ event: { type: 'failed', failure: { code: 'overloaded' } } }])
  expect(await client.zcard('{pass-ats}:open')).toBe(0)
})

it('a run that takes too long is stopped where it is worked on', async () => {
  const runs = server({ runMs: 300 })
  const { work, runs: taken } = held()
  runs.workWith(work)
  await runs.begin(order())
  await eventsOf(runs)
  await expect.poll(() => taken[0]?.abort.signal.aborted).toBe(true)
  expect(Failure.ofAbort(taken[0]?.abort.signal as AbortSignal).code).toBe('overloaded')
})

it('without Redis whoever asks is told so, and what is under way goes on when it is back', async () => {
  const runs = server()
  const { work, release, runs: taken } = held()
  runs.workWith(work)
  await runs.begin(order())
  const told = eventsOf(runs)
  await expect.poll(() => taken.length).toBe(1)
  await redis.kill()
  for (const ask of [() => runs.begin(order('f'.repeat(32))), () => runs.find(RUN)]) {
    await expect(ask()).rejects.toMatchObject({ code: 'runs_unavailable', status: 503 })
  }
  expect(await runs.reachable()).toBe(false)
  release()
  await redis.start()
  expect((await told).map(({ event }) => event.type)).toEqual(['stage', 'done'])
  expect(await runs.reachable()).toBe(true)
})

it('a Redis that says nothing keeps nobody waiting', async () => {
  const runs = server()
  expect(await runs.reachable()).toBe(true)
  redis.freeze()
  try {
    await expect(runs.find(RUN)).rejects.toMatchObject({ code: 'runs_unavailable' })
    expect(await runs.reachable()).toBe(false)
  } finally {
    redis.thaw()
  }
})

it('a Redis that is full takes no run, says so, and evicts none', async () => {
  const runs = server()
  expect(await runs.find(RUN)).toBeUndefined()
  await client.config('SET', 'maxmemory', '1')
  try {
    await expect(runs.begin(order())).rejects.toMatchObject({ code: 'runs_unavailable' })
  } finally {
    await client.config('SET', 'maxmemory', '0')
  }
})
