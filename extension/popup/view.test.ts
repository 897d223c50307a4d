import { describe, expect, test, vi } from 'vitest'
import { FAILURE_CODES, FAILURES, type Wording } from '../../server/contract.ts'
import { type RunState, STEPS, type Step } from '../run-state.ts'
import { type PopupFacts, STALE_AFTER_MS, viewOf } from './view.ts'

// The run state imports the browser's API for its storage; the view needs only its words.
vi.mock('webextension-polyfill', () => ({ default: {} }))

const START = 1_700_000_000_000
const MIDNIGHT = START + 3_600_000
const AT = new Date(MIDNIGHT).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
const ended = { status: 'done', step: 'deliver', pdf: { fileName: 'a.pdf', pages: 1, sizeBytes: 1 } } as const
const run = (more: Partial<RunState> = {}): RunState => ({
  id: 'a1b2c3d4'.repeat(4),
  status: 'running',
  startedAt: START,
  step: 'compile',
  posting: { title: 'Cook', company: 'Acme' },
  ...more,
})
const view = (facts: Partial<PopupFacts> = {}) =>
  viewOf({
    run: undefined,
    hasProfile: true,
    starting: false,
    trouble: undefined,
    consentOpen: false,
    idInFull: false,
    now: START + 3_400,
    ...facts,
  })
const failed = (code: (typeof FAILURE_CODES)[number]) =>
  run({ status: 'failed', endedAt: START + 900, failure: { code, ...FAILURES[code] } })

describe('before the first run', () => {
  test('there is one button, and no ID', () => {
    expect(view()).toMatchObject({ status: 'idle', generate: { enabled: true, primary: true } })
    expect(view().runId).toBeUndefined()
  })

  test('without a profile the options come first', () => {
    expect(view({ hasProfile: false })).toMatchObject({ status: 'first_run', generate: { primary: false } })
  })
})

describe('while a run is under way', () => {
  test('the button waits, the current step is marked, the clock runs', () => {
    const now = view({ run: run() })
    expect(now.generate).toEqual({ label: 'Generating…', enabled: false, primary: true })
    expect(now.steps.map(({ state }) => state)).toEqual(['done', 'done', 'done', 'now', 'waiting', 'waiting'])
    expect(now).toMatchObject({ timeText: '3 s', statusText: 'Step 4 of 6', progress: { done: 3 } })
    expect(now.progress.text).toBe('Step 4 of 6: Make the PDF')
    expect(now.announcement).toBe('Step 4 of 6: Make the PDF')
  })

  test('what is announced does not change with the clock', () => {
    expect(view({ run: run(), now: START + 9_000 }).announcement).toBe(view({ run: run() }).announcement)
  })

  test('a queue says how many come first', () => {
    expect(view({ run: run({ step: 'llm', queuePosition: 2 }) }).statusText).toBe('In line: 2 before yours')
    expect(view({ run: run({ step: 'llm', queuePosition: 0 }) }).statusText).toBe('In line: yours is next')
  })

  test('a model that writes moves the status, and nothing that is announced', () => {
    const writing = (statements: number, correcting = false) =>
      view({ run: run({ step: 'llm', writing: { statements, correcting } }) })
    expect(writing(0).statusText).toBe('Step 2 of 6 · waiting for words')
    expect(writing(1).statusText).toBe('Step 2 of 6 · 1 line written')
    expect(writing(7).statusText).toBe('Step 2 of 6 · 7 lines written')
    expect(writing(1, true).statusText).toBe('Step 2 of 6 · correcting')
    expect(writing(7).announcement).toBe('Step 2 of 6: Choose what fits')
  })

  test('after ten minutes it counts as interrupted and can be started again', () => {
    const stale = view({ run: run(), now: START + STALE_AFTER_MS + 1 })
    expect(stale).toMatchObject({ status: 'interrupted', generate: { enabled: true } })
    expect(stale.failure).toMatchObject({ code: 'interrupted', message: FAILURES.interrupted.message })
    expect(stale.failure?.advice).toBe(FAILURES.interrupted.advice)
  })
})

describe('at the end', () => {
  test('the PDF comes first', () => {
    const pdf = { fileName: 'Ada-Acme.pdf', pages: 1, sizeBytes: 48_000 }
    const keywords = { matched: 9, total: 14 }
    const done = view({ run: run({ status: 'done', step: 'deliver', endedAt: START + 8_400, pdf, keywords }) })
    expect(done).toMatchObject({ status: 'done', timeText: '8.4 s', generate: { enabled: true, primary: false } })
    expect(done.result).toEqual({
      fileName: 'Ada-Acme.pdf',
      facts: '1 page · 48 KB',
      notes: [],
      keywords: 'Covers 9 of 14 terms in the posting',
      terms: { covered: [], missing: [] },
    })
    expect(done.progress).toEqual({ done: 6, text: '6 of 6 steps' })
  })

  test('the posting\u2019s terms come in two lists, in the posting\u2019s order', () => {
    const terms = [
      { text: 'Kafka', covered: true },
      { text: 'Go', covered: false },
      { text: 'SQL', covered: true },
    ]
    const { result } = view({ run: run({ ...ended, terms, keywords: { matched: 2, total: 3 } }) })
    expect(result?.terms).toEqual({ covered: ['Kafka', 'SQL'], missing: ['Go'] })
  })

  test.each<[Partial<Wording>, string[]]>([
    [{ by: 'rules' }, []],
    [{ left: 20 }, []],
    [{ dropped: 1 }, ['1 rewording was dropped because it said more than your profile does.']],
    [{ dropped: 2 }, ['2 rewordings were dropped because they said more than your profile does.']],
    [{ left: 3 }, ['About 3 more resumes can be reworded today.']],
    [{ left: 1 }, ['About 1 more resume can be reworded today.']],
    [{ left: 0, resetsAt: MIDNIGHT }, [`This was today’s last resume with rewordings. More at ${AT}.`]],
    [
      { by: 'quota_used_up', left: 0, resetsAt: MIDNIGHT },
      [`Today’s rewordings are used up, so your own words were kept. More at ${AT}.`],
    ],
  ])('what became of the wording is told: %o', (wording, notes) => {
    const told = { by: 'model', reworded: 4, dropped: 0, resetsAt: MIDNIGHT, ...wording } as Wording
    expect(view({ run: run({ ...ended, wording: told }) }).result?.notes).toEqual(notes)
  })

  test('what was left yesterday is not told today', () => {
    const wording: Wording = { by: 'model', reworded: 4, dropped: 0, left: 1, resetsAt: MIDNIGHT }
    expect(view({ run: run({ ...ended, wording }), now: MIDNIGHT }).result?.notes).toEqual([])
  })

  test('what two pages had no room for is counted', () => {
    const pdf = { fileName: 'Ada-Acme.pdf', pages: 2, sizeBytes: 48_000 }
    const facts = (leftOut: number) =>
      view({ run: run({ status: 'done', step: 'deliver', pdf, leftOut }) }).result?.facts
    expect(facts(5)).toBe('2 pages · 48 KB · 5 points left out to fit two pages')
    expect(facts(1)).toContain('1 point left out')
    expect(facts(0)).toBe('2 pages · 48 KB')
  })

  test('cancelled is no failure: it says so calmly, and offers the next run', () => {
    const cancelled = view({ run: failed('cancelled'), consentOpen: true })
    expect(cancelled).toMatchObject({
      status: 'cancelled',
      statusText: 'Cancelled',
      canCancel: false,
      asksConsent: false,
    })
    expect(cancelled).toMatchObject({ generate: { label: 'Generate', enabled: true, primary: true } })
    expect(cancelled.failure).toBeUndefined()
    expect(cancelled.steps.map(({ state }) => state)).not.toContain('failed')
    expect(cancelled.hint).toMatch(/Nothing was made/)
  })

  const failures = FAILURE_CODES.filter((code) => code !== 'cancelled')
  test.each(failures)('%s is told with its advice', (code) => {
    const { message, advice } = FAILURES[code]
    expect(view({ hasProfile: false, run: failed(code) }).failure).toMatchObject({ code, message, advice })
  })

  test('only failures that are mended there lead to the options', () => {
    const leading = FAILURE_CODES.filter((code) => view({ hasProfile: false, run: failed(code) }).failure?.opensOptions)
    expect(leading.sort()).toEqual(['profile_invalid', 'profile_missing', 'resume_too_long', 'unsupported_character'])
  })

  test('a profile that has been added since is not missed any more', () => {
    const ready = view({ run: failed('profile_missing') })
    expect(ready).toMatchObject({ status: 'idle', generate: { primary: true } })
    expect(ready.failure).toBeUndefined()
    expect(ready.runId).toBeDefined()
  })

  test('the step that failed is the current one, whichever it is', () => {
    for (const step of Object.keys(STEPS) as Step[]) {
      const { steps } = view({ run: { ...failed('internal'), step } })
      expect(steps.filter(({ state }) => state === 'failed').map((one) => one.step)).toEqual([step])
    }
  })

  test('a background that does not answer is told in words', () => {
    const { failure, generate } = view({ trouble: 'The extension did not answer.' })
    expect(failure).toMatchObject({ message: 'The extension did not answer.', opensOptions: false })
    expect(generate.enabled).toBe(true)
    const after = run({ status: 'done', step: 'deliver', pdf: { fileName: 'a.pdf', pages: 1, sizeBytes: 1 } })
    const again = view({ run: after, trouble: 'The extension did not answer.' })
    expect(again).toMatchObject({ status: 'not_started', statusText: 'Not started' })
    expect(again.result).toBeUndefined()
  })
})

describe('reporting, and the question of consent', () => {
  test('any run that has ended can be reported, and none before', () => {
    const can = [run(ended), failed('internal'), run(), undefined].map((one) => view({ run: one }).canReport)
    expect(can).toEqual([true, true, false, false])
    expect(view({ run: failed('internal'), starting: true }).canReport).toBe(false)
  })

  test('is asked before a run and after a failure, and not while somebody waits or has what they came for', () => {
    const asked = [undefined, failed('internal'), run(), run(ended)].map(
      (one) => view({ run: one, consentOpen: true }).asksConsent,
    )
    expect(asked).toEqual([true, true, false, false])
    expect(view({ run: failed('internal') }).asksConsent).toBe(false)
    expect(view({ hasProfile: false, consentOpen: true }).asksConsent).toBe(false)
  })

  test('leaves the room to a failure that needs it', () => {
    const long = failed('internal')
    const detailed = { ...long, failure: { ...long.failure, detail: 'x' } } as RunState
    expect(view({ run: detailed, consentOpen: true }).asksConsent).toBe(false)
    expect(view({ run: failed('profile_invalid'), consentOpen: true }).asksConsent).toBe(false)
  })

  test('takes the place of the hint', () => {
    expect(view({ consentOpen: true }).hint).toBeUndefined()
    expect(view().hint).toBeDefined()
  })
})
