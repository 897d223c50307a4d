import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { encode } from './otlp.ts'
import { sampleRequest, sampleSpan, TERMS, TRACE_ID, temporaryPath, temporaryStore } from './sample-run.ts'

const NEIGHBOUR = `${TRACE_ID.slice(0, 31)}7`
const HOUR_MS = 3_600_000

function storeAt(path = temporaryPath()) {
  const clock = { now: 1_000 }
  const store = temporaryStore(path, () => clock.now)
  const append = (traceId = TRACE_ID) => {
    const body = gzipSync(encode(sampleRequest([sampleSpan('00f067aa0ba902b7', { traceId })]), 'json'))
    return store.append({ encoding: 'json', body, traceIds: [traceId] })
  }
  return { store, append, clock }
}

test('Requests past their time are deleted with their index, and ids are not used again', async () => {
  const { store, append, clock } = storeAt()
  await append()
  clock.now = 1_000 + TERMS.retentionMs
  expect(store.expire()).toEqual({ deleted: 0, more: false })
  clock.now += 1
  expect(store.expire()).toEqual({ deleted: 1, more: false })
  expect(store.find(TRACE_ID)).toEqual({ kind: 'unknown' })
  await append()
  expect(store.nextAfter(0)?.id).toBe(2)
})

test('However many kept requests are the oldest, those behind them go, a bounded batch at a time', async () => {
  const { store, append, clock } = storeAt()
  await Promise.all(Array.from({ length: 600 }, () => append()))
  await Promise.all(Array.from({ length: 600 }, () => append(NEIGHBOUR)))
  store.keep(TRACE_ID)
  clock.now += TERMS.retentionMs + 1
  expect([store.expire(), store.expire(), store.expire(), store.expire()]).toEqual([
    { deleted: 0, more: true },
    { deleted: 400, more: true },
    { deleted: 200, more: false },
    { deleted: 0, more: false },
  ])
  expect(store.find(NEIGHBOUR)).toEqual({ kind: 'unknown' })
  // What was passed over is looked at again, to the end, once its time is over.
  clock.now = 1_000 + TERMS.keptMs + HOUR_MS
  expect([store.expire(), store.expire()]).toEqual([
    { deleted: 500, more: true },
    { deleted: 100, more: false },
  ])
})

test('A pass over the store that takes longer than an hour reaches its end all the same', async () => {
  const { store, append, clock } = storeAt()
  await Promise.all(Array.from({ length: 1_000 }, () => append()))
  await append(NEIGHBOUR)
  store.keep(TRACE_ID)
  clock.now += TERMS.retentionMs + 1
  const deleted = Array.from({ length: 3 }, () => {
    clock.now += HOUR_MS
    return store.expire().deleted
  })
  expect(deleted).toEqual([0, 0, 1])
})

test('Marks of kept traces go when they count for nothing any more', async () => {
  const path = temporaryPath()
  const { store, append, clock } = storeAt(path)
  await append()
  store.keep(TRACE_ID)
  const marks = () => {
    const db = new DatabaseSync(path)
    const { n } = db.prepare('SELECT count(*) AS n FROM kept_trace').get() as { n: number }
    db.close()
    return n
  }
  clock.now = 1_000 + TERMS.keptMs - 1
  store.expire()
  expect(marks()).toBe(1)
  clock.now += 2 * HOUR_MS
  store.expire()
  expect(marks()).toBe(0)
})

test('How long a trace stays is told by its first request, or by its being kept', async () => {
  const { store, append, clock } = storeAt()
  expect(store.stay(TRACE_ID)).toBeUndefined()
  await append()
  clock.now = 5_000
  await append()
  expect(store.stay(TRACE_ID)).toEqual({ kept: false, until: 1_000 + TERMS.retentionMs })
  store.keep(TRACE_ID)
  expect(store.stay(TRACE_ID)).toEqual({ kept: true, until: 5_000 + TERMS.keptMs })
  clock.now = 5_000 + TERMS.keptMs
  expect(store.stay(TRACE_ID)).toEqual({ kept: false, until: 1_000 + TERMS.retentionMs })
})

test('A store of the version before is brought up to date with what is in it', () => {
  const path = temporaryPath()
  const db = new DatabaseSync(path)
  db.exec(readFileSync(new URL('./store.sql', import.meta.url), 'utf8'))
  db.exec(`PRAGMA user_version = 1;
    INSERT INTO request (received_at, encoding, body) VALUES (1000, 'json', x'00');
    INSERT INTO trace_request VALUES (x'${TRACE_ID}', 1)`)
  db.close()
  const { store } = storeAt(path)
  expect(store.keep(TRACE_ID)).toEqual({ kind: 'kept', until: 1_000 + TERMS.keptMs })
  store.close()
  expect(storeAt(path).store.stay(TRACE_ID)?.kept).toBe(true)
})
