/**
 * The last look before anything is printed, whoever chose the words: every employer, title, date, degree and skill of a
 * resume is its owner's, and every statement says no more than theirs. What a model may write is judged before
 * (`rewording.ts`); this is what still holds when that has a mistake.
 */

import { isDeepStrictEqual } from 'node:util'
import { objectionTo } from './facts.ts'
import { Failure } from './failure.ts'
import type { Profile } from './request-contract.ts'
import type { Resume } from './tailor.ts'

/** Throws Failure('internal') with the reason `fact_check` when something in the resume is not in the profile. */
export function checkFacts({ summary, work, projects, skills, keywords: _, ...rest }: Resume, profile: Profile): void {
  const founded =
    (summary === '' || isStatedIn(summary, [profile.basics.summary ?? ''])) &&
    areAmong(work, profile.work) &&
    areAmong(projects, profile.projects) &&
    skills.every(({ keywords = [], ...skill }) =>
      profile.skills?.some(
        ({ keywords: theirs = [], ...own }) => isDeepStrictEqual(skill, own) && isPartOf(keywords, theirs),
      ),
    ) &&
    // Whatever else a resume has, or will have, is the profile's as it is, or a part of it.
    Object.entries(rest).every(([section, entries]) => isOwn(entries, profile[section]))
  if (!founded) throw new Failure('internal', { reason: 'fact_check' })
}

function isOwn(section: unknown, theirs: unknown): boolean {
  if (!Array.isArray(section)) return isDeepStrictEqual(section, theirs)
  return isPartOf(section, Array.isArray(theirs) ? theirs : [])
}

interface Entry {
  highlights?: string[] | undefined
}

/** Each a different entry of the profile, and its statements that entry's own. */
function areAmong(entries: readonly Entry[], own: readonly Entry[] = []): boolean {
  const left = [...own]
  return entries.every(({ highlights = [], ...rest }) => {
    const at = left.findIndex(
      ({ highlights: theirs = [], ...facts }) =>
        isDeepStrictEqual(rest, facts) && highlights.every((text) => isStatedIn(text, theirs)),
    )
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  })
}

function isStatedIn(text: string, sources: readonly string[]): boolean {
  return sources.some((source) => source.trim() === text.trim() || objectionTo(text, source) === undefined)
}

function isPartOf(entries: readonly unknown[], own: readonly unknown[] = []): boolean {
  return entries.every((entry) => own.some((theirs) => isDeepStrictEqual(entry, theirs)))
}
