import { expect, test } from 'vitest'
import { readTimings } from '../relay/run-timings.ts'
import { timingsHeader } from './run-timings.ts'

test('What the extension tells is what the relay reads', () => {
  const { 'pass-ats-timings': header = '' } = timingsHeader({ extract: 812.4, request: 1033.6 })
  expect(readTimings(header)).toEqual({ extract: 812, request: 1034 })
})

test('A clock that was set back, or far ahead, costs only the time that it has spoilt', () => {
  expect(timingsHeader({ extract: 12, request: -3_600_000 })).toEqual({ 'pass-ats-timings': 'extract=12' })
  expect(timingsHeader({ elapsed: 86_400_000 })).toEqual({})
  expect(timingsHeader({ extract: undefined, request: Number.NaN })).toEqual({})
})
