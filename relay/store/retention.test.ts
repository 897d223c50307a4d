import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { encode, spansOf } from '../otlp.ts'
import { sampleRequest, sampleSpan, TERMS, TRACE_ID, temporaryPath, temporaryStore, text } from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import { openStore, type StoreNotice } from './store.ts'

const START = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000
const traceOf = (n: number) => n.toString(16).padStart(16, 'b').padEnd(32, '0')

function storeAt({ path = temporaryPath(), clock = { now: START }, terms = TERMS } = {}) {
  const notices: StoreNotice[] = []
  const found = Promise.withResolvers<void>()
  const onNotice = (notice: StoreNotice) => {
    notices.push(notice)
    if (notice.kind === 'damaged') found.resolve()
  }
  const store = temporaryStore(path, () => clock.now, terms, { onNotice, destination: 'http://sink' })
  /** One span of a trace, as large as told, however well it packs. */
  const append = (traceId = TRACE_ID, { error = false, bytes = 0 } = {}) => {
    const filler = Buffer.from(crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)))).toString('hex')
    const attributes = [text('filler', filler.repeat(Math.ceil(bytes / 65_536)).slice(0, bytes * 2))]
    const request = sampleRequest([sampleSpan('00f067aa0ba902b7', { traceId, attributes })])
    const body = gzipSync(encode(request, 'json'), { level: 0 })
    return store.append({ encoding: 'json', body, traces: packTraces([[traceId, { spans: 1, error }]]) })
  }
  const files = () => readdirSync(path).filter((name) => /^\d{8}-.*sqlite$/.test(name))
  const spans = (traceId = TRACE_ID) => [...spansOf(store.trace(traceId))].length
  return { path, store, append, clock, notices, damaged: found.promise, files, spans }
}

test('Each hour has a file of its own, and what is in it is found beside the others', async () => {
  const { store, append, clock, files, spans } = storeAt()
  await append(traceOf(1))
  clock.now += HOUR_MS - 1
  await append(traceOf(2))
  expect(files()).toEqual(['00000001-2026-01-01T00.sqlite'])
  clock.now += 1
  await append(traceOf(3))
  expect(files()).toEqual(['00000001-2026-01-01T00.sqlite', '00000002-2026-01-01T01.sqlite'])
  for (const n of [1, 2, 3]) expect(spans(traceOf(n))).toBe(1)
  expect(store.recent(10).map(({ traceId }) => traceId)).toEqual([traceOf(3), traceOf(2), traceOf(1)])
  expect(store.find('bbbbbbbb')).toEqual({ kind: 'ambiguous', candidates: [traceOf(1), traceOf(2), traceOf(3)] })
})

test('An hour goes as a file when its youngest request is past the window, and numbers are not used again', async () => {
  const { path, store, append, clock, files, notices } = storeAt()
  await append()
  clock.now = START + TERMS.retentionMs + HOUR_MS - 1
  await store.tend()
  expect(files()).toHaveLength(1)
  expect(store.stay(TRACE_ID)).toEqual({ kept: false, until: clock.now + 1 })
  clock.now += 1
  await store.tend()
  expect(store.find(TRACE_ID)).toEqual({ kind: 'unknown' })
  expect(notices).toEqual([{ kind: 'gone', file: 1, why: 'window', unforwardedSpans: 0, unkeptTraces: 0 }])
  await store.advance('http://sink', { file: 1, seq: 7 })
  await store.close()
  expect(files()).toEqual([])
  const again = storeAt({ path, clock })
  await again.append(TRACE_ID, { error: true })
  expect(again.store.entriesAfter(again.store.cursor('http://sink'), 10).at(-1)).toMatchObject({ file: 2, seq: 2 })
})

test('A file from an hour that a wrong clock made goes with those after it', async () => {
  const { store, append, clock, files } = storeAt()
  clock.now = START + 1_000 * HOUR_MS
  await append(traceOf(1))
  clock.now = START
  await append(traceOf(2))
  expect(files()).toHaveLength(2)
  clock.now = START + TERMS.retentionMs + HOUR_MS
  await append(traceOf(3))
  await store.tend()
  expect(files()).toEqual(['00000003-2026-01-02T01.sqlite'])
})

test('What was not forwarded before its hour went is counted, for the destination that is told of', async () => {
  const { store, append, clock, notices } = storeAt()
  for (const n of [1, 2, 3]) await append(traceOf(n), { error: true })
  const [, , third] = store.entriesAfter({ file: 0, seq: 0 }, 10).filter(({ earlier }) => !earlier)
  if (!third) throw new Error('not due')
  await store.advance('http://sink', { file: 1, seq: third.seq - 1 })
  await store.advance('http://former', { file: 1, seq: 0 })
  clock.now += TERMS.retentionMs + HOUR_MS
  await store.tend()
  expect(notices).toMatchObject([{ kind: 'gone', unforwardedSpans: 1, unkeptTraces: 0 }])
  expect(store.losses()).toMatchObject({ unforwarded: 1, unkept: 0, early: 0 })
})

test('What went before its late error was forwarded is counted, too, of the same hour and of the one before', async () => {
  const { store, append, clock, notices } = storeAt()
  await append(traceOf(1))
  await append(traceOf(2))
  await append(traceOf(2), { error: true })
  clock.now += HOUR_MS
  await append(traceOf(1), { error: true })
  clock.now = START + TERMS.retentionMs + HOUR_MS
  await store.tend()
  expect(notices).toMatchObject([{ kind: 'gone', file: 1, unforwardedSpans: 3, unkeptTraces: 0 }])
  expect(store.losses()).toMatchObject({ unforwarded: 3 })
})

test('A file that goes in the moment in which it is full is counted, too', async () => {
  const { append, notices } = storeAt({ terms: { ...TERMS, maxBytes: 256 * 1024 } })
  await append(traceOf(1), { error: true, bytes: 512 * 1024 })
  await append(traceOf(2))
  expect(notices).toMatchObject([{ kind: 'gone', file: 1, why: 'room', unforwardedSpans: 1 }])
})

test('Below the cap nothing goes, however often a file was full', async () => {
  const { store, append, files } = storeAt({ terms: { ...TERMS, maxBytes: 4 * 1024 * 1024 } })
  // One after another: each writes whole pages into the log, which is larger than the file will be.
  for (let n = 0; n < 256; n++) await append(traceOf(n), { bytes: 4_000 })
  expect(files().length).toBeGreaterThan(3)
  expect(store.losses().early).toBe(0)
})

test('Over the cap the oldest hours go early, and are counted', async () => {
  const terms = { ...TERMS, maxBytes: 4 * 1024 * 1024 }
  const { store, append, clock, files, spans } = storeAt({ terms })
  for (let n = 0; n < 8; n++) {
    await append(traceOf(n), { bytes: 500_000 })
    clock.now += HOUR_MS
  }
  await store.tend()
  expect(files().length).toBeLessThan(5)
  expect(store.losses().early).toBe(8 - files().length)
  expect(spans(traceOf(0))).toBe(0)
  expect(spans(traceOf(7))).toBe(1)
})

test('When an hour has more than there is room for, its oldest part goes, and nothing is refused', async () => {
  const { store, append, spans } = storeAt({ terms: { ...TERMS, maxBytes: 4_000_000 } })
  for (let n = 0; n < 16; n++) await append(traceOf(n), { bytes: 500_000 })
  expect(spans(traceOf(0))).toBe(0)
  expect(spans(traceOf(15))).toBe(1)
  expect(store.losses().early).toBeGreaterThan(2)
})

test('A trace that failed outlives its hour without what came with it; one that did not goes', async () => {
  const { store, append, clock, spans } = storeAt()
  await append(traceOf(1), { error: true })
  await append(traceOf(2))
  expect(store.stay(traceOf(1))).toEqual({ kept: 'error', until: START + TERMS.keptMs })
  clock.now += TERMS.retentionMs + HOUR_MS
  await store.tend()
  expect([spans(traceOf(1)), spans(traceOf(2))]).toEqual([1, 0])
  expect(store.find(traceOf(1)).kind).toBe('found')
  expect(store.stay(traceOf(1))).toEqual({ kept: 'error', until: START + TERMS.keptMs })
  clock.now = START + TERMS.keptMs
  await store.tend()
  expect(spans(traceOf(1))).toBe(0)
})

test('Who was away for longer than the window keeps what is kept all the same', async () => {
  const { path, store, append, clock } = storeAt()
  await append(traceOf(1), { error: true })
  await store.close()
  // As if it had died before anything was copied.
  const kept = new DatabaseSync(join(path, 'kept.sqlite'))
  kept.exec('DELETE FROM kept_request; DELETE FROM mark; DELETE FROM cursor')
  kept.close()
  clock.now += 5 * TERMS.retentionMs
  const again = storeAt({ path, clock })
  await again.store.tend()
  expect(again.files()).toEqual([])
  expect(again.spans(traceOf(1))).toBe(1)
})

test('What is kept has a share of the room; over it failed traces go before reported ones, and are counted', async () => {
  const { store, append, clock, spans, notices } = storeAt({ terms: { ...TERMS, maxBytes: 16 * 1024 * 1024 } })
  await append(traceOf(0), { bytes: 500_000 })
  await store.keep(traceOf(0))
  for (let n = 1; n < 8; n++) {
    clock.now += 1_000
    await append(traceOf(n), { bytes: 500_000, error: true })
  }
  clock.now += TERMS.retentionMs + HOUR_MS
  await store.tend()
  const left = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => spans(traceOf(n)))
  expect(left[0]).toBe(1)
  expect(left[1]).toBe(0)
  expect(left[7]).toBe(1)
  const gone = left.filter((n) => n === 0).length
  expect(store.losses().unkept).toBe(gone)
  expect(notices.at(-1)).toEqual({ kind: 'evicted', traces: gone })
})

test.each([
  ['no database', (path: string) => writeFileSync(path, 'x'.repeat(10_000))],
  ['cut off', (path: string) => truncateSync(path, 5_000)],
])('An hour that is %s at the start is set aside, and the others are read', async (_, damage) => {
  const { path, store, append, clock, files } = storeAt()
  await append(traceOf(1))
  clock.now += HOUR_MS
  await append(traceOf(2))
  await store.close()
  damage(join(path, files()[0] ?? ''))
  const again = storeAt({ path, clock })
  expect([again.spans(traceOf(1)), again.spans(traceOf(2))]).toEqual([0, 1])
  expect(again.store.losses().damaged).toBe(1)
  expect(again.notices).toMatchObject([{ kind: 'damaged', path: join(path, '00000001-2026-01-01T00.sqlite') }])
  expect(readdirSync(path)).toContain('00000001-2026-01-01T00.sqlite.corrupt')
  await again.append(traceOf(3))
  expect(again.spans(traceOf(3))).toBe(1)
  clock.now = Date.now() + TERMS.retentionMs + HOUR_MS
  await again.store.tend()
  expect(readdirSync(path).filter((name) => name.endsWith('.corrupt'))).toEqual([])
})

test('A database of kept traces that is damaged is set aside, and what is in the hours is kept again', async () => {
  const { path, store, append, clock } = storeAt()
  await append(traceOf(1), { error: true })
  await store.close()
  writeFileSync(join(path, 'kept.sqlite'), 'x'.repeat(10_000))
  const again = storeAt({ path, clock })
  expect(again.store.losses().damaged).toBe(1)
  clock.now += TERMS.retentionMs + HOUR_MS
  await again.store.tend()
  expect(again.spans(traceOf(1))).toBe(1)
})

test('An hour that turns out to be damaged is left out and set aside, and what comes then goes into a new file', async () => {
  const { path, store, append, clock, files } = storeAt()
  for (let n = 0; n < 200; n++) void append(traceOf(n), { bytes: 1_000 })
  await append(traceOf(999))
  await store.close()
  const file = join(path, files()[0] ?? '')
  const bytes = readFileSync(file)
  // The first page, which has the schema, stays whole.
  writeFileSync(file, bytes.fill(0xff, 4_096))
  const again = storeAt({ path, clock })
  expect(again.spans(traceOf(1))).toBe(0)
  await again.damaged
  await again.append(traceOf(1))
  expect(again.spans(traceOf(1))).toBe(1)
  expect(again.files()).toEqual(['00000002-2026-01-01T00.sqlite'])
  expect(again.store.losses().damaged).toBe(1)
})

test('A request that cannot be read any more does not keep others from being kept', async () => {
  const { store, append, clock, spans, notices } = storeAt()
  const traces = packTraces([[traceOf(1), { spans: 1, error: true }]])
  await store.append({ encoding: 'json', body: Buffer.from('no gzip'), traces })
  await append(traceOf(2), { error: true })
  clock.now += TERMS.retentionMs + HOUR_MS
  await store.tend()
  expect(spans(traceOf(2))).toBe(1)
  expect(notices.map(({ kind }) => kind)).toEqual(['uncopied', 'gone'])
})

test.each([99, -1])('A file of schema version %d is refused with its path, and left as it is', async (version) => {
  const { path, store, append, files } = storeAt()
  await append()
  await store.close()
  const file = join(path, files()[0] ?? '')
  const db = new DatabaseSync(file)
  db.exec(`PRAGMA user_version = ${version}; CREATE TABLE precious (x)`)
  db.close()
  expect(() => openStore(path, TERMS)).toThrow(file)
  const again = new DatabaseSync(file)
  expect(again.prepare("SELECT name FROM sqlite_schema WHERE name = 'precious'").all()).toHaveLength(1)
  again.close()
})

test('A second relay on the same folder is refused, and the first goes on', async () => {
  const { path, append, spans } = storeAt()
  expect(() => openStore(path, TERMS)).toThrow(`${path} is in use`)
  await append()
  expect(spans()).toBe(1)
})

test('When the disk refuses, every waiting request is told so, and the next can succeed', async () => {
  const { path, store, append, files } = storeAt()
  await append(traceOf(0))
  const other = new DatabaseSync(join(path, files()[0] ?? ''), { timeout: 60_000 })
  other.exec('BEGIN IMMEDIATE')
  const refused = await Promise.allSettled([append(traceOf(1)), append(traceOf(2), { error: true })])
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await expect(store.check()).rejects.toMatchObject({ name: 'StoreUnavailable' })
  other.exec('ROLLBACK')
  other.close()
  // In the middle of a transaction: the second of two that share it has a list of traces that the tables refuse.
  const noList = { encoding: 'json', body: Buffer.from(''), traces: Buffer.alloc(1) } as const
  const together = await Promise.allSettled([append(traceOf(2), { error: true }), store.append(noList)])
  expect(together.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(store.find(traceOf(2)).kind).toBe('unknown')
  // What was rolled back is not due either: the same trace without an error is none.
  await append(traceOf(2))
  expect(store.find(traceOf(2)).kind).toBe('found')
  expect(store.entriesAfter({ file: 0, seq: 0 }, 10)).toEqual([])
  await store.check()
})
