import { afterEach, expect, it } from 'vitest'
import { z } from 'zod'
import { type Behaviour, type OpenAiEndpoint, startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { Failure } from './failure.ts'
import { Llm } from './llm.ts'

let endpoint: OpenAiEndpoint | undefined
afterEach(async () => {
  await endpoint?.close()
  endpoint = undefined
})

const shape = z.strictObject({
  summary: z.string(),
  bullets: z.array(z.strictObject({ id: z.string(), text: z.string() })),
})
const user = JSON.stringify({ resume: { summary: 'S', bullets: [{ id: 'w0.h0', text: 'Did it.' }] } })

async function ask(behaviour: Behaviour, options: { timeoutMs?: number; idleTimeoutMs?: number } = {}) {
  endpoint = await startOpenAiEndpoint(behaviour)
  const llm = new Llm({
    baseUrl: endpoint.baseUrl,
    apiKey: 'key',
    model: 'm',
    timeoutMs: 20_000,
    idleTimeoutMs: 20_000,
    ...options,
  })
  return llm.ask({ system: 's', user, shape, shapeName: 'answer' }, new AbortController().signal)
}

it('returns the answer in its shape', async () => {
  await expect(ask('ok')).resolves.toEqual({ summary: 'S', bullets: [{ id: 'w0.h0', text: 'Did it.' }] })
})

it('sends the schema and asks for the usage', async () => {
  await ask('ok')
  expect(endpoint?.requests[0]?.body).toMatchObject({
    stream: true,
    stream_options: { include_usage: true },
    response_format: { type: 'json_schema', json_schema: { strict: true } },
  })
})

it.each([
  ['error_500', 'llm_error'],
  ['error_401', 'llm_unauthorized'],
  ['error_429', 'llm_rate_limited'],
  ['nonsense', 'llm_invalid_output'],
  ['not_a_stream', 'llm_invalid_output'],
  ['cut_off', 'llm_invalid_output'],
] as const)('says what went wrong: %s is %s', async (behaviour, code) => {
  await expect(ask(behaviour)).rejects.toMatchObject({ code })
})

it('tries once more after a 500, and not more often', async () => {
  await expect(ask('error_500')).rejects.toBeInstanceOf(Failure)
  expect(endpoint?.requests).toHaveLength(2)
})

it('does not make the person wait for as long as a 429 asks', async () => {
  await expect(ask('error_429')).rejects.toMatchObject({ code: 'llm_rate_limited' })
  expect(endpoint?.requests).toHaveLength(1)
})

it('gives up at the deadline on an endpoint that says nothing', async () => {
  await expect(ask('silent', { timeoutMs: 300 })).rejects.toMatchObject({ code: 'llm_timeout' })
})

it('gives up on an answer that stalls, long before the deadline', async () => {
  await expect(ask('stalled', { idleTimeoutMs: 300 })).rejects.toMatchObject({ code: 'llm_timeout' })
})

it('ends with the run that asked', async () => {
  endpoint = await startOpenAiEndpoint('silent')
  const llm = new Llm({ baseUrl: endpoint.baseUrl, apiKey: '', model: 'm', timeoutMs: 20_000, idleTimeoutMs: 20_000 })
  const abort = new AbortController()
  const asked = llm.ask({ system: 's', user, shape, shapeName: 'answer' }, abort.signal)
  abort.abort()
  await expect(asked).rejects.toMatchObject({ code: 'interrupted' })
})
