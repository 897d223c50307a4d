import { describe, expect, test } from 'vitest'
import type { PastRun } from '../past-runs.ts'
import { answerOf, contentOf, standingOf } from './report-view.ts'

const START = 1_700_000_000_000
const nanos = (ms: number) => `${START + ms}000000`
const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const span = (name: string, kind: number, ms: [number, number], more: object = {}) => ({
  ...{ name, kind, traceId: 'a'.repeat(32), startTimeUnixNano: nanos(ms[0]), endTimeUnixNano: nanos(ms[1]) },
  ...{ spanId: name, attributes: [], events: [], status: { code: 0 }, ...more },
})
const bodyOf = (spans: object[]) =>
  JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: [text('app.installation.id', 'i-1'), text('not.known.yet', 'x')] },
        scopeSpans: [{ scope: { name: 'pass-ats-extension' }, spans }],
      },
    ],
  })

describe('what is sent', () => {
  test('is told in words where there are some, and by its own name where there are none', () => {
    const spans = [span('generate resume', 1, [0, 900]), span('something new', 1, [10, 92])]
    const { about, steps } = contentOf(bodyOf(spans))
    expect(about).toEqual([
      { name: 'Random installation ID', value: 'i-1' },
      { name: 'not.known.yet', value: 'x' },
    ])
    expect(steps.map(({ words, duration }) => [words, duration])).toEqual([
      ['The whole run', '900 ms'],
      ['something new', '82 ms'],
    ])
  })

  test('tells the two ends of a message apart', () => {
    const spans = [span('content/extract_posting', 3, [0, 1]), span('content/extract_posting', 2, [0, 1])]
    expect(contentOf(bodyOf(spans)).steps.map(({ words }) => words)).toEqual(['Ask the page', 'Answer from the page'])
  })

  test('lists what contains another before it, also when both start together', () => {
    const spans = [
      span('background/start_run', 3, [0, 8], { parentSpanId: 'generate resume' }),
      span('generate resume', 1, [0, 900], { parentSpanId: '' }),
    ]
    const { steps } = contentOf(bodyOf(spans))
    expect(steps.map(({ words, depth }) => [words, depth])).toEqual([
      ['The whole run', 0],
      ['Ask for a run', 1],
    ])
  })

  test('leaves out no attribute and no event, whatever its kind', () => {
    const attributes = [
      text('error.type', 'posting_not_found'),
      { key: 'count', value: { intValue: 3 } },
      { key: 'list', value: { arrayValue: { values: [{ boolValue: true }] } } },
    ]
    const events = [{ name: 'exception', timeUnixNano: nanos(5), attributes: [text('exception.type', 'Error')] }]
    const failed = span('extract', 1, [0, 9], { attributes, events, status: { code: 2 }, parentSpanId: 'gone' })
    const [step] = contentOf(bodyOf([failed])).steps
    expect(step?.outcome).toBe('Failed')
    expect(step?.facts).toEqual([
      { name: 'name', value: 'extract (internal)' },
      { name: 'starts after', value: '0 ms' },
      { name: 'error.type', value: 'posting_not_found' },
      { name: 'count', value: '3' },
      { name: 'list', value: '{"values":[{"boolValue":true}]}' },
      { name: 'event', value: 'exception after 5 ms, exception.type: Error' },
      { name: 'span', value: 'extract' },
      { name: 'part of', value: 'gone' },
    ])
  })

  test('is the same body as JSON', () => {
    const body = bodyOf([span('extract', 1, [0, 9])])
    expect(JSON.parse(contentOf(body).json)).toEqual(JSON.parse(body))
  })
})

describe('before the button is pressed', () => {
  const run = (more: Partial<PastRun>): PastRun => ({
    ...{ id: 'a'.repeat(32), status: 'failed', startedAt: START, trace: 'held', ...more },
  })

  test('what is held can be sent', () => {
    const { lead, button } = standingOf(run({}), { state: 'new', body: '{}' })
    expect(lead).toMatch(/^This is all that is sent/)
    expect(button).toBe('Send report')
  })

  test('what was sent by consent, or has gone, can be asked to be kept', () => {
    const sent = standingOf(run({ trace: 'sent' }), { state: 'new' })
    expect(sent).toMatchObject({ lead: expect.stringContaining('has been sent already'), button: 'Send report' })
    for (const gone of [run({ trace: 'dropped' }), run({ trace: 'due' }), undefined]) {
      const standing = standingOf(gone, { state: 'new' })
      expect(standing).toMatchObject({ lead: expect.stringContaining('no longer'), button: 'Send report' })
    }
  })

  test('what waits can be tried again, and what was reported is done', () => {
    expect(standingOf(run({}), { state: 'waiting', body: '{}' }).button).toBe('Try again now')
    expect(standingOf(run({ trace: 'sent' }), { state: 'sent' }).button).toBeUndefined()
  })
})

test('the answer names the ID, the time of the next try, or that nothing is left', () => {
  const id = '4bf92f35'.repeat(4)
  expect(answerOf({ state: 'sent' }, id)).toBe('Sent. Tell support this ID: 4bf92f35')
  expect(answerOf({ state: 'gone' }, id)).toMatch(/^Nothing of this run is left/)
  expect(answerOf({ state: 'waiting', again: START }, id)).toMatch(/by itself at \d{1,2}:\d\d/)
  expect(answerOf({ state: 'waiting' }, id)).toMatch(/as soon as it can be reached\.$/)
})
