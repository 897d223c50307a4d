import { expect, test } from 'vitest'
import { withThreshold } from './tracestate.ts'

test.each([
  ['', 'th:0', 'ot=th:0'],
  ['ot=th:fd70a4', 'th:0', 'ot=th:0'],
  ['ot=rv:1234;th:fd70a4', 'th:0', 'ot=th:0;rv:1234'],
  ['passats=p:00f067aa0ba902b7,ot=th:fd70a4,b=2', 'th:0', 'ot=th:0,passats=p:00f067aa0ba902b7,b=2'],
  ['a=1,ot=th:0', 'th:0', 'a=1,ot=th:0'],
  ['ot=th:fd70a4', null, ''],
  ['a=1, ot=th:fd70a4;rv:1', null, 'ot=rv:1,a=1'],
  ['a=1', null, 'a=1'],
  ['not a tracestate', null, 'not a tracestate'],
])('%j with %j is %j', (before, threshold, after) => {
  expect(withThreshold(before, threshold)).toBe(after)
})

test('There are never more than 32 members', () => {
  const full = Array.from({ length: 32 }, (_, index) => `k${index}=v`).join(',')
  const changed = withThreshold(full, 'th:0').split(',')
  expect(changed).toHaveLength(32)
  expect(changed[0]).toBe('ot=th:0')
  expect(changed).not.toContain('k31=v')
})
