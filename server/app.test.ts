import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { Hono } from 'hono'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { gzipOf, tarOf, zipOf } from '../fixtures/latex/archives.ts'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { createApp } from './app.ts'
import { ErrorBody, Run, RunEvent } from './contract.ts'
import { openDatabase } from './database.ts'
import { EmbeddedRuns, MAX_ACTIVE } from './embedded-runs.ts'
import { TEMPLATE } from './latex.ts'
import { Llm } from './llm.ts'
import { TokenQuota } from './quota.ts'
import { INSTALL_HEADER, SERVER_KEY_HEADER } from './relay-contract.ts'
import { MAX_GENERATE_BYTES } from './request-contract.ts'
import { RunStore } from './run-store.ts'
import { SqliteUse } from './sqlite-use.ts'
import { Tectonic } from './tectonic.ts'
import { Working } from './working.ts'

let folder: string
let distDir: string
let db: DatabaseSync
let tectonic: Tectonic
let bare: Hono
let app: ReturnType<typeof byRelay>
let runs: EmbeddedRuns
let shutdown: AbortController
let working: Working

const KEY = 'the key that the relay has, too: new'
const OLD_KEY = 'the key that the relay had before it'
const INSTALL = '6f1d7b9e-2c8a-4d53-9f0e-3a7b5c1d2e4f'

const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pass-ats-dist-'))
  tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 2, queueLimit: 8 })
})
afterAll(() => rm(folder, { recursive: true }))
afterEach(() => db.close())
beforeEach(async () => {
  distDir = await mkdtemp(join(folder, 'dist-'))
  db = openDatabase(distDir)
  runs = new EmbeddedRuns({ distDir, store: new RunStore(db), log: pino({ level: 'silent' }) })
  working = new Working()
  shutdown = new AbortController()
  bare = createApp({
    runs,
    pipeline: { model: undefined, tectonic, template: TEMPLATE, log: pino({ level: 'silent' }) },
    working,
    hosts: ['resumes.example'],
    keys: [KEY, OLD_KEY],
    shutdown: shutdown.signal,
    ready: () => tectonic.ready(),
  })
  app = byRelay(bare)
})

/** Asks as the relay does, for one install. */
function byRelay(app: Hono): { request: (path: string, init?: RequestInit) => Promise<Response> } {
  return {
    request: async (path, { headers, ...init } = {}) =>
      app.request(path, { headers: { [SERVER_KEY_HEADER]: KEY, [INSTALL_HEADER]: INSTALL, ...headers }, ...init }),
  }
}

const post = (path: string, body: unknown) =>
  app.request(path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

async function generate(body: unknown = { profile, posting }): Promise<Run> {
  const response = await post('/generate', body)
  expect(response.status).toBe(202)
  return Run.parse(await response.json())
}

async function eventsOf(response: Response): Promise<{ id: number; event: RunEvent }[]> {
  const blocks = (await response.text()).split('\n\n').filter((block) => block.includes('data: '))
  return blocks.map((block) => ({
    id: Number(/^id: (\d+)$/m.exec(block)?.[1]),
    event: RunEvent.parse(JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '')),
  }))
}

it('says of a run whose PDF finds no room that there is none, and not that something is broken', async () => {
  const id = 'ab'.repeat(16)
  // Takes no byte, as a disk that is full.
  await symlink('/dev/full', join(distDir, `${id}.pdf.part`))
  const headers = { 'content-type': 'application/json', traceparent: `00-${id}-${'cd'.repeat(8)}-03` }
  const run = Run.parse(
    await (
      await app.request('/generate', { method: 'POST', body: JSON.stringify({ profile, posting }), headers })
    ).json(),
  )
  const events = await eventsOf(await app.request(run.events))
  expect(events.at(-1)?.event).toMatchObject({ type: 'failed', failure: { code: 'storage_full' } })
})

it('takes a run, tells its stages in order, and serves the PDF', async () => {
  const run = await generate()
  const events = await eventsOf(await app.request(run.events))
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1))
  const stages = events.flatMap(({ event }) => (event.type === 'stage' ? [`${event.stage} ${event.state}`] : []))
  expect(stages).toEqual(
    ['llm', 'latex', 'compile', 'validate'].flatMap((stage) => [`${stage} started`, `${stage} finished`]),
  )
  expect(events.at(-1)?.event).toMatchObject({ type: 'done', pages: 1, fileName: 'Ada-Quill-Acme.pdf' })
  const pdf = await app.request(run.pdf)
  expect(pdf.headers.get('content-type')).toBe('application/pdf')
  const bytes = Buffer.from(await pdf.arrayBuffer())
  expect(bytes.subarray(0, 5).toString()).toBe('%PDF-')
  expect(bytes).toEqual(await readFile(join(distDir, `${run.id}.pdf`)))
})

it('continues a stream after Last-Event-ID', async () => {
  const run = await generate()
  const all = await eventsOf(await app.request(run.events))
  const rest = await eventsOf(await app.request(run.events, { headers: { 'last-event-id': '3' } }))
  expect(rest).toEqual(all.slice(3))
})

it('has sixteen compilations of others at once, those included that are still being sent', async () => {
  const senders: ReadableStreamDefaultController<Uint8Array>[] = []
  const send = () =>
    app.request('/compile', {
      method: 'POST',
      body: new ReadableStream<Uint8Array>({ start: (sender) => void senders.push(sender) }),
      duplex: 'half',
    } as RequestInit)
  const sending = Array.from({ length: 16 }, send)
  const refused = await send()
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({ error: { code: 'overloaded' } })
  for (const sender of senders.slice(0, 16)) sender.close()
  expect((await Promise.all(sending)).map(({ status }) => status)).not.toContain(503)
  const next = send()
  senders.at(-1)?.close()
  expect((await next).status).not.toBe(503)
})

it('ends open streams and marks the run when the server stops', async () => {
  const run = runs.create('0123456789abcdef0123456789abcdef', INSTALL)
  run.append({ type: 'queued', ahead: 1 })
  const response = await app.request('/runs/0123456789abcdef0123456789abcdef/events')
  runs.interruptAll()
  const events = await eventsOf(response)
  expect(events.at(-1)?.event).toMatchObject({ type: 'failed', failure: { code: 'interrupted' } })
})

it('lets go of a stream when the server stops, also when its run has not ended', async () => {
  runs.create('0123456789abcdef0123456789abcdef', INSTALL).append({ type: 'queued', ahead: 1 })
  const response = await app.request('/runs/0123456789abcdef0123456789abcdef/events')
  shutdown.abort()
  expect((await eventsOf(response)).length).toBeLessThanOrEqual(1)
})

it('makes a run once, however often it is posted', async () => {
  const traceparent = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-03'
  const post = () =>
    app.request('/generate', {
      method: 'POST',
      body: JSON.stringify({ profile, posting }),
      headers: { 'content-type': 'application/json', traceparent },
    })
  const answers = await Promise.all([post(), post(), post()])
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 202])
  const bodies = await Promise.all(answers.map((answer) => answer.json()))
  expect(new Set(bodies.map(({ id }) => id))).toEqual(new Set(['0123456789abcdef0123456789abcdef']))
  const events = await eventsOf(await app.request('/runs/0123456789abcdef0123456789abcdef/events'))
  expect(events.filter(({ event }) => event.type === 'done')).toHaveLength(1)
})

it('answers HEAD for a stream without starting one', async () => {
  runs.create('0123456789abcdef0123456789abcdef', INSTALL)
  const response = await app.request('/runs/0123456789abcdef0123456789abcdef/events', { method: 'HEAD' })
  expect(response.status).toBe(200)
  expect(response.body).toBeNull()
})

it.each([
  ['a page’s origin', 'http://127.0.0.1/generate', { origin: 'https://evil.example' }],
  ['a name that somebody pointed here', 'http://rebind.evil.example/generate', {}],
])('refuses %s', async (_, url, headers) => {
  const response = await app.request(url, {
    method: 'POST',
    body: JSON.stringify({ profile, posting }),
    headers: { 'content-type': 'application/json', ...headers },
  })
  expect(response.status).toBe(403)
  expect(ErrorBody.parse(await response.json()).error.code).toBe('not_allowed')
})

it('takes requests by a name that is configured, and answers probes by any', async () => {
  const run = await app.request('http://resumes.example/runs/0123456789abcdef0123456789abcdef')
  expect(run.status).toBe(404)
  expect((await app.request('http://10.0.0.7/healthz')).status).toBe(200)
  expect((await app.request('http://10.0.0.7/readyz')).status).toBe(200)
})

it('stops the compilation with the run', async () => {
  // Measuring, which comes first, describes nothing.
  const endless = TEMPLATE.replace('@BODY@', '\\renewcommand{\\describe}[3]{\\loop\\iftrue\\repeat}\n@BODY@')
  const slow = byRelay(
    createApp({
      runs,
      pipeline: { model: undefined, tectonic, template: endless, log: pino({ level: 'silent' }) },
      working,
      hosts: [],
      keys: [KEY],
      shutdown: shutdown.signal,
      ready: async () => true,
    }),
  )
  const response = await slow.request('/generate', {
    method: 'POST',
    body: JSON.stringify({ profile, posting }),
    headers: { 'content-type': 'application/json' },
  })
  const { events } = Run.parse(await response.json())
  const reader = (await slow.request(events)).body?.getReader()
  for (let seen = ''; !seen.includes('"compile"'); ) seen += new TextDecoder().decode((await reader?.read())?.value)
  runs.interruptAll()
  await working.done()
  await reader?.cancel()
})

it('cancels a run for its owner: its work stops, and that is its end, however often it is asked', async () => {
  const endpoint = await startOpenAiEndpoint('held')
  const bounds = { timeoutMs: 30_000, idleTimeoutMs: 30_000, concurrency: 1, queueLimit: 1 }
  const llm = new Llm({ baseUrl: endpoint.baseUrl, apiKey: '', model: 'm', ...bounds })
  const quota = new TokenQuota(new SqliteUse(db), { installTokens: 1e9, overallTokens: 1e9 })
  const slow = byRelay(
    createApp({
      runs,
      pipeline: { model: { llm, quota }, tectonic, template: TEMPLATE, log: pino({ level: 'silent' }) },
      working,
      hosts: [],
      keys: [KEY],
      shutdown: shutdown.signal,
      ready: async () => true,
    }),
  )
  const headers = { 'content-type': 'application/json' }
  const posted = await slow.request('/generate', {
    method: 'POST',
    body: JSON.stringify({ profile, posting }),
    headers,
  })
  const run = Run.parse(await posted.json())
  const events = slow.request(run.events)
  await endpoint.asked
  const cancel = (headers = {}) => slow.request(`/runs/${run.id}/cancel`, { method: 'POST', headers })
  expect((await cancel({ [INSTALL_HEADER]: 'another' })).status).toBe(404)
  for (let press = 0; press < 2; press++) {
    const answer = await cancel()
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ id: run.id, status: 'failed' })
  }
  expect((await eventsOf(await events)).at(-1)?.event).toMatchObject({ failure: { code: 'cancelled' } })
  // The request to the model was the only work there was.
  await working.done()
  await endpoint.close()
  expect((await slow.request(run.pdf)).status).toBe(404)
  // Posted again it is what it was: cancelled is no interruption.
  const traceparent = `00-${run.id}-0123456789abcdef-03`
  const body = JSON.stringify({ profile, posting })
  const again = await slow.request('/generate', { method: 'POST', body, headers: { ...headers, traceparent } })
  expect(again.status).toBe(200)
})

it('changes nothing of a run that is done when it is cancelled', async () => {
  const run = await generate()
  await eventsOf(await app.request(run.events))
  const answer = await app.request(`/runs/${run.id}/cancel`, { method: 'POST' })
  expect(await answer.json()).toMatchObject({ status: 'done' })
  expect((await app.request(run.pdf)).status).toBe(200)
})

it('stops a compilation with its caller, and with the server', async () => {
  const body = '\\documentclass{article}\\begin{document}\\loop\\iftrue\\repeat\\end{document}'
  const caller = new AbortController()
  const left = app.request('/compile', { method: 'POST', body, signal: caller.signal })
  const stopped = app.request('/compile', { method: 'POST', body })
  caller.abort()
  expect((await left).status).toBe(503)
  shutdown.abort()
  expect(ErrorBody.parse(await (await stopped).json()).error.code).toBe('interrupted')
})

it('refuses LaTeX from outside where there is no sandbox', async () => {
  const unsandboxed = new Tectonic({
    toolchain: { ...(await readToolchain()), bwrap: undefined },
    timeoutMs: 30_000,
    concurrency: 1,
    queueLimit: 1,
  })
  const unsafe = byRelay(
    createApp({
      runs,
      pipeline: { model: undefined, tectonic: unsandboxed, template: TEMPLATE, log: pino({ level: 'silent' }) },
      working,
      hosts: [],
      keys: [KEY],
      shutdown: shutdown.signal,
      ready: () => unsandboxed.ready(),
    }),
  )
  const body = '\\documentclass{article}\\begin{document}x\\end{document}'
  const response = await unsafe.request('/compile', { method: 'POST', body })
  expect(response.status).toBe(503)
  expect(ErrorBody.parse(await response.json()).error.code).toBe('sandbox_unavailable')
})

it('is not ready when Tectonic is not where it is said to be', async () => {
  const gone = new Tectonic({
    toolchain: { ...(await readToolchain()), tectonic: '/nowhere/tectonic' },
    timeoutMs: 1_000,
    concurrency: 1,
    queueLimit: 1,
  })
  expect(await gone.ready()).toBe(false)
  expect(await tectonic.ready()).toBe(true)
})

it('delivers whatever the posting’s company is called', async () => {
  const run = await generate({ profile, posting: { ...posting, company: String.fromCodePoint(0x20bb7).repeat(99) } })
  const events = await eventsOf(await app.request(run.events))
  expect(events.at(-1)?.event).toMatchObject({ type: 'done' })
  expect((await app.request(run.pdf)).status).toBe(200)
})

it('says that a run is gone when its PDF is', async () => {
  const run = await generate()
  await eventsOf(await app.request(run.events))
  await rm(join(distDir, `${run.id}.pdf`))
  expect((await app.request(run.pdf)).status).toBe(404)
})

it.each([
  ['a profile without a name', { profile: { basics: {} }, posting }, 400, 'profile_invalid', /^profile\.basics\.name/],
  [
    'a date that is none',
    { profile: { ...profile, work: [{ name: 'N', startDate: 'May' }] }, posting },
    400,
    'profile_invalid',
    /^profile\.work\.0\.startDate: must be a date/,
  ],
  ['no posting', { profile }, 400, 'request_invalid', /^posting/],
  ['something that is not JSON', 'hello', 400, 'request_invalid', /not JSON/],
])('refuses %s and names the field', async (_, body, status, code, detail) => {
  const response = await post('/generate', body)
  expect(response.status).toBe(status)
  const { error } = ErrorBody.parse(await response.json())
  expect(error.code).toBe(code)
  expect(error.detail).toMatch(detail)
})

it('refuses a body that is too large', async () => {
  const response = await post('/generate', `"${'x'.repeat(MAX_GENERATE_BYTES)}"`)
  expect(response.status).toBe(413)
  expect(ErrorBody.parse(await response.json()).error.code).toBe('request_too_large')
})

it('refuses one run more than it can work on', async () => {
  for (let index = 0; index < MAX_ACTIVE; index++) runs.create(`${index + 100}`.padStart(32, '1'), INSTALL)
  const response = await post('/generate', { profile, posting })
  expect(response.status).toBe(503)
  expect(ErrorBody.parse(await response.json()).error.code).toBe('overloaded')
})

it.each([
  '/runs/nonsense',
  '/runs/0123456789abcdef0123456789abcdef/events',
  '/runs/0123456789abcdef0123456789abcdef/resume.pdf',
])('does not know %s', async (path) => {
  const response = await app.request(path)
  expect(response.status).toBe(404)
  expect(ErrorBody.parse(await response.json()).error.code).toBe('run_not_found')
})

it('compiles LaTeX that comes from outside', async () => {
  const response = await post('/compile', '\\documentclass{article}\\begin{document}Hello\\end{document}')
  expect(response.headers.get('content-type')).toBe('application/pdf')
  expect(
    Buffer.from(await response.arrayBuffer())
      .subarray(0, 5)
      .toString(),
  ).toBe('%PDF-')
})

const upload = (path: string, body: Uint8Array, type: string) =>
  app.request(path, { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': type } })

it('compiles an archive from the file that is asked for, and names the file and line of a mistake', async () => {
  const paper = (last: string) => [
    { name: 'paper/main.tex', content: '\\documentclass{article}\\begin{document}\\input{parts/one}\\end{document}' },
    { name: 'paper/parts/one.tex', content: `See \\ref{a}.\n\\section{A}\\label{a}\n${last}` },
    { name: 'other.tex', content: '\\documentclass{article}\\begin{document}Other\\end{document}' },
  ]
  for (const [body, type] of [
    [zipOf(paper('fine')), 'application/zip'],
    [gzipOf(await tarOf(paper('fine'))), 'application/gzip'],
  ] as const) {
    const made = await upload('/compile?main=paper/main.tex', body, type)
    expect(made.status).toBe(200)
    expect(Buffer.from(await made.arrayBuffer()).toString('latin1', 0, 5)).toBe('%PDF-')
  }
  const failed = await upload('/compile?main=paper/main.tex', zipOf(paper('\\nosuch')), 'application/zip')
  expect(failed.status).toBe(422)
  const { error } = ErrorBody.parse(await failed.json())
  expect(error).toMatchObject({
    code: 'latex_invalid',
    detail: 'paper/parts/one.tex, line 3: Undefined control sequence',
  })
  const unclear = await upload('/compile', zipOf(paper('fine')), 'application/zip')
  expect(unclear.status).toBe(400)
  expect(ErrorBody.parse(await unclear.json()).error.detail).toMatch(/\?main=/)
})

it('works on so many compilations from outside, and says so to the next', async () => {
  const page = '\\documentclass{article}\\begin{document}Hello\\end{document}'
  const statuses = await Promise.all(Array.from({ length: 17 }, async () => (await post('/compile', page)).status))
  // The queue of this server has room for eight.
  expect(statuses.filter((status) => status === 200)).toHaveLength(9)
  expect(statuses.filter((status) => status === 503)).toHaveLength(8)
})

it('says what is wrong with LaTeX that does not compile', async () => {
  const response = await post('/compile', '\\documentclass{article}\n\\begin{document}\n\\nosuch\n\\end{document}')
  expect(response.status).toBe(422)
  expect(ErrorBody.parse(await response.json()).error.code).toBe('latex_invalid')
})

const RUN = '0123456789abcdef0123456789abcdef'

it.each([
  ['no key', {}],
  ['another key', { [SERVER_KEY_HEADER]: 'x'.repeat(KEY.length) }],
  ['the beginning of the key', { [SERVER_KEY_HEADER]: KEY.slice(0, -1) }],
  ['both keys in one', { [SERVER_KEY_HEADER]: `${KEY},${OLD_KEY}` }],
  ['the key as a client would send it', { authorization: `Bearer ${KEY}` }],
])('refuses who comes with %s, whatever they ask, and says what to do', async (_, headers) => {
  runs.create(RUN, '')
  for (const [method, path] of [
    ['POST', '/generate'],
    ['POST', '/compile'],
    ['GET', `/runs/${RUN}`],
    ['GET', `/runs/${RUN}/events`],
    ['GET', `/runs/${RUN}/resume.pdf`],
    ['GET', '/nothing'],
  ] as const) {
    const response = await bare.request(path, { method, headers })
    expect(`${path} ${response.status}`).toBe(`${path} 401`)
    const { error } = ErrorBody.parse(await response.json())
    expect(error.code).toBe('not_allowed')
    expect(error.detail).toContain('SERVER_KEY')
    expect(JSON.stringify(error)).not.toContain(KEY)
  }
  for (const path of ['/healthz', '/readyz']) expect((await bare.request(path)).status).toBe(200)
})

it('takes the old key and the new one while they are being changed', async () => {
  runs.create(RUN, INSTALL)
  for (const key of [KEY, OLD_KEY]) {
    const headers = { [SERVER_KEY_HEADER]: key }
    expect((await app.request(`/runs/${RUN}`, { headers })).status).toBe(200)
  }
})

it('shows a run to the install that started it; to another it does not exist, and cannot be posted again', async () => {
  const traceparent = `00-${RUN}-0123456789abcdef-03`
  const headers = { 'content-type': 'application/json', traceparent }
  const body = JSON.stringify({ profile, posting })
  const run = Run.parse(await (await app.request('/generate', { method: 'POST', body, headers })).json())
  expect(run.id).toBe(RUN)
  await eventsOf(await app.request(run.events))
  for (const other of ['another', '', INSTALL.toUpperCase()]) {
    const as = { [INSTALL_HEADER]: other }
    for (const path of [`/runs/${RUN}`, run.events, run.pdf]) {
      const response = await app.request(path, { headers: as })
      expect(`${other} ${path} ${response.status}`).toBe(`${other} ${path} 404`)
      expect(ErrorBody.parse(await response.json()).error.code).toBe('run_not_found')
    }
    expect((await app.request('/generate', { method: 'POST', body, headers: { ...headers, ...as } })).status).toBe(404)
  }
  expect((await app.request(run.pdf)).status).toBe(200)
})
