import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenAiEndpoint, startOpenAiEndpoint } from '../../fixtures/llm/openai-endpoint.ts'
import { scrape, sumOf } from '../../fixtures/metrics/scraped.ts'
import { toolchainPath } from '../setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../stack.ts'
import { asSupport } from '../support.ts'
import type { CheckName } from './verdict.ts'

const NAMES = ['generate', 'compile', 'e2e'] as const satisfies CheckName[]
let endpoint: OpenAiEndpoint
let stack: Stack
let distDir: string
let temporary: string

beforeAll(async () => {
  endpoint = await startOpenAiEndpoint()
  temporary = await mkdtemp(join(tmpdir(), 'pass-ats-synthetics-'))
  distDir = join(temporary, 'dist')
  const env = { LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' }
  stack = await startTemporaryStack({ toolchainPath: toolchainPath(), distDir, env })
})

afterAll(async () => {
  await stack?.stop()
  await endpoint?.close()
  await rm(temporary, { recursive: true, force: true })
})

/** As it is typed, of this stack unless another is told. */
async function check(name: CheckName, { args = [] as string[], url = stack.relayUrl, key = stack.syntheticKey } = {}) {
  const via = name === 'e2e' ? ['--via', 'http'] : []
  const child = spawn(process.execPath, [fileURLToPath(new URL('check.ts', import.meta.url)), name, ...via, ...args], {
    env: { PASS_ATS_URL: url, PASS_ATS_SYNTHETIC_KEY: key, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  let complained = ''
  child.stderr.on('data', (chunk) => {
    complained += chunk
  })
  const [code] = await once(child, 'close')
  expect(said.split('\n').length, complained).toBeLessThanOrEqual(2)
  return { code, complained, ...(said ? JSON.parse(said) : {}) }
}

const ofAll = (options: Parameters<typeof check>[1]) => Promise.all(NAMES.map((name) => check(name, options)))

const counted = async (name: string, labels: Record<string, string>) =>
  sumOf([...(await scrape(stack.metricsUrls.relay)), ...(await scrape(stack.metricsUrls.server))], name, labels)

test.each(NAMES)('%s-check passes against a stack that works, in one try, told apart from people', async (name) => {
  const people = () =>
    counted('http_server_request_duration_seconds_count', { synthetic: 'false', http_route: '/generate' })
  const before = await people()
  const report = await check(name)
  expect(report).toMatchObject({ code: 0, check: name, ok: true, phase: 'validate', error_type: null, attempts: 1 })
  expect(report.via).toBe(name === 'e2e' ? 'http' : undefined)
  expect(report.trace_id).toBe(report.run_id)
  expect(report.durations.waited).toBeGreaterThan(0)
  expect(await people()).toBe(before)
  const route = name === 'compile' ? '/compile' : '/generate'
  expect(
    await counted('http_server_request_duration_seconds_count', { synthetic: 'true', http_route: route }),
  ).toBeGreaterThan(0)
  // The console knows what happened in it.
  expect(
    (await fetch(`${stack.relayUrl}/api/traces/${report.trace_id}`, { headers: asSupport(stack.relayUrl) })).status,
  ).toBe(200)
})

test.each(['generate', 'e2e'] as const)('%s-check twice with the same run ID does no second work', async (name) => {
  const id = name === 'e2e' ? 'e'.repeat(32) : 'a'.repeat(32)
  const ended = () => counted('pass_runs_total', { outcome: 'ok', synthetic: 'true' })
  const before = await ended()
  const args = ['--run-id', id]
  expect(await check(name, { args })).toMatchObject({ code: 0, run_id: id, trace_id: id })
  const asked = endpoint.requests.length
  const pdfs = await readdir(distDir)
  expect(await check(name, { args })).toMatchObject({ code: 0, run_id: id, trace_id: id })
  expect(endpoint.requests).toHaveLength(asked)
  expect(await readdir(distDir)).toEqual(pdfs)
  expect(await ended()).toBe(before + 1)
})

test('A model that fails is found by the checks that need one, after a second try, and once for each run ID', async () => {
  endpoint.behaviour = 'error_401'
  try {
    const args = ['--run-id', 'b'.repeat(32)]
    const failed = { code: 1, ok: false, phase: 'events', error_type: 'llm_unauthorized', attempts: 2 }
    const first = await check('generate', { args })
    expect(first).toMatchObject(failed)
    expect(first.trace_id).not.toBe(first.run_id)
    const asked = endpoint.requests.length
    expect(await check('generate', { args })).toMatchObject({ ...failed, trace_id: first.trace_id })
    expect(endpoint.requests).toHaveLength(asked)
    expect(await check('e2e')).toMatchObject(failed)
    expect(await check('compile')).toMatchObject({ code: 0 })
  } finally {
    endpoint.behaviour = 'ok'
  }
})

test('What fails once and works then has passed, and says that it took two tries', async () => {
  // The server itself asks again after some failures, but not after this one.
  endpoint.next = ['error_401']
  expect(await check('generate')).toMatchObject({ code: 0, ok: true, attempts: 2, error_type: null })
})

test('What works but takes longer than its objective has exit code 3', async () => {
  const slow = { code: 3, ok: false, result: 'slow', error_type: 'slow', attempts: 2 }
  for (const report of await ofAll({ args: ['--objective', '0.001'] })) expect(report).toMatchObject(slow)
  // A model that takes its time, once: that alone does not decide.
  endpoint.next = ['held']
  const asked = endpoint.requests.length
  const checking = check('generate', { args: ['--objective', '1'] })
  await expect.poll(() => endpoint.requests.length).toBe(asked + 1)
  // Time itself is what is tested.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  endpoint.release()
  expect((await checking).attempts).toBe(2)
})

test('A key that the relay does not know, none, and no such option are the harness\u2019s own fault, at once', async () => {
  for (const wrong of await ofAll({ key: 'x'.repeat(64) })) {
    expect(wrong).toMatchObject({ code: 2, error_type: 'synthetic_key_unknown', phase: 'sign_in', attempts: 1 })
  }
  expect(await check('generate', { key: '' })).toMatchObject({ code: 2, error_type: 'synthetic_key_missing' })
  const misused = await check('generate', { args: ['--run-id', 'mine'] })
  expect(misused).toMatchObject({ code: 2, complained: expect.stringContaining('Usage') })
  const nowhere = await check('generate', { url: 'http://relay.invalid' })
  expect(nowhere).toMatchObject({ code: 2, error_type: 'no_network', attempts: 2 })
})

test('A relay that is not there fails every check', async () => {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  for (const report of await ofAll({ url: `http://127.0.0.1:${port}` })) {
    expect(report).toMatchObject({ code: 1, error_type: 'relay_unreachable', phase: 'sign_in', attempts: 2 })
  }
})

test('Tectonic that is missing fails every check, and a server that is down does', async () => {
  const broken = await startTemporaryStack({ toolchainPath: '' })
  const { relayUrl: url, syntheticKey: key } = broken
  try {
    for (const name of NAMES) {
      expect(await check(name, { url, key })).toMatchObject({
        code: 1,
        error_type: 'tectonic_unavailable',
        attempts: 2,
      })
    }
    await broken.killServer()
    for (const name of NAMES) {
      const report = await check(name, { url, key })
      expect(report).toMatchObject({ code: 1, error_type: 'server_unreachable', attempts: 2 })
    }
  } finally {
    await broken.stop()
  }
})

test('A check that is stopped in the middle cancels its run, says nothing, and leaves nothing', async () => {
  endpoint.behaviour = 'stalled'
  const before = endpoint.requests.length
  const child = spawn(process.execPath, [fileURLToPath(new URL('check.ts', import.meta.url)), 'generate'], {
    env: { PASS_ATS_URL: stack.relayUrl, PASS_ATS_SYNTHETIC_KEY: stack.syntheticKey },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  try {
    const cancelled = () => counted('pass_runs_total', { outcome: 'cancelled', synthetic: 'true' })
    await expect.poll(() => endpoint.requests.length).toBeGreaterThan(before)
    const already = await cancelled()
    const ended = once(child, 'close')
    child.kill('SIGTERM')
    expect((await ended)[0]).toBe(143)
    expect(said).toBe('')
    await expect.poll(cancelled).toBe(already + 1)
    await expect.poll(() => counted('pass_runs_active', {})).toBe(0)
    // Neither is a finished check's folder there: only what the server keeps.
    expect(await readdir(temporary)).toEqual(['dist'])
  } finally {
    child.kill('SIGKILL')
    endpoint.behaviour = 'ok'
  }
})
