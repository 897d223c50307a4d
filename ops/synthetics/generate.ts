/** Asks for a resume, as the extension would: run, events, PDF. */

import { readFileSync } from 'node:fs'
import { FAST_SECONDS } from '../objectives.ts'
import { bundledPostings } from '../postings.ts'
import type { Attempt, Check } from './attempt.ts'
import { assertPdf } from './sound-pdf.ts'
import { CheckFailed } from './verdict.ts'
import { type Relay, signIn, visitor } from './visit.ts'

/** The smallest profile, and a page that names what it asks for. */
export const POSTING_FILE = 'lever.html'
export const PROFILE = JSON.parse(readFileSync(new URL('../../fixtures/profiles/short.json', import.meta.url), 'utf8'))
export const MAX_PAGES = 2
export const WAITED = ['post', 'events', 'pdf'] as const

export function generateCheck(relay: Relay, objectiveMs = FAST_SECONDS * 1_000): Check {
  return { name: 'generate', objectiveMs, waited: WAITED, run: (attempt) => askForResume(relay, attempt) }
}

/** With `asBrowser`, the relay learns of times that only a browser knows. Throws CheckFailed, HarnessFailed. */
export async function askForResume(relay: Relay, attempt: Attempt, { asBrowser = false } = {}): Promise<void> {
  const visit = visitor(relay, await signIn(relay, attempt), attempt)
  const clickedAt = performance.now()
  const elapsed = () => Math.round(performance.now() - clickedAt)
  const { source, title, company, location, description } = bundledPostings()[POSTING_FILE] ?? {}
  const body = { profile: PROFILE, posting: { source, title, company, location, description } }
  let ended = false
  try {
    attempt.phase('post')
    await visit.post(body, asBrowser ? `request=${elapsed()}` : '')
    attempt.phase('events')
    const last = (await visit.follow()).at(-1)
    ended = true
    if (last?.type === 'failed') throw new CheckFailed(last.failure.code)
    attempt.phase('pdf')
    const pdf = await visit.pdf(asBrowser ? `elapsed=${elapsed()}` : '')
    attempt.phase('validate')
    if (last?.type === 'done' && last.sizeBytes !== pdf.byteLength) throw new CheckFailed('pdf_truncated')
    await assertPdf(pdf, { words: PROFILE.basics.name, maxPages: MAX_PAGES })
  } finally {
    if (!ended) await visit.cancel()
  }
}
