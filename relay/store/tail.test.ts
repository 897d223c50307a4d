import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { encode, spansOf } from '../otlp.ts'
import { sampleRequest, sampleSpan, TERMS, TRACE_ID, temporaryPath, temporaryStore } from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import type { Store } from './store.ts'

/** What the tail holds at most, and a little more. */
const MANY = 16_500
const randomId = () => randomBytes(16).toString('hex')

async function appendSpan(store: Store, spanId: string, traceId = TRACE_ID): Promise<void> {
  const body = gzipSync(encode(sampleRequest([sampleSpan(spanId, { traceId })]), 'json'))
  await store.append({ encoding: 'json', body, traces: packTraces([[traceId, { spans: 1, error: false }]]) })
}
/** Requests that say they have spans of so many traces; what is in them is read by nobody here. */
async function appendTraces(store: Store, traceIds: readonly string[]): Promise<void> {
  const body = gzipSync('{}')
  for (let at = 0; at < traceIds.length; at += 1_000) {
    const some = traceIds.slice(at, at + 1_000).map((traceId) => [traceId, { spans: 3, error: false }] as const)
    await store.append({ encoding: 'json', body, traces: packTraces(some) })
  }
}
const idsIn = (store: Store, traceId = TRACE_ID) => [...spansOf(store.trace(traceId))].map(({ spanId }) => spanId)

function indexedRows(path: string): number {
  const name = readdirSync(path).find((file) => /^\d{8}-.*sqlite$/.test(file)) ?? ''
  const db = new DatabaseSync(join(path, name), { readOnly: true })
  const { rows } = db.prepare('SELECT count(*) AS rows FROM trace_request').get() as { rows: number }
  db.close()
  return rows
}

test('Spans are found in their order before their requests are in the index, across it, and after', async () => {
  const path = temporaryPath()
  const store = temporaryStore(path)
  const others = Array.from({ length: MANY }, randomId)
  await appendSpan(store, '00000000000000a1')
  expect(indexedRows(path)).toBe(0)
  expect(idsIn(store)).toEqual(['00000000000000a1'])
  await appendTraces(store, others)
  expect(indexedRows(path)).toBeGreaterThan(10_000)
  await appendSpan(store, '00000000000000a2')
  expect(idsIn(store)).toEqual(['00000000000000a1', '00000000000000a2'])
  for (const id of [others[0], others.at(-1)] as string[]) {
    expect(store.find(id.slice(0, 12))).toEqual({ kind: 'found', traceId: id })
    expect(store.spansIn({ file: 1, request: id === others[0] ? 2 : 18 }, id)).toBe(3)
  }
})

test('What a process that died had not indexed yet is found by the next, and indexed by it', async () => {
  const path = temporaryPath()
  const store = temporaryStore(path)
  await appendSpan(store, '00000000000000a1')
  await store.close()
  expect(indexedRows(path)).toBe(0)
  const next = temporaryStore(path)
  expect(idsIn(next)).toEqual(['00000000000000a1'])
  expect(next.find(TRACE_ID.slice(0, 8)).kind).toBe('found')
  await appendSpan(next, '00000000000000a2')
  expect(indexedRows(path)).toBe(1)
  expect(idsIn(next)).toEqual(['00000000000000a1', '00000000000000a2'])
})

test('More IDs than fit its first room are all found, those with the same beginning too', async () => {
  const store = temporaryStore()
  const alike = Array.from({ length: 3_000 }, (_, n) => TRACE_ID.slice(0, 24) + n.toString(16).padStart(8, '0'))
  await appendTraces(store, alike)
  for (const id of alike.filter((_, n) => n % 500 === 0)) expect(store.find(id).kind).toBe('found')
  const { candidates } = store.find(TRACE_ID.slice(0, 24)) as { candidates: string[] }
  expect(candidates).toEqual(alike.slice(0, 10))
})

test('A file that has its part of the room is followed by another of the same hour, and both are read', async () => {
  const path = temporaryPath()
  const store = temporaryStore(path, Date.now, { ...TERMS, maxBytes: 4 * 1024 * 1024 })
  const body = randomBytes(300_000)
  await appendSpan(store, '00000000000000a1')
  for (let n = 0; n < 3; n += 1) {
    await store.append({ encoding: 'json', body, traces: packTraces([[randomId(), { spans: 1, error: false }]]) })
  }
  await appendSpan(store, '00000000000000a2')
  const files = readdirSync(path).filter((file) => /^\d{8}-.*sqlite$/.test(file))
  expect(files.length).toBeGreaterThan(1)
  expect(idsIn(store)).toEqual(['00000000000000a1', '00000000000000a2'])
})
