import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { Failure } from './failure.ts'
import { failureOf, waitBefore } from './llm-fault.ts'

const NOW = Date.parse('2026-01-01T12:00:00Z')
const refusal = (status: number, headers: Record<string, string> = {}, code?: string) =>
  failureOf(OpenAI.APIError.generate(status, { error: { code } }, undefined, new Headers(headers)))

it.each([
  ['seconds', { 'retry-after': '3' }, 3_000],
  ['none at all', { 'retry-after': '0' }, 0],
  ['a date', { 'retry-after': 'Thu, 01 Jan 2026 12:00:04 GMT' }, 4_000],
  ['a date that is over', { 'retry-after': 'Thu, 01 Jan 2026 11:00:00 GMT' }, 0],
  ['milliseconds, which are finer', { 'retry-after': '4', 'retry-after-ms': '250' }, 250],
  ['more seconds than a person waits', { 'retry-after': '30' }, undefined],
  ['a date too far away', { 'retry-after': 'Thu, 01 Jan 2026 12:01:00 GMT' }, undefined],
])('waits as long as is asked: %s', (_, headers, wait) => {
  expect(waitBefore(1, refusal(429, headers), NOW)).toBe(wait)
  expect(waitBefore(1, refusal(503, headers), NOW)).toBe(wait)
})

it('waits longer each time where nothing is asked, never the same, and asks three times', () => {
  for (const [attempt, least, most] of [
    [1, 375, 625],
    [2, 750, 1250],
  ] as const) {
    const wait = waitBefore(attempt, refusal(500), NOW) ?? 0
    expect(wait).toBeGreaterThanOrEqual(least)
    expect(wait).toBeLessThanOrEqual(most)
  }
  expect(waitBefore(3, refusal(500), NOW)).toBeUndefined()
  // A wait that cannot be read is none.
  expect(waitBefore(1, refusal(429, { 'retry-after': 'soon' }), NOW)).toBeGreaterThan(0)
})

it.each(['interrupted', 'llm_timeout', 'llm_unauthorized', 'llm_misconfigured', 'llm_refused'] as const)(
  'does not ask again after %s',
  (code) => {
    expect(waitBefore(1, new Failure(code), NOW)).toBeUndefined()
  },
)
