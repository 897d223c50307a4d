import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import pino from 'pino'
import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openEndpoint } from '../../fixtures/endpoint.ts'
import { openDatabase } from '../database.ts'
import { EmbeddedRuns, type RunLog } from '../embedded-runs.ts'
import { RunStore } from '../run-store.ts'
import { keyIn } from './signature.ts'
import { SqliteOutbox } from './sqlite-outbox.ts'
import { type Clock, Webhooks, type WebhooksOptions } from './webhooks.ts'

const RUN = '0123456789abcdef0123456789abcdef'
const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`
const SECRETS = [newSecret(), newSecret()]
const keysOf = (secrets: string[]) => secrets.flatMap((secret) => keyIn(secret) ?? [])
const [S, MIN, H] = [1_000, 60_000, 3_600_000]

interface Got {
  headers: IncomingHttpHeaders
  body: string
}

let folder: string
let closing: (() => unknown)[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pass-ats-webhooks-'))
  closing = []
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
  await rm(folder, { recursive: true })
})

/** An endpoint that answers as it is told, the last answer for ever. */
async function endpoint(...answers: (number | ((response: ServerResponse) => void))[]) {
  const got: Got[] = []
  const { url, close } = await openEndpoint(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString()
    const answer = answers[Math.min(got.length, answers.length - 1)] ?? 204
    got.push({ headers: request.headers, body })
    if (typeof answer === 'number') response.writeHead(answer).end()
    else answer(response)
  })
  closing.push(close)
  return { got, url: `${url}/hook` }
}

/** A time that stands still until it is moved, and waits that are over when it has come so far. */
function standingClock(start = Date.now()): Clock & { pass(ms: number): void; at: () => number } {
  let now = start
  let waits: { at: number; callback: () => void }[] = []
  return {
    now: () => now,
    at: () => now - start,
    after(ms, callback) {
      const wait = { at: now + ms, callback }
      waits.push(wait)
      return () => {
        waits = waits.filter((other) => other !== wait)
      }
    },
    pass(ms) {
      now += ms
      const over = waits.filter(({ at }) => at <= now)
      waits = waits.filter(({ at }) => at > now)
      for (const { callback } of over) callback()
    },
  }
}

/** A server's runs and webhooks, as main puts them together, on the folder's file. */
function start(urls: string[], options: Partial<WebhooksOptions> = {}) {
  const db = openDatabase(folder)
  const outbox = new SqliteOutbox(db)
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const webhooks = new Webhooks({
    ...{ urls, keys: keysOf(SECRETS), allowLoopback: true, outbox, log, random: () => 0 },
    ...options,
  })
  const store = new RunStore(db)
  const now = options.clock ? options.clock.now : Date.now
  const runs = new EmbeddedRuns({
    distDir: folder,
    store,
    log,
    now,
    onEnd: (run, end, endedAt) => {
      const message = webhooks.messageOf(run, end, endedAt)
      if (message) webhooks.added(outbox.add(message, urls, endedAt))
    },
  })
  let open = true
  const stop = async () => {
    if (!open) return
    open = false
    await webhooks.stop()
    db.close()
  }
  closing.push(stop)
  return { db, outbox, webhooks, runs, lines, stop }
}

function finish(run: RunLog): void {
  const fileName = 'Ada-Quill-Acme.pdf'
  const facts = { pages: 2, sizeBytes: 20_000, fileName, keywordsMatched: 1, keywordsTotal: 2, leftOut: 0 }
  run.append({ type: 'done', ...facts, terms: [], wording: { by: 'rules', reworded: 0, dropped: 0 } })
}

const rows = (db: DatabaseSync) =>
  db
    .prepare('SELECT attempts, due_at, reason FROM webhook')
    .all()
    .map((row) => ({ ...row }))

it('sends eight at once and no more, and the next when one of them is done', async () => {
  const held: ServerResponse[] = []
  let most = 0
  const { url, got } = await endpoint((response) => {
    most = Math.max(most, held.push(response))
  })
  const { runs, outbox } = start([url])
  for (let run = 0; run < 20; run++) finish(runs.create(`${run}`.padStart(32, 'a'), 'the owner'))
  for (let sent = 8; sent <= 20; sent++) {
    await expect.poll(() => got.length).toBeGreaterThanOrEqual(sent)
    held.shift()?.writeHead(204).end()
  }
  for (const response of held) response.writeHead(204).end()
  await expect.poll(() => outbox.waiting()).toBe(0)
  expect(most).toBe(8)
})

it('tells of a run that is done, signed so that whoever has either secret can verify it, and without a word of whose it is', async () => {
  const { url, got } = await endpoint(204)
  const { runs, outbox } = start([url])
  finish(runs.create(RUN, 'the owner', { waitingSpanId: '0123456789abcdef' }))
  await expect.poll(() => outbox.waiting()).toBe(0)
  const [{ headers, body } = { headers: {}, body: '' }] = got
  for (const secret of SECRETS) {
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual({
      type: 'run.finished',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      data: { runId: RUN, attempt: 1, durationMs: expect.any(Number), pages: 2, sizeBytes: 20_000 },
    })
  }
  expect(() => new Webhook(newSecret()).verify(body, headers as Record<string, string>)).toThrow()
  expect(() => new Webhook(SECRETS[0] as string).verify(`${body} `, headers as Record<string, string>)).toThrow()
  const names = Object.keys(headers).filter((name) => !['host', 'connection', 'content-length'].includes(name))
  expect(names.sort()).toEqual([
    ...['content-type', 'user-agent', 'webhook-id', 'webhook-signature', 'webhook-timestamp'],
  ])
  expect(`${body}${JSON.stringify(headers)}`).not.toMatch(/Ada|Acme|the owner/)
})

it('tells of failures by their code, of what the person has cancelled as such, and of a server’s death after it', async () => {
  const { url, got } = await endpoint(204)
  const first = start([url])
  const ids = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string]
  const detail = 'work.0.summary: “the secret words”'
  const failure = { code: 'pdf_invalid', message: 'It is not.', advice: 'Try again.', detail } as const
  first.runs.create(ids[0], '').append({ type: 'failed', failure })
  first.runs.create(ids[1], '').stop('cancelled')
  first.runs.create(ids[2], '')
  await expect.poll(() => first.outbox.waiting()).toBe(0)
  // Nothing that a process does at its end: another begins.
  start([url]).webhooks.wake()
  await expect.poll(() => got.length).toBe(3)
  const told = got.map(({ body }) => JSON.parse(body))
  expect(told.map(({ type, data }) => `${type} ${data.failureCode} ${data.runId}`).sort()).toEqual([
    `run.cancelled cancelled ${ids[1]}`,
    `run.failed interrupted ${ids[2]}`,
    `run.failed pdf_invalid ${ids[0]}`,
  ])
  expect(JSON.stringify(told)).not.toContain('secret words')
})

it('tries ten times on the published schedule, under one ID, and then keeps a dead letter that can be replayed', async () => {
  const { url, got } = await endpoint(500)
  const clock = standingClock()
  const { runs, webhooks, outbox } = start([url], { clock })
  finish(runs.create(RUN, ''))
  const waits: number[] = []
  await expect.poll(() => got.length).toBe(1)
  for (let attempts = 1; attempts < 10; attempts++) {
    await expect.poll(() => outbox.due(Number.MAX_SAFE_INTEGER, 9, 0)[0]?.attempts).toBe(attempts)
    const [{ due_at: dueAt } = {}] = rowsOf(outbox)
    const waitMs = Number(dueAt) - clock.now()
    waits.push(waitMs)
    clock.pass(waitMs - 1)
    webhooks.wake()
    expect(got).toHaveLength(attempts)
    clock.pass(1)
    webhooks.wake()
    await expect.poll(() => got.length).toBe(attempts + 1)
  }
  expect(waits).toEqual([5 * S, 5 * MIN, 30 * MIN, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H])
  await expect.poll(() => outbox.deadLetters()).toMatchObject([{ attempts: 10, reason: '500' }])
  expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  // Each attempt is signed for its own time.
  for (const { headers } of [got[0], got[9]] as Got[]) {
    expect(headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)
  }
  expect(got[9]?.headers['webhook-timestamp']).not.toBe(got[0]?.headers['webhook-timestamp'])
  expect(outbox.replay('no such', clock.now())).toBe(0)
  expect(outbox.replay('all', clock.now())).toBe(1)
  webhooks.wake()
  await expect.poll(() => got.length).toBe(11)
})

function rowsOf(outbox: SqliteOutbox) {
  return outbox.due(Number.MAX_SAFE_INTEGER, 9, 0).map((delivery) => ({ ...delivery, due_at: outbox.nextDueAfter(0) }))
}

it('waits longer by chance, never less: up to a fifth', async () => {
  const { url } = await endpoint(500)
  const clock = standingClock()
  const { runs, outbox } = start([url], { clock, random: () => 1 })
  finish(runs.create(RUN, ''))
  await expect.poll(() => outbox.nextDueAfter(clock.now())).toBe(clock.now() + 6 * S)
})

it('waits as long as it is asked to, and lets the endpoint alone for so long when that has too much to do', async () => {
  const busy = (response: ServerResponse) => response.writeHead(429, { 'retry-after': '3600' }).end()
  const { url, got } = await endpoint(busy, 204)
  const clock = standingClock()
  const { runs, webhooks, outbox } = start([url], { clock })
  finish(runs.create(RUN, ''))
  await expect.poll(() => outbox.nextDueAfter(clock.now())).toBe(clock.now() + H)
  finish(runs.create('f'.repeat(32), ''))
  webhooks.wake()
  expect(outbox.due(clock.now(), 9, 0)).toEqual([])
  clock.pass(H)
  await expect.poll(() => outbox.waiting()).toBe(0)
  expect(got).toHaveLength(3)
})

it('follows no redirect, and tries again instead', async () => {
  const { url: elsewhere, got: followed } = await endpoint(204)
  const { url, got } = await endpoint((response) => response.writeHead(302, { location: elsewhere }).end())
  const { runs, db } = start([url], { clock: standingClock() })
  finish(runs.create(RUN, ''))
  await expect.poll(() => rows(db)).toMatchObject([{ attempts: 1, reason: '302' }])
  expect([got.length, followed.length]).toEqual([1, 0])
})

it('sends nothing more to an endpoint that has answered 410, until somebody enables it', async () => {
  const { url, got } = await endpoint(410, 204)
  const { runs, outbox } = start([url])
  finish(runs.create(RUN, ''))
  await expect.poll(() => outbox.disabled()).toMatchObject([{ url }])
  expect(outbox.deadLetters()).toMatchObject([{ reason: '410' }])
  finish(runs.create('f'.repeat(32), ''))
  expect(outbox.waiting()).toBe(0)
  expect(outbox.enable(url)).toBe(true)
  finish(runs.create('e'.repeat(32), ''))
  await expect.poll(() => got.length).toBe(2)
})

it('does not take up again what was under way when another answer was 410', async () => {
  const held = Promise.withResolvers<ServerResponse>()
  const { url, got } = await endpoint((response) => held.resolve(response), 410)
  const { runs, outbox, db, lines } = start([url])
  finish(runs.create(RUN, ''))
  const slow = await held.promise
  finish(runs.create('f'.repeat(32), ''))
  await expect.poll(() => outbox.disabled()).toHaveLength(1)
  slow.writeHead(500).end()
  await expect.poll(() => lines.filter(({ msg }) => msg === 'webhook sent')).toHaveLength(2)
  expect(rows(db)).toEqual([410, 410].map(() => ({ attempts: 0, due_at: null, reason: '410' })))
  expect(got).toHaveLength(2)
})

it('reads no more of an answer than a little, and waits for none for ever', async () => {
  let written = 0
  const { url } = await endpoint((response) => {
    response.writeHead(200)
    const flood = () => {
      while (!response.destroyed && written < 1e9) {
        written += 65_536
        if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', flood)
      }
    }
    flood()
  })
  const { runs, outbox } = start([url])
  finish(runs.create(RUN, ''))
  await expect.poll(() => outbox.waiting()).toBe(0)
  expect(written).toBeLessThan(100e6)
})

it('one endpoint that fails keeps nothing from another', async () => {
  const [bad, good] = [await endpoint(500), await endpoint(204)]
  const { runs, outbox, db } = start([bad.url, good.url], { clock: standingClock() })
  finish(runs.create(RUN, ''))
  await expect.poll(() => rows(db)).toMatchObject([{ attempts: 1 }])
  expect(good.got).toHaveLength(1)
  expect(outbox.waiting()).toBe(1)
})

it('what was under way when its process ended is sent by the next one', async () => {
  const { url, got } = await endpoint(() => undefined, 204)
  const first = start([url])
  finish(first.runs.create(RUN, ''))
  await expect.poll(() => got.length).toBe(1)
  await first.stop()
  const second = start([url])
  second.webhooks.wake()
  await expect.poll(() => second.outbox.waiting()).toBe(0)
  expect(got[1]?.headers['webhook-id']).toBe(got[0]?.headers['webhook-id'])
})

it('what waits for an endpoint that is no more configured is a dead letter', async () => {
  const { url, got } = await endpoint(500)
  const first = start([url], { clock: standingClock() })
  finish(first.runs.create(RUN, ''))
  await expect.poll(() => rows(first.db)).toMatchObject([{ attempts: 1 }])
  await first.stop()
  const { outbox, webhooks } = start([])
  expect(outbox.deadLetters()).toMatchObject([{ reason: 'not_configured' }])
  expect(outbox.replay('all', Date.now())).toBe(1)
  webhooks.wake()
  await expect
    .poll(() => outbox.deadLetters(), { message: 'also when it is replayed' })
    .toMatchObject([{ reason: 'not_configured' }])
  expect(got).toHaveLength(1)
})
