import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pino from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { RunEvent } from './contract.ts'
import { inTransaction, openDatabase } from './database.ts'
import { EmbeddedRuns, type RunsOptions } from './embedded-runs.ts'
import { Failure } from './failure.ts'
import { clearLeftovers } from './leftovers.ts'
import { RunStore } from './run-store.ts'

const RUN = '0123456789abcdef0123456789abcdef'
const OWNER = '6f1d7b9e-2c8a-4d53-9f0e-3a7b5c1d2e4f'
const DONE: RunEvent = {
  type: 'done',
  pages: 1,
  sizeBytes: 20_000,
  fileName: 'Ada-Quill-Acme.pdf',
  keywordsMatched: 1,
  keywordsTotal: 2,
  leftOut: 0,
  terms: [{ text: 'Kafka', covered: true }],
  wording: { by: 'rules', reworded: 0, dropped: 0 },
}

let distDir: string
let open: DatabaseSync[]
beforeEach(async () => {
  distDir = await mkdtemp(join(tmpdir(), 'pass-ats-runs-'))
  open = []
})
afterEach(async () => {
  for (const db of open) db.close()
  await rm(distDir, { recursive: true })
})

/** The runs of a process that starts now; what the one before has not written is gone. */
function start(options: Partial<RunsOptions> = {}, maxRuns?: number): EmbeddedRuns {
  const db = openDatabase(distDir)
  open.push(db)
  return new EmbeddedRuns({ distDir, store: new RunStore(db, maxRuns), log: pino({ level: 'silent' }), ...options })
}

async function idsAndEvents(runs: EmbeddedRuns, lastId = 0) {
  return Array.fromAsync(runs.get(RUN)?.after(lastId, new AbortController().signal) ?? [])
}

it('knows a run that is done after a restart: whose it is, its events with their ids, and its view', async () => {
  const first = start()
  const run = first.create(RUN, OWNER)
  run.append({ type: 'stage', stage: 'llm', state: 'started' })
  run.append(DONE)
  const second = start()
  expect(second.get(RUN)).toMatchObject({ owner: OWNER, attempt: 1 })
  expect(second.get(RUN)?.view()).toEqual(run.view())
  expect(await idsAndEvents(second)).toEqual(await idsAndEvents(first))
  expect(await idsAndEvents(second, 1)).toEqual([{ id: 2, event: DONE }])
})

it('an end is written down before anybody hears of it', async () => {
  const run = start().create(RUN, OWNER)
  const written: unknown[] = []
  const reader = new DatabaseSync(join(distDir, 'server.sqlite'), { readOnly: true })
  open.push(reader)
  const heard = (async () => {
    for await (const { event } of run.after(0, new AbortController().signal)) {
      if (event.type === 'done') written.push(reader.prepare('SELECT ended IS NOT NULL AS yes FROM run').get()?.yes)
    }
  })()
  run.append(DONE)
  await heard
  expect(written).toEqual([1])
})

it('a run that was under way has ended as interrupted after a restart, and can be run again under its ID', async () => {
  const run = start().create(RUN, OWNER)
  for (let ahead = 9; ahead >= 0; ahead--) run.append({ type: 'queued', ahead })
  const second = start()
  expect(second.get(RUN)?.end).toMatchObject({ failure: { code: 'interrupted' } })
  expect(second.get(RUN)?.canRunAgain).toBe(true)
  // Who has seen the events that are gone hears of the end, too.
  for (const runs of [second, start()]) expect(await idsAndEvents(runs, 10)).toMatchObject([{ id: 10_000 }])
  const again = second.create(RUN, OWNER)
  again.append({ type: 'stage', stage: 'llm', state: 'started' })
  again.append(DONE)
  // Who has followed the first attempt to its tenth event hears all of the second.
  expect((await idsAndEvents(second, 10)).map(({ event }) => event.type)).toEqual(['stage', 'done'])
  expect((await idsAndEvents(start(), 10)).map(({ id }) => id)).toEqual([10_001, 10_002])
  expect(second.get(RUN)?.canRunAgain).toBe(false)
})

it('an ID is run twenty times at most', () => {
  for (let attempt = 1; attempt <= 20; attempt++) expect(start().create(RUN, OWNER).attempt).toBe(attempt)
  expect(start().get(RUN)?.canRunAgain).toBe(false)
})

it('however much happens in an attempt, it has ten thousand events, and the last is its end', async () => {
  const runs = start()
  const run = runs.create(RUN, OWNER)
  for (let ahead = 0; ahead < 10_010; ahead++) run.append({ type: 'queued', ahead })
  run.append(DONE)
  const told = await idsAndEvents(runs)
  expect(told).toHaveLength(10_000)
  expect(told.at(-1)).toEqual({ id: 10_000, event: DONE })
})

it('holds the newest five hundred ended runs in memory, with what is written nowhere: the details of failures', async () => {
  const runs = start()
  const failure = { ...new Failure('latex_invalid', { detail: 'line 3' }).toBody() }
  const ids = Array.from({ length: 502 }, (_, index) => `${index}`.padStart(32, 'a'))
  for (const id of ids) runs.create(id, OWNER).append({ type: 'failed', failure })
  const hasDetail = (id: string | undefined) => JSON.stringify(runs.get(id ?? '')?.end).includes('line 3')
  expect(ids.map(hasDetail).filter((has) => !has)).toHaveLength(1)
  expect([hasDetail(ids[0]), hasDetail(ids[1])]).toEqual([false, true])
})

it('takes no run while it stops', () => {
  const runs = start()
  runs.interruptAll()
  expect(() => runs.create(RUN, OWNER)).toThrow(new Failure('interrupted'))
})

it('writes nothing down that quotes the profile, but for the name of the file', async () => {
  const runs = start()
  const detail = 'work.0.summary: “the secret words” cannot be printed'
  runs.create(RUN, OWNER).append({
    type: 'failed',
    failure: { code: 'unsupported_character', message: 'It has a character.', advice: 'Replace it.', detail },
  })
  // Who follows it now is told.
  expect(runs.get(RUN)?.end).toMatchObject({ failure: { detail } })
  expect(start().get(RUN)?.end).toMatchObject({ type: 'failed', failure: { code: 'unsupported_character' } })
  for (const file of ['server.sqlite', 'server.sqlite-wal']) {
    expect(await readFile(join(distDir, file), 'latin1')).not.toContain('secret words')
  }
})

it('forgets what is past its time, and leaves nothing of it in the file', async () => {
  let now = 1_000
  const runs = start({ now: () => now })
  runs.create(RUN, OWNER).append(DONE)
  now = 2_000
  const other = runs.create(RUN.replace('0', 'f'), OWNER)
  other.append({ ...DONE, fileName: 'other.pdf' })
  runs.forgetBefore(1_500)
  expect(runs.get(RUN)).toBeUndefined()
  expect(runs.get(other.id)).toBeDefined()
  for (const file of ['server.sqlite', 'server.sqlite-wal']) {
    expect(await readFile(join(distDir, file), 'latin1')).not.toContain('Ada-Quill')
  }
})

it('the oldest ended run makes room for a new one, its PDF with it', async () => {
  let now = 0
  const runs = start({ now: () => ++now }, 3)
  const ids = [1, 2, 3, 4].map((n) => `${n}`.repeat(32))
  for (const id of ids.slice(0, 3)) {
    await writeFile(join(distDir, `${id}.pdf`), '%PDF-')
    const run = runs.create(id, OWNER)
    if (id !== ids[0]) run.append(DONE)
  }
  runs.create(ids[3] as string, OWNER)
  // The first is under way: it stays, however old.
  expect(ids.map((id) => runs.get(id) !== undefined)).toEqual([true, false, true, true])
  await expect.poll(() => existsSync(join(distDir, `${ids[1]}.pdf`))).toBe(false)
  expect(existsSync(join(distDir, `${ids[2]}.pdf`))).toBe(true)
})

it('a run ends for who follows it also where nothing can be written', async () => {
  const runs = start()
  open[0]?.exec('PRAGMA query_only = 1')
  const run = runs.create(RUN, OWNER)
  run.append(DONE)
  expect(await idsAndEvents(runs)).toEqual([{ id: 1, event: DONE }])
  expect(start().get(RUN)).toBeUndefined()
})

it('a run that takes too long ends with a clear answer, and what works for it stops', async () => {
  const run = start({ runMs: 1 }).create(RUN, OWNER)
  const events = await Array.fromAsync(run.after(0, new AbortController().signal))
  expect(events).toMatchObject([{ event: { type: 'failed', failure: { code: 'overloaded' } } }])
  expect(Failure.ofAbort(run.abort.signal).code).toBe('overloaded')
  expect(start().get(RUN)?.canRunAgain).toBe(false)
})

it('sets a damaged file aside, says so, and starts without it', async () => {
  const path = join(distDir, 'server.sqlite')
  await writeFile(path, 'This is no database, and was never one. '.repeat(200))
  await utimes(path, 0, 0)
  let damaged = 0
  const db = openDatabase(distDir, () => damaged++)
  open.push(db)
  await clearLeftovers(distDir, distDir, Date.now())
  expect(damaged).toBe(1)
  expect(new RunStore(db).find(RUN)).toBeUndefined()
  expect(await readFile(`${path}.corrupt`, 'latin1')).toContain('never one')
})

it('sets a file aside that is damaged where it is read later', async () => {
  const path = join(distDir, 'server.sqlite')
  const whole = openDatabase(distDir)
  const store = new RunStore(whole)
  for (let run = 0; run < 200; run++) {
    const id = run.toString(16).padStart(32, '0')
    store.begin({ id, owner: OWNER, attempt: 1, firstId: 1, startedAt: 1, events: undefined })
  }
  whole.close()
  const bytes = await readFile(path)
  bytes.fill(0x5a, bytes.length / 2)
  await writeFile(path, bytes)
  expect(() => openDatabase(distDir), 'for who is not the server').toThrow(`${path} is damaged`)
  let damaged = 0
  open.push(openDatabase(distDir, () => damaged++))
  expect(damaged).toBe(1)
})

it('undoes a transaction that failed, and says why it did, also where SQLite has undone it', () => {
  start()
  const [db] = open
  if (!db) throw new Error('not open')
  db.exec('PRAGMA max_page_count = 20')
  const fill = () => {
    const insert = db.prepare("INSERT INTO run (id, owner, attempt, first_id, started_at) VALUES (?, '', 1, 1, 1)")
    for (let run = 0; run < 5_000; run++) insert.run(run.toString(16).padStart(32, '0'))
  }
  expect(() => inTransaction(db, fill)).toThrow('database or disk is full')
  expect(db.prepare('SELECT count(*) AS runs FROM run').get()).toEqual({ runs: 0 })
})

it('refuses a file of another version, and names it', () => {
  start()
  open[0]?.exec('PRAGMA user_version = 99')
  expect(() => openDatabase(distDir)).toThrow(`${join(distDir, 'server.sqlite')} has schema version 99`)
})
