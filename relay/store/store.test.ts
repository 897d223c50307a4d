import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { encode, type OtlpSpan, spansOf } from '../otlp.ts'
import { sampleRequest, sampleSpan, TERMS, TRACE_ID, temporaryPath, temporaryStore, text } from '../sample-run.ts'
import { packTraces } from '../scan/trace-list.ts'
import { openStore, type Store } from './store.ts'

function append(store: Store, ...spans: OtlpSpan[]): Promise<void> {
  const body = gzipSync(encode(sampleRequest(spans), 'json'))
  return store.append({ encoding: 'json', body, traces: tracesOf(spans) })
}
function tracesOf(spans: OtlpSpan[]): Uint8Array {
  const byTrace = Map.groupBy(spans, ({ traceId }) => traceId)
  const error = (some: OtlpSpan[]) => some.some(({ status }) => status?.code === 2)
  return packTraces([...byTrace].map(([traceId, some]) => [traceId, { spans: some.length, error: error(some) }]))
}
const NEIGHBOUR = `${TRACE_ID.slice(0, 31)}7`

test('A trace is found by its full ID and by a prefix of any length from 8', async () => {
  const store = temporaryStore()
  await append(store, sampleSpan('00f067aa0ba902b7'))
  for (const length of [8, 9, 15, 31, 32]) {
    expect(store.find(TRACE_ID.slice(0, length))).toEqual({ kind: 'found', traceId: TRACE_ID })
  }
  expect(store.find('4bf92f36')).toEqual({ kind: 'unknown' })
  expect(store.find(NEIGHBOUR)).toEqual({ kind: 'unknown' })
})

test('A prefix of two traces is ambiguous and lists both', async () => {
  const store = temporaryStore()
  await append(store, sampleSpan('00f067aa0ba902b7'), sampleSpan('00f067aa0ba902b8', { traceId: NEIGHBOUR }))
  expect(store.find(TRACE_ID.slice(0, 8))).toEqual({ kind: 'ambiguous', candidates: [TRACE_ID, NEIGHBOUR] })
  expect(store.find(NEIGHBOUR)).toEqual({ kind: 'found', traceId: NEIGHBOUR })
})

test('A span that arrives twice appears once, as it came first, and spans of other traces do not appear', async () => {
  const store = temporaryStore()
  await append(store, sampleSpan('00f067aa0ba902b7', { name: 'first' }), sampleSpan('00f067aa0ba902b8'))
  await append(
    store,
    sampleSpan('00f067aa0ba902b7', { name: 'second' }),
    sampleSpan('00f067aa0ba902b9'),
    sampleSpan('00f067aa0ba902ba', { traceId: NEIGHBOUR }),
  )
  const spans = [...spansOf(store.trace(TRACE_ID))]
  expect(spans.map(({ spanId }) => spanId)).toEqual(['00f067aa0ba902b7', '00f067aa0ba902b8', '00f067aa0ba902b9'])
  expect(spans[0]?.name).toBe('first')
})

const idOf = (n: number) => n.toString(16).padStart(16, '0')

test('Of a forged trace with very many spans the first are read, and it is said that there are more', async () => {
  const store = temporaryStore()
  const ids = (from: number) => Array.from({ length: 15_000 }, (_, n) => sampleSpan(idOf(from + n)))
  await append(store, ...ids(1))
  expect(store.trace(TRACE_ID).truncated).toBe(false)
  await append(store, ...ids(15_001))
  const trace = store.trace(TRACE_ID)
  expect(trace.truncated).toBe(true)
  expect([...spansOf(trace)]).toHaveLength(20_000)
  expect([...spansOf(trace)].at(-1)?.spanId).toBe(idOf(20_000))
})

test.each([
  ['bytes', 5, 12, { attributes: [text('filler', 'x'.repeat(6 * 1024 * 1024))] }],
  ['attributes', 4, 12, { attributes: Array.from({ length: 80_000 }, (_, n) => text(`k${n}`, '')) }],
  ['requests', 1_000, 1_001, {}],
])('A look-up stops before it has read too many %s, and says so', async (_, read, stored, span) => {
  const store = temporaryStore()
  const all = Array.from({ length: stored }, (_, n) => n + 1)
  const some = all.slice(0, read)
  for (const n of some) await append(store, sampleSpan(idOf(n), span))
  expect(store.trace(TRACE_ID).truncated).toBe(false)
  for (const n of all.slice(read)) await append(store, sampleSpan(idOf(n), span))
  const trace = store.trace(TRACE_ID)
  expect(trace.truncated).toBe(true)
  expect([...spansOf(trace)].map(({ spanId }) => spanId)).toEqual(some.map(idOf))
  // The same statement, used again after it was left in the middle.
  expect(store.trace(TRACE_ID)).toEqual(trace)
})

test('What was answered for is still there after the store is opened again', async () => {
  const path = temporaryPath()
  const before = openStore(path, TERMS)
  await append(before, sampleSpan('00f067aa0ba902b7'))
  await before.advance('http://sink', { file: 1, seq: 2 })
  await before.close()
  const after = temporaryStore(path)
  expect(after.find(TRACE_ID).kind).toBe('found')
  expect(after.cursor('http://sink')).toEqual({ file: 1, seq: 2 })
})

test('Recent traces come newest first with the times they were first and last seen', async () => {
  let time = 1_000
  const store = temporaryStore(temporaryPath(), () => time)
  await append(store, sampleSpan('00f067aa0ba902b7'))
  time = 2_000
  await append(store, sampleSpan('00f067aa0ba902b8', { traceId: NEIGHBOUR }))
  time = 3_000
  await append(store, sampleSpan('00f067aa0ba902b9'))
  expect(store.recent(10)).toEqual([
    { traceId: TRACE_ID, lastSeen: 3_000 },
    { traceId: NEIGHBOUR, lastSeen: 2_000 },
  ])
})
