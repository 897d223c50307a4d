/** Checks a profile as it was typed, and says what to correct where. */

import type { z } from 'zod'
import { MAX_GENERATE_BYTES, Profile } from '../../server/request-contract.ts'
import { findPlaces, lineAndColumn, type Place, pathText } from './json-places.ts'

/** Profile and posting travel in one request: this much is left for the largest posting. */
const POSTING_BYTES = 160 * 1024
/** Largest profile that can be saved, bytes of compact JSON. */
export const MAX_PROFILE_BYTES = MAX_GENERATE_BYTES - POSTING_BYTES

/** One thing to correct. */
export interface Problem {
  /** The field (`work[1].startDate`), or `line 3, column 8` where the text is no JSON. */
  where: string
  /** What it must be, as the rest of a sentence that starts with `where`. */
  what: string
  /** What to select in the text: the value, or the nearest thing around a value that is missing. */
  place: Place
}

export type CheckedProfile = { profile: Profile; problems?: never } | { profile?: never; problems: Problem[] }

/** The profile, or every problem in the order of the text. Never throws. */
export function checkProfile(text: string): CheckedProfile {
  const { places, mistake } = findPlaces(text)
  if (mistake) return { problems: [syntaxProblem(text, mistake)] }
  const parsed = Profile.safeParse(JSON.parse(text), { reportInput: true })
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => fieldProblem(text, places, issue))
    return { problems: problems.sort((a, b) => a.place.start - b.place.start) }
  }
  const bytes = new TextEncoder().encode(JSON.stringify(parsed.data)).length
  if (bytes > MAX_PROFILE_BYTES) return { problems: [sizeProblem(bytes)] }
  return { profile: parsed.data }
}

/** `2 jobs`, `1 job`: what is in a profile, so that the person sees what was saved. */
export function profileCounts(profile: Profile): { name: string; jobs: number; bullets: number; skills: number } {
  const told = [...(profile.work ?? []), ...(profile.projects ?? [])]
  return {
    name: profile.basics.name,
    jobs: profile.work?.length ?? 0,
    bullets: told.reduce((sum, { highlights }) => sum + (highlights?.length ?? 0), 0),
    // An entry with keywords is a heading ("Languages"), one without is itself the skill.
    skills: (profile.skills ?? []).reduce((sum, { keywords }) => sum + (keywords?.length || 1), 0),
  }
}

function syntaxProblem(text: string, mistake: Place & { message: string }): Problem {
  const { line, column } = lineAndColumn(text, mistake.start)
  return { where: `line ${line}, column ${column}`, what: mistake.message, place: mistake }
}

function sizeProblem(bytes: number): Problem {
  const kib = (size: number) => `${Math.ceil(size / 1024)} KiB`
  const what = `must be at most ${kib(MAX_PROFILE_BYTES)} (it has ${kib(bytes)})`
  return { where: 'the whole profile', what, place: { start: 0, end: 0 } }
}

function fieldProblem(text: string, places: Map<string, Place>, issue: z.core.$ZodIssue): Problem {
  return {
    where: pathText(issue.path) || 'the whole profile',
    what: issueWords(issue),
    place: nearestPlace(text, places, issue.path),
  }
}

/** The value's place without its quotes; for a missing one, the opening line of what it is missing from. */
function nearestPlace(text: string, places: Map<string, Place>, path: readonly PropertyKey[]): Place {
  const own = places.get(pathText(path))
  if (own) return text[own.start] === '"' ? { start: own.start + 1, end: own.end - 1 } : own
  for (let length = path.length - 1; length >= 0; length--) {
    const around = places.get(pathText(path.slice(0, length)))
    if (around) return { start: around.start, end: around.start + 1 }
  }
  return { start: 0, end: 0 }
}

const KINDS: Record<string, string> = {
  string: 'text in double quotes',
  array: 'a list in square brackets [ ]',
  object: 'a group of fields in curly brackets { }',
}

/** zod's issue in the person's words. The contract's own messages ("must …") are kept as they are. */
function issueWords(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    const kind = KINDS[issue.expected] ?? issue.expected
    if (issue.path.length === 0) return `must be ${kind}, as in JSON Resume`
    if (issue.input === undefined) return `is missing; it must be ${kind}`
    return `must be ${kind}${issue.input === null ? '; leave the field out when there is nothing to say' : ''}`
  }
  if (issue.code === 'too_big' && typeof issue.input === 'string')
    return `must have at most ${issue.maximum} characters (it has ${issue.input.length})`
  if (issue.code === 'too_big' && Array.isArray(issue.input))
    return `must have at most ${issue.maximum} entries (it has ${issue.input.length})`
  if (issue.code === 'invalid_format' && issue.format === 'email')
    return 'must be an email address such as ada@example.org; leave the field out when there is none'
  return /^(must|is) /.test(issue.message) ? issue.message : `is not right: ${issue.message}`
}
