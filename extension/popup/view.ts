/** What the popup shows, as plain data: everything that can be decided without a DOM. */

import type { FailureBody } from '../../server/contract.ts'
import { type RunState, STEPS, type Step } from '../run-state.ts'
import { agoText, durationText, elapsedText, sizeText } from './duration.ts'

/** A run older than this has lost its worker, and no other came: a run ends by itself well before. */
export const STALE_AFTER_MS = 10 * 60_000

/** What the popup knows when it draws itself. */
export interface PopupFacts {
  run: RunState | undefined
  hasProfile: boolean
  /** The button was pressed and the new run has not shown up yet. */
  starting: boolean
  /** The background could not be asked: what happened, what to do. */
  trouble: string | undefined
  /** Nobody has answered yet whether traces may be sent by themselves. */
  consentOpen: boolean
  /** The clipboard is closed to us: the whole ID is shown, for copying by hand. */
  idInFull: boolean
  /** Epoch milliseconds. */
  now: number
}

export type PopupStatus =
  | 'idle'
  | 'first_run'
  | 'starting'
  | 'running'
  | 'done'
  | 'failed'
  | 'cancelled'
  | 'interrupted'
  | 'not_started'
export type StepState = 'waiting' | 'now' | 'done' | 'failed'

export interface PopupView {
  status: PopupStatus
  /** One line under the button. */
  statusText: string
  /** Right of the status: a running clock or the whole run's duration; '' when there is nothing to time. */
  timeText: string
  /** What a screen reader is told; changes only with a step and at the end. */
  announcement: string
  posting: { label: string; title: string; company: string }
  generate: { label: string; enabled: boolean; primary: boolean }
  steps: { step: Step; words: string; state: StepState }[]
  /** Steps finished, of `steps.length`, and the same in words. */
  progress: { done: number; text: string }
  /** As it is shown: the first eight digits, or all when it must be copied by hand; and all of it. */
  runId?: { shown: string; full: string }
  /** The run is under way, so there is something to cancel. */
  canCancel: boolean
  /** The run has ended, so there is something to report. */
  canReport: boolean
  /** Whether the question of consent is asked: where there is room, and never while somebody waits for a run. */
  asksConsent: boolean
  /** The finished resume, ready to be opened. */
  result?: Result
  failure?: { code?: string; message: string; advice: string; detail?: string; opensOptions: boolean }
  /** A calm sentence where result and failure would be. */
  hint?: string
}

export interface Result {
  fileName: string
  facts: string
  /** Sentences on how the words came to be: what was dropped, and how much of the model is left for today. */
  notes: string[]
  keywords: string
  /** The posting's terms, most important first. */
  terms: { covered: string[]; missing: string[] }
}

/** From so many on nobody needs to know how many resumes can still be reworded today. */
const MANY_LEFT = 6

/** Failures whose remedy is in the options. */
const MENDED_IN_OPTIONS: ReadonlySet<FailureBody['code']> = new Set([
  'profile_missing',
  'profile_invalid',
  'unsupported_character',
  'resume_too_long',
])

const ASKING: ReadonlySet<PopupStatus> = new Set(['idle', 'failed', 'interrupted'])

// The words of FAILURES.interrupted. Not imported: with the contract comes zod, twice the size of the whole popup.
const INTERRUPTED: FailureBody = {
  code: 'interrupted',
  message: 'The run was interrupted before it finished.',
  advice: 'Press Generate again.',
}

const STATE_OF_CURRENT: Partial<Record<PopupStatus, StepState>> = {
  running: 'now',
  failed: 'failed',
  interrupted: 'failed',
}

/** The popup for these facts. Never throws: a posting without title or company gets words instead. */
export function viewOf(facts: PopupFacts): PopupView {
  const status = statusOf(facts)
  // Neither a run about to start nor one that never started is the run in storage: that is the one before.
  const run = status === 'starting' || status === 'not_started' ? undefined : facts.run
  const steps = stepsOf(status, run)
  const done = steps.filter(({ state }) => state === 'done').length
  const stepText = `Step ${done + 1} of ${steps.length}`
  const statusText = statusTextOf(status, run, `${stepText}${writingText(run)}`)
  const failure = failureOf(facts, status, run)
  const busy = status === 'starting' || status === 'running'
  const words = run ? `: ${STEPS[run.step]}` : ''
  const asksConsent = facts.consentOpen && ASKING.has(status) && !failure?.opensOptions && !failure?.detail
  return {
    status,
    statusText,
    timeText: timeTextOf(status, run, facts.now),
    announcement: failure
      ? `${statusText}. ${failure.message} ${failure.advice}`
      : // Not how many lines are written: a screen reader would tell every one.
        `${statusTextOf(status, run, stepText)}${status === 'running' ? words : ''}`,
    posting: postingOf(status, run, facts.now),
    generate: {
      label: busy ? 'Generating…' : 'Generate',
      enabled: !busy,
      // One primary button at a time: the next thing this person wants to do.
      primary: !['done', 'first_run'].includes(status) && !failure?.opensOptions,
    },
    steps,
    progress: {
      done,
      text: status === 'running' ? `Step ${done + 1} of ${steps.length}${words}` : `${done} of ${steps.length} steps`,
    },
    ...(facts.run
      ? { runId: { shown: facts.idInFull ? facts.run.id : facts.run.id.slice(0, 8), full: facts.run.id } }
      : {}),
    canCancel: status === 'running',
    canReport: facts.run !== undefined && facts.run.status !== 'running' && !busy,
    asksConsent,
    ...(status === 'done' && run?.pdf ? { result: resultOf(run, run.pdf, facts.now) } : {}),
    ...(failure ? { failure } : {}),
    ...(hintOf(status) && !asksConsent ? { hint: hintOf(status) } : {}),
  }
}

function statusOf({ run, hasProfile, starting, trouble, now }: PopupFacts): PopupStatus {
  if (starting) return 'starting'
  if (trouble) return 'not_started'
  if (!run) return hasProfile ? 'idle' : 'first_run'
  if (run.status === 'running') return now - run.startedAt > STALE_AFTER_MS ? 'interrupted' : 'running'
  // The person has just followed the advice: don't go on telling them to.
  if (run.failure?.code === 'profile_missing' && hasProfile) return 'idle'
  return run.failure?.code === 'cancelled' ? 'cancelled' : run.status
}

function statusTextOf(status: PopupStatus, run: RunState | undefined, stepText: string): string {
  switch (status) {
    case 'idle':
      return 'Ready'
    case 'first_run':
      return 'Not set up yet'
    case 'starting':
      return 'Starting'
    case 'done':
      return 'Your resume is ready'
    case 'failed':
      return 'No resume this time'
    case 'cancelled':
      return 'Cancelled'
    case 'interrupted':
      return 'Interrupted'
    case 'not_started':
      return 'Not started'
    case 'running':
      return queueText(run?.queuePosition) ?? stepText
  }
}

function queueText(position: number | undefined): string | undefined {
  if (position === undefined) return undefined
  if (position === 0) return 'In line: yours is next'
  return `In line: ${position} before yours`
}

function writingText(run: RunState | undefined): string {
  if (run?.step !== 'llm' || !run.writing) return ''
  const { statements, correcting } = run.writing
  if (correcting) return ' · correcting'
  if (statements === 0) return ' · waiting for words'
  return ` · ${statements === 1 ? '1 line' : `${statements} lines`} written`
}

function timeTextOf(status: PopupStatus, run: RunState | undefined, now: number): string {
  if (!run) return status === 'starting' ? elapsedText(0) : ''
  if (status === 'running') return elapsedText(now - run.startedAt)
  if (status === 'done' || status === 'failed' || status === 'cancelled')
    return run.endedAt ? durationText(run.endedAt - run.startedAt) : ''
  return ''
}

function postingOf(status: PopupStatus, run: RunState | undefined, now: number): PopupView['posting'] {
  if (status === 'first_run') return { label: 'Welcome', title: 'First, add your profile.', company: '' }
  if (!run || status === 'idle') {
    const title = status === 'starting' ? 'Reading the page…' : 'Open a job posting, then press Generate.'
    return { label: 'Posting', title, company: '' }
  }
  const label = status === 'running' ? 'Posting' : `Last run, ${agoText(now - (run.endedAt ?? run.startedAt))}`
  if (!run.posting)
    return { label, title: status === 'running' ? 'Reading the page…' : 'No posting was read', company: '' }
  return {
    label,
    title: run.posting.title || 'A posting without a title',
    company: run.posting.company || 'Company not named',
  }
}

function stepsOf(status: PopupStatus, run: RunState | undefined): PopupView['steps'] {
  const names = Object.keys(STEPS) as Step[]
  const current = run && status !== 'idle' ? names.indexOf(run.step) : -1
  return names.map((step, index) => {
    const before: StepState = index < current || status === 'done' ? 'done' : 'waiting'
    return { step, words: STEPS[step], state: index === current ? (STATE_OF_CURRENT[status] ?? before) : before }
  })
}

function resultOf(run: RunState, pdf: NonNullable<RunState['pdf']>, now: number): NonNullable<PopupView['result']> {
  const { keywords, terms = [], leftOut = 0 } = run
  const facts = [pdf.pages === 1 ? '1 page' : `${pdf.pages} pages`, sizeText(pdf.sizeBytes)]
  if (leftOut > 0) facts.push(`${leftOut === 1 ? '1 point' : `${leftOut} points`} left out to fit two pages`)
  return {
    fileName: pdf.fileName,
    facts: facts.join(' · '),
    notes: notesOf(run.wording, now),
    keywords: keywords?.total ? `Covers ${keywords.matched} of ${keywords.total} terms in the posting` : '',
    terms: {
      covered: terms.filter(({ covered }) => covered).map(({ text }) => text),
      missing: terms.filter(({ covered }) => !covered).map(({ text }) => text),
    },
  }
}

function notesOf(wording: RunState['wording'], now: number): string[] {
  if (!wording) return []
  const { by, dropped, left, resetsAt = 0 } = wording
  const again = `More at ${new Date(resetsAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}.`
  const notes: string[] = []
  if (dropped === 1) notes.push('1 rewording was dropped because it said more than your profile does.')
  if (dropped > 1) notes.push(`${dropped} rewordings were dropped because they said more than your profile does.`)
  // What was left of another day says nothing about this one.
  if (now >= resetsAt) return notes
  if (by === 'quota_used_up') notes.push(`Today’s rewordings are used up, so your own words were kept. ${again}`)
  else if (left === 0) notes.push(`This was today’s last resume with rewordings. ${again}`)
  else if (left === 1) notes.push('About 1 more resume can be reworded today.')
  else if (left !== undefined && left < MANY_LEFT) notes.push(`About ${left} more resumes can be reworded today.`)
  return notes
}

function failureOf({ trouble }: PopupFacts, status: PopupStatus, run: RunState | undefined): PopupView['failure'] {
  if (trouble && status === 'not_started')
    return { message: trouble, advice: 'Press Generate again.', opensOptions: false }
  if (status === 'interrupted') return { ...INTERRUPTED, opensOptions: false }
  if (status !== 'failed' || !run?.failure) return undefined
  return { ...run.failure, opensOptions: MENDED_IN_OPTIONS.has(run.failure.code) }
}

function hintOf(status: PopupStatus): string | undefined {
  if (status === 'running' || status === 'starting') return 'You can close this window. The run goes on.'
  if (status === 'cancelled') return 'Nothing was made. Press Generate whenever you like.'
  if (status === 'idle') return 'We read the posting in this tab and choose what fits from your profile.'
  if (status === 'first_run')
    return 'A resume is made from your own words: your jobs, education and skills. They are kept in this browser.'
  return undefined
}
