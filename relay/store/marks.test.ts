import { expect, test } from 'vitest'
import { createMarks, isInRatio, type Mark } from './marks.ts'

const NONE: Mark = { error: 0, report: 0 }
const idWith = (digits: string) => digits.padStart(24, '0').padEnd(32, 'f')

test.each([
  ['fd70a3', false],
  ['fd70a4', true],
  ['ffffff', true],
  ['000000', false],
])('An ID whose last 56 bits begin with %s is in the ratio: %s', (digits, expected) => {
  expect(isInRatio(idWith(digits))).toBe(expected)
})

test('Of 100,000 random IDs about one in a hundred is in the ratio', () => {
  const ids = Array.from({ length: 100_000 }, () => crypto.randomUUID().replaceAll('-', ''))
  const count = ids.filter(isInRatio).length
  expect(count).toBeGreaterThan(800)
  expect(count).toBeLessThan(1_200)
})

test('A mark counts from when it is set, and is gone when its transaction was not written', () => {
  const marks = createMarks(() => NONE)
  marks.set('a', 'error', 5)
  marks.settle(true)
  marks.set('a', 'report', 9)
  marks.set('b', 'error', 7)
  expect([marks.of('a'), marks.of('b')]).toEqual([
    { error: 5, report: 9 },
    { error: 7, report: 0 },
  ])
  marks.settle(false)
  expect([marks.of('a'), marks.of('b')]).toEqual([{ error: 5, report: 0 }, NONE])
})

test('With more marks than there is room for, the files are asked for the others', () => {
  const asked: string[] = []
  const written: Record<string, Mark> = { b: { error: 3, report: 0 } }
  const read = (traceId: string) => {
    asked.push(traceId)
    return written[traceId] ?? NONE
  }
  const marks = createMarks(read, 1)
  marks.set('a', 'error', 1)
  expect(marks.of('c')).toEqual(NONE)
  expect(asked).toEqual([])
  marks.set('b', 'error', 3)
  expect(marks.of('b')).toEqual({ error: 3, report: 0 })
  expect(marks.of('a')).toEqual({ error: 1, report: 0 })
  expect(asked).toEqual(['b'])
  marks.reload([{ traceId: 'b', reason: 'error', until: 3 }])
  expect(marks.of('c')).toEqual(NONE)
})
