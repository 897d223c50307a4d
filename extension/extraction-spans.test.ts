import type { Attributes, Span } from '@opentelemetry/api'
import { expect, test, vi } from 'vitest'

vi.mock('webextension-polyfill', () => ({ default: {} }))
const { recordExtraction } = await import('./extraction-spans.ts')

interface Recorded {
  name: string
  startTime: number | undefined
  endTime?: number
  attributes: Attributes
}

function recorder() {
  const spans: Recorded[] = []
  const start = (
    name: string,
    _: unknown,
    { startTime, attributes = {} }: { startTime?: number; attributes?: Attributes },
  ) => {
    const span: Recorded = { name, startTime, attributes: { ...attributes } }
    spans.push(span)
    return {
      end: (time: number) => Object.assign(span, { endTime: time }),
      setStatus: () => {},
      setAttributes: (more: Attributes) => Object.assign(span.attributes, more),
    }
  }
  return { spans, tracer: { start } as never }
}
const call = {} as Span
const T = Date.now()
const attempt = { source: 'json-ld', took: 2, gaveUp: 'no_json_ld' } as const

test('two answers make one stage, from the first start to the last end, with the tries of both', () => {
  const { spans, tracer } = recorder()
  const posting = { source: 'readability', title: '', company: '', location: '', description: 'abc' } as const
  recordExtraction(tracer, call, T, {
    ...{ host: 'jobs.example', posting },
    attempted: [
      { startTime: T + 10, attempts: [attempt] },
      { startTime: T + 20, attempts: [{ source: 'readability', took: 5 }] },
    ],
  })
  expect(spans.map(({ name, startTime, endTime }) => ({ name, startTime, endTime }))).toEqual([
    { name: 'content/extract_posting', startTime: T + 10, endTime: T + 25 },
    { name: 'extract', startTime: T + 10, endTime: T + 25 },
    { name: 'extract strategy', startTime: T + 10, endTime: T + 12 },
    { name: 'extract strategy', startTime: T + 20, endTime: T + 25 },
  ])
  expect(spans[1]?.attributes).toEqual({
    'pass_ats.stage': 'extract',
    'pass_ats.posting.host': 'jobs.example',
    'pass_ats.posting.source': 'readability',
    'pass_ats.posting.length': 3,
  })
})

test('what a content script cannot have seen is dropped: free text, endless lists, times that are none', () => {
  const { spans, tracer } = recorder()
  const hostile = [
    { ...attempt, gaveUp: 'Ada Quill, ada@quill.example' },
    { ...attempt, source: 'x'.repeat(100) },
    { ...attempt, took: Number.NaN },
    { ...attempt, took: -1 },
    ...Array(1_000).fill(attempt),
  ]
  recordExtraction(tracer, call, T, {
    ...{ host: 'jobs.example/ada?token=1' },
    attempted: [
      { startTime: T + 10, attempts: hostile as never },
      { startTime: T + 86_400_000, attempts: [attempt] },
      { startTime: Number.NaN, attempts: [attempt] },
    ],
  })
  expect(spans.filter(({ name }) => name === 'extract strategy')).toHaveLength(32 - 4)
  expect(JSON.stringify(spans)).not.toMatch(/quill|token|xxx/i)
  expect(spans[0]?.attributes).toMatchObject({ 'error.type': 'posting_not_found' })
})
