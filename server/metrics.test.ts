import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { type Sample, scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { METRICS } from '../metric-names.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'
import { FAILURE_CODES } from './contract.ts'
import { PDF_CHECKS } from './pdf.ts'

const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

let endpoint: Awaited<ReturnType<typeof startOpenAiEndpoint>>
let hooks: { bodies: string[]; url: string; heard: (count: number) => Promise<void>; close: () => void }
let stack: Stack

beforeAll(async () => {
  endpoint = await startOpenAiEndpoint()
  hooks = await startHooks()
  stack = await startTemporaryStack({
    toolchainPath: toolchainPath(),
    env: {
      LLM_BASE_URL: endpoint.baseUrl,
      LLM_MODEL: 'fixture-model',
      WEBHOOK_URLS: hooks.url,
      WEBHOOK_SECRETS: `whsec_${randomBytes(32).toString('base64')}`,
      WEBHOOK_ALLOW_LOOPBACK: '1',
    },
  })
})
afterAll(async () => {
  await stack?.stop()
  await endpoint?.close()
  hooks?.close()
})

async function startHooks() {
  const bodies: string[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const server = createServer(async (request, response) => {
    bodies.push(Buffer.concat(await Array.fromAsync(request)).toString())
    response.writeHead(204).end()
    for (const { count, resolve } of waiting) if (bodies.length >= count) resolve()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const heard = (count: number) =>
    new Promise<void>((resolve) => {
      waiting.push({ count, resolve })
      if (bodies.length >= count) resolve()
    })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return { bodies, url, heard, close: () => server.close() }
}

/** What the extension asks for, over HTTP: with the durations that only it knows. */
async function newCaller(key?: string) {
  const init = { method: 'POST', ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }) }
  const { token } = await (await fetch(`${stack.relayUrl}/installs`, init)).json()
  const ask = async (id: string, path: string, { headers, ...init }: RequestInit = {}) => {
    const context = { traceparent: `00-${id}-00f067aa0ba902b7-03`, authorization: `Bearer ${token}` }
    return fetch(stack.relayUrl + path, { ...init, headers: { ...context, ...headers } })
  }
  const post = async (body: object = { profile, posting }) => {
    const id = randomBytes(16).toString('hex')
    const headers = { 'content-type': 'application/json', 'pass-ats-timings': 'extract=812, request=1034' }
    const answer = await ask(id, '/generate', { method: 'POST', headers, body: JSON.stringify(body) })
    await answer.text()
    return id
  }
  const follow = async (id: string) => (await ask(id, `/runs/${id}/events`)).text()
  return {
    post,
    /** To the end of the stream, and the PDF where there is one. */
    async run(body?: object) {
      const id = await post(body)
      if (/"type":"done"/.test(await follow(id))) {
        await (await ask(id, `/runs/${id}/resume.pdf`, { headers: { 'pass-ats-timings': 'elapsed=5000' } })).bytes()
      }
      return id
    },
    async cancelled() {
      const id = await post()
      const cancel = () => ask(id, `/runs/${id}/cancel`, { method: 'POST' })
      for await (const chunk of (await ask(id, `/runs/${id}/events`)).body ?? []) {
        if (Buffer.from(chunk).includes('"stage":"llm"')) await cancel()
      }
    },
  }
}

async function both(): Promise<Sample[]> {
  return [...(await scrape(stack.metricsUrls.relay)), ...(await scrape(stack.metricsUrls.server))]
}

it('Every run counts once in all that counts runs: those that work, fail, are cancelled or refused; a check’s apart', async () => {
  const person = await newCaller()
  const check = await newCaller(stack.syntheticKey)
  const done: string[] = []
  for (let n = 0; n < 3; n++) done.push(await person.run())
  const usedTokens = async () => sumOf(await both(), 'pass_quota_used', { quota: 'llm_tokens' })
  const used = await usedTokens()
  const checked = [await check.run(), await check.run()]
  // The counter of tokens is of what people use.
  expect(await usedTokens()).toBe(used)
  endpoint.behaviour = 'error_401'
  for (let n = 0; n < 2; n++) await person.run()
  endpoint.behaviour = 'silent'
  await person.cancelled()
  await person.run({ profile: {}, posting })
  await hooks.heard(6)

  const samples = await both()
  const count = (name: string, labels: Record<string, string>) =>
    sumOf(samples, name, { synthetic: 'false', ...labels })
  const checks = (name: string, labels: Record<string, string>) =>
    sumOf(samples, name, { synthetic: 'true', ...labels })
  const outcomes = (name: string) => ['ok', 'failed', 'cancelled'].map((outcome) => count(name, { outcome }))
  expect(outcomes('pass_runs_total')).toEqual([3, 3, 1])
  expect(outcomes('pass_e2e_duration_seconds_count')).toEqual([3, 3, 1])
  expect(count('pass_runs_total', { failure_code: 'llm_unauthorized' })).toBe(2)
  expect(count('pass_runs_total', { failure_code: 'profile_invalid' })).toBe(1)
  expect(count('pass_runs_total', { failure_code: 'cancelled' })).toBe(1)
  expect(count('pass_runs_total', { failure_code: 'none' })).toBe(3)
  const stage = (stage: string, outcome: string) => count('pass_stage_duration_seconds_count', { stage, outcome })
  // The refused one told of its own times, too, but nobody has taken it.
  for (const each of ['extract', 'request']) expect([each, stage(each, 'ok')]).toEqual([each, 6])
  for (const each of ['latex', 'compile', 'validate', 'deliver']) expect([each, stage(each, 'ok')]).toEqual([each, 3])
  expect([stage('llm', 'ok'), stage('llm', 'failed'), stage('llm', 'cancelled')]).toEqual([3, 2, 1])
  expect(count('pass_stage_duration_seconds_count', { stage: 'queue' })).toBe(6)
  // From the click: what was told, and what it took here.
  expect(count('pass_e2e_duration_seconds_sum', { outcome: 'failed' })).toBeGreaterThan(3 * 1.034)
  expect(count('pass_e2e_duration_seconds_sum', { outcome: 'cancelled' })).toBeGreaterThan(1.034)

  expect(checks('pass_runs_total', { outcome: 'ok' })).toBe(2)
  expect(checks('pass_e2e_duration_seconds_count', { outcome: 'ok' })).toBe(2)
  expect(checks('pass_stage_duration_seconds_count', { stage: 'compile', outcome: 'ok' })).toBe(2)
  expect(checks('pass_tectonic_compile_duration_seconds_count', { outcome: 'ok' })).toBe(2)
  expect(checks('pass_rate_limit_decisions_total', { limiter: 'llm', decision: 'allowed' })).toBe(2)
  expect(used).toBeGreaterThan(0)
  expect(hooks.bodies.map((body) => JSON.parse(body).type).sort()).toEqual([
    'run.cancelled',
    ...Array(2).fill('run.failed'),
    ...Array(3).fill('run.finished'),
  ])
  expect(sumOf(samples, 'pass_webhook_delivery_duration_seconds_count', { outcome: 'ok' })).toBe(6)

  const asked = (labels: Record<string, string>) => count('gen_ai_client_operation_duration_seconds_count', labels)
  const model = { gen_ai_request_model: 'fixture-model', gen_ai_provider_name: 'openai' }
  expect(asked({ ...model, error_type: '' })).toBe(3)
  expect(asked({ ...model, error_type: 'llm_unauthorized' })).toBe(2)
  expect(count('gen_ai_client_operation_time_to_first_chunk_seconds_count', model)).toBe(3)
  expect(count('gen_ai_client_token_usage_count', { ...model, gen_ai_token_type: 'output' })).toBe(3)
  for (const check of PDF_CHECKS) {
    expect(count('pass_pdf_validations_total', { check, outcome: 'passed' })).toBe(3)
  }
  expect(count('pass_pdf_size_bytes_count', {})).toBe(3)
  expect(sumOf(samples, 'pass_sse_connections')).toBe(0)
  expect(sumOf(samples, 'pass_sse_events_total', { event: 'done' })).toBe(5)
  expect(sumOf(samples, 'pass_runs_active')).toBe(0)
  expect(sumOf(samples, 'pass_metric_labels_replaced_total')).toBe(0)

  const exemplars = samples.filter(({ name }) => name === 'pass_stage_duration_seconds_bucket')
  expect(exemplars.some(({ exemplar }) => exemplar?.trace_id === done[2])).toBe(true)
  // The checks' spans say so, every one of relay and server; a person's do not.
  const typesOf = async (id: string) => {
    const { resourceSpans } = await (
      await fetch(`${stack.relayUrl}/api/traces/${id}`, { headers: asSupport(stack.relayUrl) })
    ).json()
    const spans = (resourceSpans as { scopeSpans: { spans: object[] }[] }[]).flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans),
    )
    return spans.map((span) =>
      /"user_agent\.synthetic\.type","value":\{"stringValue":"test"/.test(JSON.stringify(span)),
    )
  }
  await expect.poll(async () => (await typesOf(checked[0] as string)).length).toBeGreaterThan(10)
  expect(new Set(await typesOf(checked[0] as string))).toEqual(new Set([true]))
  expect(new Set(await typesOf(done[0] as string))).toEqual(new Set([false]))
})

it('The catalogue knows the checks of PDFs and has room for every failure', () => {
  expect(METRICS.pdfValidations.labels.check).toEqual(PDF_CHECKS)
  expect(METRICS.runs.labels.failure_code).toBeGreaterThan(FAILURE_CODES.length)
})
