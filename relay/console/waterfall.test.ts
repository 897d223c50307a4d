import { expect, test } from 'vitest'
import { SERVICE_EXTENSION, SERVICE_SERVER } from '../../names.ts'
import { sampleRequest, sampleSpan, text } from '../sample-run.ts'
import { layOut } from './waterfall.ts'

const ROOT = '00000000000000a0'
const CHILD = '00000000000000b0'
const shape = (waterfall: ReturnType<typeof layOut>) =>
  waterfall.rows.map(({ spanId, depth }) => `${depth}:${spanId.slice(-2)}`)

test('Rows are parents before children and siblings by start, whatever the order of arrival', () => {
  const waterfall = layOut(
    sampleRequest([
      sampleSpan('00000000000000b2', { parentSpanId: ROOT, startMs: 60 }),
      sampleSpan('00000000000000c1', { parentSpanId: '00000000000000b1', startMs: 20, durationMs: 5 }),
      sampleSpan(ROOT, { durationMs: 100 }),
      sampleSpan('00000000000000b1', { parentSpanId: ROOT, startMs: 10 }),
    ]),
  )
  expect(shape(waterfall)).toEqual(['0:a0', '1:b1', '2:c1', '1:b2'])
  expect(waterfall).toMatchObject({ fromMs: 0, totalMs: 100, missingParents: [] })
  expect(waterfall.root?.spanId).toBe(ROOT)
  expect(waterfall.rows[2]).toMatchObject({ startMs: 20, durationMs: 5, parentSpanId: '00000000000000b1' })
})

test('A span whose parent is not here starts a tree of its own and the parent is named', () => {
  const waterfall = layOut(sampleRequest([sampleSpan(CHILD, { parentSpanId: ROOT, startMs: 5, durationMs: 7 })]))
  expect(shape(waterfall)).toEqual(['0:b0'])
  expect(waterfall.root).toBeUndefined()
  expect(waterfall).toMatchObject({ missingParents: [ROOT], totalMs: 7 })
})

test('A clock behind the browser’s gives a start below zero, and the total covers it', () => {
  const waterfall = layOut(
    sampleRequest([sampleSpan(ROOT, { durationMs: 10 }), sampleSpan(CHILD, { parentSpanId: ROOT, startMs: -5 })]),
  )
  expect(waterfall).toMatchObject({ fromMs: -5, totalMs: 15 })
})

test('Spans that call each other in a circle all appear, once', () => {
  const a = sampleSpan(ROOT, { parentSpanId: CHILD })
  const b = sampleSpan(CHILD, { parentSpanId: ROOT, startMs: 1 })
  expect(shape(layOut(sampleRequest([a, b])))).toEqual(['0:a0', '1:b0'])
})

test('A chain of a hundred thousand spans is laid out', () => {
  const id = (n: number) => n.toString(16).padStart(16, '0')
  const chain = Array.from({ length: 100_000 }, (_, n) => sampleSpan(id(n + 1), n > 0 ? { parentSpanId: id(n) } : {}))
  expect(layOut(sampleRequest(chain)).rows.at(-1)?.depth).toBe(99_999)
})

test('Rows carry service, kind, status, failure code and attributes as plain values', () => {
  const span = sampleSpan(ROOT, {
    kind: 3,
    status: { code: 2 },
    attributes: [
      text('pass_ats.failure.code', 'llm_timeout'),
      { key: 'i', value: { intValue: '42' } },
      { key: 'big', value: { intValue: '9223372036854775807' } },
      { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, { boolValue: true }] } } },
    ],
  })
  const other = sampleRequest([sampleSpan(CHILD, { parentSpanId: ROOT })])
  const { rows, services } = layOut({
    resourceSpans: [...sampleRequest([span], SERVICE_SERVER).resourceSpans, ...other.resourceSpans],
  })
  expect(rows[0]).toMatchObject({
    service: SERVICE_SERVER,
    kind: 'client',
    status: 'error',
    failureCode: 'llm_timeout',
  })
  expect(rows[0]?.attributes).toMatchObject({ i: 42, big: '9223372036854775807', list: ['a', true] })
  expect(services).toEqual([SERVICE_SERVER, SERVICE_EXTENSION])
})

test('No spans at all are no rows', () => {
  expect(layOut({ resourceSpans: [] })).toMatchObject({ rows: [], root: undefined, totalMs: 0, services: [] })
})

test('Values of the wrong shape are shown as far as they can be, and never break the page', () => {
  const wrong = [
    null,
    7,
    { stringValue: { isEscaped: true } },
    { arrayValue: { values: 1 } },
    { boolValue: {} },
    { kvlistValue: [] },
  ]
  const attributes = wrong.map((value, n) => ({ key: `k${n}`, value })) as never
  const [row] = layOut(sampleRequest([sampleSpan(ROOT, { attributes, name: { isEscaped: true } as never })])).rows
  expect(row?.name).toBe('[object Object]')
  expect(row?.attributes).toEqual({ k0: '', k1: '', k2: '[object Object]', k3: '', k4: true, k5: '(map)' })
})
