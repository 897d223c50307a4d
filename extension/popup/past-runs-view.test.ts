import { expect, test } from 'vitest'
import type { PastRun } from '../past-runs.ts'
import { rowsOf } from './past-runs-view.ts'

const START = 1_700_000_000_000
const ID = '4bf92f35'.repeat(4)
const row = (more: Partial<PastRun>, delivered: string[] = []) => {
  const run: PastRun = { id: ID, status: 'done', startedAt: START, trace: 'held', ...more }
  return rowsOf([run], new Set(delivered), START + 180_000)[0]
}

test('a run that ended is named by its posting, its end and its time, and can be reported', () => {
  expect(row({ posting: { title: 'Cook', company: 'Acme' } }, [ID])).toEqual({
    ...{ id: ID, shortId: '4bf92f35', title: 'Cook', company: 'Acme' },
    ...{ icon: 'done', word: 'Done', code: '', when: '3 min ago', startedAt: START, reported: '' },
    ...{ canReport: true, canOpen: true },
  })
})

test('a failure has its code, and no PDF to open', () => {
  const failed = row({ status: 'failed', code: 'posting_not_found' })
  expect(failed).toMatchObject({ icon: 'failed', word: 'Failed', code: 'posting_not_found', canOpen: false })
})

test('one that the person cancelled is called that, calmly', () => {
  const cancelled = row({ status: 'failed', code: 'cancelled' })
  expect(cancelled).toMatchObject({ icon: 'waiting', word: 'Cancelled', code: '', canReport: true, canOpen: false })
})

test('a run under way says so, and cannot be reported', () => {
  expect(row({ status: 'running' })).toMatchObject({ word: 'Under way', title: 'Reading the page…', canReport: false })
})

test('what was not read has words', () => {
  expect(row({})).toMatchObject({ title: 'No posting was read', company: '' })
  expect(row({ posting: { title: '', company: '' } })).toMatchObject({
    title: 'A posting without a title',
    company: 'Company not named',
  })
})

test('a report is told, waiting or sent', () => {
  expect([row({ report: 'waiting' })?.reported, row({ report: 'sent' })?.reported]).toEqual([
    'Report waiting',
    'Reported',
  ])
})
