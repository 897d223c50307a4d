/**
 * Stage `llm`: fits the profile to the posting. A model, where one is configured and today's share of it is not used
 * up, chooses and rewords; otherwise rules choose and order the person's own words. Either way every employer, title,
 * date, degree and skill is taken from the profile by reference: there is no field through which another could come in.
 */

import { trace } from '@opentelemetry/api'
import {
  ATTR_BULLETS_REFUSED,
  ATTR_BULLETS_REPAIRED,
  ATTR_BULLETS_SELECTED,
  ATTR_KEYWORDS_MATCHED,
  ATTR_KEYWORDS_TOTAL,
  ATTR_LLM_QUOTA_EXHAUSTED,
  ATTR_LLM_QUOTA_LEFT,
  ATTR_TAILOR_MODE,
} from '../names.ts'
import type { Term, Wording } from './contract.ts'
import { checkFacts } from './fact-check.ts'
import { covered, type Keyword, keywordsOf, score } from './keywords.ts'
import { type Conversation, type Llm, MAX_OUTPUT_TOKENS } from './llm.ts'
import { tokensIn } from './llm-usage.ts'
import type { TokenQuota } from './quota.ts'
import type { GenerateRequest, Profile } from './request-contract.ts'
import { type Choice, chooseByModel, questionOf } from './rewording.ts'

type Work = NonNullable<Profile['work']>[number]
type Project = NonNullable<Profile['projects']>[number]

/** What will be printed. `highlights` are chosen and ordered; everything else is the person's own. */
export interface Resume {
  basics: Profile['basics']
  summary: string
  work: (Work & { highlights: string[] })[]
  projects: (Project & { highlights: string[] })[]
  education: NonNullable<Profile['education']>
  skills: NonNullable<Profile['skills']>
  certificates: NonNullable<Profile['certificates']>
  languages: NonNullable<Profile['languages']>
  /** The person's own, as they are. */
  volunteer?: Profile['volunteer']
  awards?: Profile['awards']
  publications?: Profile['publications']
  interests?: Profile['interests']
  references?: Profile['references']
  keywords: { matched: number; total: number }
}

/** A resume with what the person is told about how it came to be. */
export interface Tailored extends Resume {
  terms: Term[]
  wording: Wording
}

/** The model, and how much of it each install may use. */
export interface Model {
  llm: Llm
  quota: TokenQuota
}

/** Whose run it is, and who hears of it. */
export interface Asker {
  install?: string
  /** How many runs wait before this one, and that it waits no longer. */
  onQueued?: (ahead: number) => void
  onTurn?: () => void
  /** Statements that a model has written so far; at most one call a second. */
  onWriting?: (statements: number, correcting: boolean) => void
}

/** Bullets of one job or project: the newest two jobs get the most room. */
const ROOM = { newest: 6, older: 4, project: 2 } as const
const MAX_PROJECTS = 4

/** Tailors. Without a model, or where there is none left today, by rules. Throws the failures of {@link Llm.converse}. */
export async function tailor(
  request: GenerateRequest,
  model: Model | undefined,
  signal: AbortSignal,
  asker: Asker = {},
): Promise<Tailored> {
  const span = trace.getActiveSpan()
  const { profile, posting } = request
  const keywords = keywordsOf(posting)
  const chosen = model && (await askModel(request, keywords, model, signal, asker))
  if (!chosen?.choice) asker.onTurn?.()
  const choice = chosen?.choice ?? byRules(profile)
  const held = covered(textsOf(profile), keywords)
  const resume = assemble(profile, keywords, choice, { matched: held.size, total: keywords.length })
  checkFacts(resume, profile)
  span?.setAttributes({
    [ATTR_TAILOR_MODE]: chosen?.choice ? 'llm' : 'deterministic',
    [ATTR_KEYWORDS_MATCHED]: resume.keywords.matched,
    [ATTR_KEYWORDS_TOTAL]: resume.keywords.total,
    [ATTR_BULLETS_SELECTED]: [...resume.work, ...resume.projects].reduce((n, entry) => n + entry.highlights.length, 0),
    [ATTR_BULLETS_REFUSED]: choice.dropped,
    [ATTR_BULLETS_REPAIRED]: choice.repaired,
  })
  return {
    ...resume,
    terms: keywords.map((keyword) => ({ text: keyword.text, covered: held.has(keyword) })),
    wording: {
      by: !chosen ? 'rules' : chosen.choice ? 'model' : 'quota_used_up',
      reworded: countReworded(resume, profile),
      dropped: choice.dropped,
      ...(chosen ? { left: chosen.left, resetsAt: chosen.resetsAt } : {}),
    },
  }
}

const byRules = ({ basics }: Profile): Choice => ({
  summary: basics.summary ?? '',
  texts: new Map(),
  dropped: 0,
  repaired: 0,
})

/** The model's choice, and what is left after it; no choice where the quota is used up. */
async function askModel(
  request: GenerateRequest,
  keywords: readonly Keyword[],
  { llm, quota }: Model,
  signal: AbortSignal,
  { install = '', onQueued, onTurn, onWriting }: Asker,
): Promise<{ choice?: Choice; left: number; resetsAt: number }> {
  const span = trace.getActiveSpan()
  // The stage may fail: what it was to be is known now.
  span?.setAttribute(ATTR_TAILOR_MODE, 'llm')
  const asked = questionOf({ request, keywords, onWriting })
  const most = tokensIn(asked.length) + MAX_OUTPUT_TOKENS
  const reservation = await quota.reserve(install, most)
  if ('exhausted' in reservation) {
    span?.setAttributes({ [ATTR_LLM_QUOTA_EXHAUSTED]: reservation.exhausted, [ATTR_LLM_QUOTA_LEFT]: 0 })
    return { left: 0, resetsAt: (await quota.allowance(install, most)).resetsAt }
  }
  // The second question holds the first and its answer.
  const mostOfRepair = most + MAX_OUTPUT_TOKENS
  const reservations = [reservation]
  const mayRepair = async () => {
    const more = await quota.reserve(install, mostOfRepair)
    if (!('exhausted' in more)) reservations.push(more)
    return !('exhausted' in more)
  }
  let conversation: Conversation | undefined
  let choice: Choice | undefined
  try {
    const talk = (talking: Conversation) => {
      conversation = talking
      onTurn?.()
      return chooseByModel(asked, { request, keywords, mayRepair, onWriting }, talking)
    }
    choice = await llm.converse(talk, signal, onQueued)
  } finally {
    const [first, ...others] = reservations
    await first?.settle(conversation?.tokens ?? 0, choice !== undefined)
    for (const other of others) await other.settle(0, false)
  }
  const allowance = await quota.allowance(install, most)
  span?.setAttribute(ATTR_LLM_QUOTA_LEFT, allowance.left)
  return { choice, ...allowance }
}

function assemble(profile: Profile, keywords: readonly Keyword[], choice: Choice, matched: Resume['keywords']): Resume {
  const choose = (id: string, highlights: readonly string[] | undefined, room: number): string[] => {
    const own = (highlights ?? []).map((text, index) => ({ key: `${id}.h${index}`, text: text.trim() }))
    const bullets = own.filter((bullet) => bullet.text !== '')
    const order = [...choice.texts.keys()]
    const chosen = bullets
      .filter((bullet) => choice.texts.has(bullet.key))
      .sort((a, b) => order.indexOf(a.key) - order.indexOf(b.key))
      .slice(0, room)
      .map((bullet) => choice.texts.get(bullet.key) ?? bullet.text)
    if (chosen.length > 0) return chosen
    // A job that a model found nothing in is still one of the person's: with its best line.
    return byFit(bullets, (bullet) => bullet.text, keywords)
      .slice(0, order.length > 0 ? 1 : room)
      .map((bullet) => bullet.text)
  }
  const allProjects = profile.projects ?? []
  const projects = byFit(allProjects, (p) => [p.name, p.description, ...(p.keywords ?? [])].join('\n'), keywords)
  return {
    basics: profile.basics,
    summary: choice.summary,
    work: (profile.work ?? []).map((job, index) => ({
      ...job,
      highlights: choose(`w${index}`, job.highlights, index < 2 ? ROOM.newest : ROOM.older),
    })),
    projects: projects.slice(0, MAX_PROJECTS).map((project) => ({
      ...project,
      highlights: choose(`p${allProjects.indexOf(project)}`, project.highlights, ROOM.project),
    })),
    education: profile.education ?? [],
    skills: byFit(profile.skills ?? [], (s) => [s.name, ...(s.keywords ?? [])].join('\n'), keywords).map((skill) => ({
      ...skill,
      keywords: byFit(skill.keywords ?? [], (keyword) => keyword, keywords),
    })),
    certificates: profile.certificates ?? [],
    languages: profile.languages ?? [],
    keywords: matched,
    volunteer: profile.volunteer,
    awards: profile.awards,
    publications: profile.publications,
    interests: profile.interests,
    references: profile.references,
  }
}

/** Best fit first; equal fits keep the person's own order. */
function byFit<T>(items: readonly T[], textOf: (item: T) => string, keywords: readonly Keyword[]): T[] {
  return items
    .map((item) => ({ item, fit: score(textOf(item), keywords) }))
    .sort((a, b) => b.fit - a.fit)
    .map(({ item }) => item)
}

function countReworded(resume: Resume, profile: Profile): number {
  const own = new Set([...(profile.work ?? []), ...(profile.projects ?? [])].flatMap((e) => e.highlights ?? []))
  const trimmed = new Set([...own].map((text) => text.trim()))
  const printed = [...resume.work, ...resume.projects].flatMap(({ highlights }) => highlights)
  const summary = resume.summary.trim() === (profile.basics.summary ?? '').trim() ? 0 : 1
  return printed.filter((text) => !trimmed.has(text)).length + summary
}

/** Every text that is printed of the profile, by itself: a term of two words is not found where one ends and another begins. */
function* textsOf(profile: Profile): Generator<string> {
  const lists = [profile.basics.label, profile.basics.summary]
  for (const job of profile.work ?? [])
    lists.push(job.name, job.position, job.description, job.summary, ...(job.highlights ?? []))
  for (const p of profile.projects ?? [])
    lists.push(p.name, p.entity, p.description, ...(p.roles ?? []), ...(p.highlights ?? []), ...(p.keywords ?? []))
  for (const e of profile.education ?? []) lists.push(e.institution, e.area, e.studyType, ...(e.courses ?? []))
  for (const s of profile.skills ?? []) lists.push(s.name, ...(s.keywords ?? []))
  for (const c of profile.certificates ?? []) lists.push(c.name, c.issuer)
  for (const l of profile.languages ?? []) lists.push(l.language)
  for (const v of profile.volunteer ?? []) lists.push(v.organization, v.position, v.summary, ...(v.highlights ?? []))
  for (const a of profile.awards ?? []) lists.push(a.title, a.awarder, a.summary)
  for (const p of profile.publications ?? []) lists.push(p.name, p.publisher, p.summary)
  for (const i of profile.interests ?? []) lists.push(i.name, ...(i.keywords ?? []))
  for (const r of profile.references ?? []) lists.push(r.reference)
  for (const text of lists) if (text) yield text
}
