import { expect, it } from 'vitest'
import { PROFILE } from '../fixtures/llm/adversarial.ts'
import { checkFacts } from './fact-check.ts'
import { type Resume, tailor } from './tailor.ts'

const posting = { source: 'json-ld', title: 'Engineer', company: 'A', location: '', description: 'Kafka' } as const
const never = new AbortController().signal
const resumeOf = async (): Promise<Resume> => {
  const { terms, wording, ...resume } = await tailor({ profile: PROFILE, posting }, undefined, never)
  return structuredClone(resume)
}

it('lets through what rules have chosen', async () => {
  checkFacts(await resumeOf(), PROFILE)
})

const TAMPERED: [string, (resume: Resume) => unknown][] = [
  ['another name', (r) => Object.assign(r.basics, { name: 'Somebody Else' })],
  ['another title of the person', (r) => Object.assign(r.basics, { label: 'Senior Engineer' })],
  ['another summary', (r) => Object.assign(r, { summary: 'Has managed people.' })],
  ['another employer', (r) => Object.assign(r.work[0] ?? {}, { name: 'NASA' })],
  ['another title', (r) => Object.assign(r.work[1] ?? {}, { position: 'Senior Developer' })],
  ['another date', (r) => Object.assign(r.work[1] ?? {}, { startDate: '2015-01' })],
  ['an end that is none', (r) => Object.assign(r.work[1] ?? {}, { endDate: undefined })],
  ['a job twice', (r) => r.work.push(structuredClone(r.work[0]) as Resume['work'][number])],
  ['a job more', (r) => r.work.push({ name: 'NASA', highlights: [] })],
  ['another figure', (r) => r.work[0]?.highlights.push('Cut build time by 60 % for 12 teams with Bazel and C#')],
  ['a statement of another job', (r) => r.work[1]?.highlights.push(...(r.work[0]?.highlights ?? []))],
  ['another project', (r) => Object.assign(r.projects[0] ?? {}, { name: 'Apollo' })],
  ['a degree', (r) => Object.assign(r.education[0] ?? {}, { studyType: 'PhD' })],
  ['a school', (r) => r.education.push({ institution: 'MIT' })],
  ['a skill', (r) => r.skills[0]?.keywords?.push('Rust')],
  ['a level', (r) => Object.assign(r.skills[0] ?? {}, { level: 'Master' })],
  ['a certificate', (r) => r.certificates.push({ name: 'CKA' })],
  ['a language', (r) => r.languages.push({ language: 'French' })],
]
it.each(TAMPERED)('stops a resume with %s', async (_, tamper) => {
  const resume = await resumeOf()
  tamper(resume)
  expect(() => checkFacts(resume, PROFILE)).toThrow(expect.objectContaining({ reason: 'fact_check' }))
})
