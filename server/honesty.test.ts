/**
 * What is printed, when the model lies and when it obeys whoever wrote the posting. Through the front door: a request
 * in, a PDF out, and a check of its text that knows nothing of how rewordings are judged.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import pino from 'pino'
import { extractText, getDocumentProxy } from 'unpdf'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADVERSARIAL, PROFILE } from '../fixtures/llm/adversarial.ts'
import { type OpenAiEndpoint, startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { INJECTIONS } from '../fixtures/postings/injections.ts'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { createApp } from './app.ts'
import { Run, RunEvent } from './contract.ts'
import { openDatabase } from './database.ts'
import { EmbeddedRuns } from './embedded-runs.ts'
import { TEMPLATE } from './latex.ts'
import { Llm } from './llm.ts'
import { TokenQuota } from './quota.ts'
import { SERVER_KEY_HEADER } from './relay-contract.ts'
import { RunStore } from './run-store.ts'
import { SqliteUse } from './sqlite-use.ts'
import { Tectonic } from './tectonic.ts'
import { Working } from './working.ts'

const KEY = 'the key that the relay has, too: one'
const DUTIES = 'We look for a backend engineer with Bazel, C# and Kafka.'
let distDir: string
let endpoint: OpenAiEndpoint
let app: ReturnType<typeof createApp>
let db: DatabaseSync

beforeAll(async () => {
  distDir = await mkdtemp(join(tmpdir(), 'pass-ats-honesty-'))
  endpoint = await startOpenAiEndpoint('scripted')
  const tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 60_000, concurrency: 2, queueLimit: 8 })
  const bounds = { timeoutMs: 60_000, idleTimeoutMs: 60_000, concurrency: 4, queueLimit: 4 }
  const llm = new Llm({ baseUrl: endpoint.baseUrl, apiKey: '', model: 'm', ...bounds })
  db = openDatabase(distDir)
  const quota = new TokenQuota(new SqliteUse(db), { installTokens: 1e9, overallTokens: 1e9 })
  app = createApp({
    runs: new EmbeddedRuns({ distDir, store: new RunStore(db), log: pino({ level: 'silent' }) }),
    pipeline: { model: { llm, quota }, tectonic, template: TEMPLATE, log: pino({ level: 'silent' }) },
    working: new Working(),
    hosts: [],
    keys: [KEY],
    shutdown: new AbortController().signal,
    ready: async () => true,
  })
})
afterAll(async () => {
  await endpoint.close()
  db.close()
  await rm(distDir, { recursive: true })
})

/** The text of the PDF that such an answer leads to, as one line, and how the run ended. */
async function print(answer: unknown, description = DUTIES): Promise<{ text: string; done: RunEvent }> {
  endpoint.script = () => (typeof answer === 'string' ? answer : JSON.stringify(answer))
  const posting = { source: 'json-ld', title: 'Backend Engineer', company: 'Acme', location: '', description }
  const headers = { [SERVER_KEY_HEADER]: KEY, 'content-type': 'application/json' }
  const body = JSON.stringify({ profile: PROFILE, posting })
  const run = Run.parse(await (await app.request('/generate', { method: 'POST', body, headers })).json())
  const stream = await (await app.request(run.events, { headers })).text()
  const events = [...stream.matchAll(/^data: (.*)$/gm)].map(([, data]) => RunEvent.parse(JSON.parse(data ?? '')))
  const done = events.at(-1)
  expect(done).toMatchObject({ type: 'done' })
  const pdf = await (await app.request(run.pdf, { headers })).arrayBuffer()
  const document = await getDocumentProxy(new Uint8Array(pdf))
  const { text } = await extractText(document, { mergePages: true })
  await document.loadingTask.destroy()
  return { text: text.replace(/\s+/g, ' '), done: done as RunEvent }
}

const answerOf = (texts: Record<string, string>) => {
  const { summary = '', ...bullets } = texts
  return { summary, bullets: Object.entries(bullets).map(([id, text]) => ({ id, text })) }
}

/** Words that a resume may hold besides its owner's: headings, months, and verbs that may stand for theirs. */
const OURS = `Summary Experience Projects Education Skills Certificates Languages Present Jan Feb Mar Apr May Jun Jul Aug
  Sep Oct Nov Dec Reduced Lowered Decreased Shortened Created Developed Authored Moved Migrated Assisted Repaired
  Resolved 2015 2018 2021 2019`
const wordsIn = (text: string) =>
  text
    .split(/[\s|,;:.•()–]+/)
    .map((word) => word.toLowerCase())
    .filter(Boolean)
const textsOf = (value: unknown): string[] =>
  typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [String(value)]
const OWN = new Set(wordsIn([...textsOf(PROFILE), OURS].join(' ')))
/** A number with its marks and what it counts: `about $5k` is `$5k a`. */
const FIGURE = /\S*\d\S*(?: %| \p{L}+)?/gu
const FIGURES = new Set(textsOf(PROFILE).flatMap((text) => text.match(FIGURE) ?? []))

/** No word, and no number before another word, that the profile does not have; and each job's words in that job. */
function expectOwn(text: string): void {
  expect(wordsIn(text).filter((word) => !OWN.has(word))).toEqual([])
  const [, experience = ''] = text.split('Experience')
  const [body = ''] = experience.split('Education')
  const jobs = PROFILE.work ?? []
  const places = jobs.map(({ position, name }) => body.indexOf(`${position} | ${name}`))
  expect(places.every((place) => place >= 0)).toBe(true)
  for (const [index, job] of jobs.entries()) {
    const end = places[index + 1] ?? body.indexOf('Projects')
    const bullets = body.slice(places[index], end).split('•').slice(1)
    const theirs = new Set(wordsIn(`${(job.highlights ?? []).join(' ')} ${OURS}`))
    expect(bullets.flatMap(wordsIn).filter((word) => !theirs.has(word))).toEqual([])
    for (const [figure] of bullets.flatMap((bullet) => [...bullet.trim().matchAll(FIGURE)])) {
      const isKnown = [...FIGURES].some((own) => own === figure || own.startsWith(`${figure} `))
      expect(isKnown, figure).toBe(true)
    }
  }
}

it('has enough cases', () => {
  expect(ADVERSARIAL.length).toBeGreaterThanOrEqual(50)
  expect(INJECTIONS.length).toBeGreaterThanOrEqual(6)
})

it('prints what an honest model rewords, so that the checks below have something to find', async () => {
  const texts = { 'w0.h1': 'Reduced build time with C# and Bazel by 40 %', 'w1.h0': 'Repaired 140 bugs' }
  const { text, done } = await print(answerOf(texts))
  for (const honest of Object.values(texts)) expect(text).toContain(honest)
  expectOwn(text)
  expect(done).toMatchObject({ wording: { by: 'model', reworded: 2, dropped: 0 } })
})

describe('no fact that is not in the profile is printed when a model', () => {
  it.each(ADVERSARIAL)('$does', async ({ texts = {}, answer, never }) => {
    const { text } = await print(answer ?? answerOf(texts))
    expect(text).not.toMatch(never)
    expectOwn(text)
  })
})

it('tells that a model writes, in counts and without a word, and the run is under way', async () => {
  endpoint.next = ['held']
  const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: DUTIES }
  const headers = { [SERVER_KEY_HEADER]: KEY, 'content-type': 'application/json' }
  const body = JSON.stringify({ profile: PROFILE, posting })
  const run = Run.parse(await (await app.request('/generate', { method: 'POST', body, headers })).json())
  const stream = (await app.request(run.events, { headers })).body?.getReader()
  let seen = ''
  const until = async (text: string) => {
    while (!seen.includes(text)) {
      const { value, done } = (await stream?.read()) ?? { done: true }
      if (done) throw new Error(`The stream ended without ${text}: ${seen}`)
      seen += new TextDecoder().decode(value)
    }
  }
  await until('"writing"')
  expect(await (await app.request(`/runs/${run.id}`, { headers })).json()).toMatchObject({ status: 'running' })
  endpoint.release()
  await until('"done"')
  const events = [...seen.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '') as RunEvent)
  expect(events.slice(0, 2)).toEqual([
    { type: 'stage', stage: 'llm', state: 'started' },
    { type: 'writing', statements: 0, correcting: false },
  ])
  await stream?.cancel()
})

it('tells how many rewordings were dropped', async () => {
  const lies = { 'w0.h1': 'Ran NASA', 'w1.h0': 'Repaired 140 bugs', summary: 'Astronaut' }
  expect((await print(answerOf(lies))).done).toMatchObject({ wording: { reworded: 1, dropped: 2 } })
})

describe('nothing but the wording changes when a posting holds', () => {
  it.each(INJECTIONS)('$kind, and the model obeys', async ({ description, obeyed }) => {
    endpoint.requests.length = 0
    const { text, done } = await print(typeof obeyed === 'string' ? obeyed : answerOf(obeyed), description)
    expect(text).not.toMatch(/NASA|MIT|PhD|Rust|evil|400|120|50k|unsuitable|Astronaut/)
    expectOwn(text)
    expect((done as { wording?: object }).wording).toMatchObject({ reworded: 0 })
    const [asked] = endpoint.requests
    const [system, user] = asked?.body.messages ?? []
    // The posting is one string of one object, whatever it holds, and nobody's instruction.
    expect(system?.content).not.toContain('Bazel')
    const prompt = JSON.parse(user?.content ?? '')
    expect(Object.keys(prompt)).toEqual(['posting', 'resume'])
    expect(prompt.resume.bullets).toHaveLength(10)
    expect(prompt.posting.description).not.toMatch(/[\p{Cf}\p{Co}]/u)
    expect(JSON.stringify(asked?.body)).not.toContain('lindqvist.example')
  })
})
