import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { type Breaker, createBreaker } from '../breaker.ts'
import { type Behaviour, type OpenAiEndpoint, startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { Failure } from './failure.ts'
import { LLM_BREAKER, Llm, type LlmOptions } from './llm.ts'

const exporter = new InMemorySpanExporter()
let endpoint: OpenAiEndpoint
beforeAll(() => {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  )
})
afterAll(() => {
  trace.disable()
  context.disable()
  propagation.disable()
})
beforeEach(async () => {
  exporter.reset()
  endpoint = await startOpenAiEndpoint()
})
afterEach(() => endpoint.close())

const shape = z.object({
  summary: z.string(),
  bullets: z.array(z.object({ id: z.string(), text: z.string() })),
})
const content = JSON.stringify({ resume: { summary: 'S', bullets: [{ id: 'w0.h0', text: 'Did it.' }] } })
const question = { system: 's', turns: [{ role: 'user' as const, content }], shape, shapeName: 'answer' }
const never = new AbortController().signal

function llmFor(options: Partial<LlmOptions> = {}, breaker?: Breaker): Llm {
  const times = { timeoutMs: 20_000, idleTimeoutMs: 20_000, concurrency: 4, queueLimit: 4 }
  return new Llm({ baseUrl: endpoint.baseUrl, apiKey: 'key', model: 'm', ...times, ...options }, breaker)
}

/** The answer, and what it is said to have cost. */
const ask = (behaviour: Behaviour, options: Partial<LlmOptions> = {}, llm = llmFor(options)) => {
  endpoint.behaviour = behaviour
  return llm.converse(async (conversation) => {
    const answer = await conversation.ask(question)
    return { answer, tokens: conversation.tokens }
  }, never)
}
const answered = { summary: 'S', bullets: [{ id: 'w0.h0', text: 'Did it.' }] }
const chat = () => exporter.getFinishedSpans()[0]?.attributes ?? {}

it('returns the answer in its shape, and tells all that the conventions ask for', async () => {
  expect(await ask('ok')).toEqual({ answer: answered, tokens: 1157 })
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['chat m'])
  expect(chat()).toEqual({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'openai.api.type': 'chat_completions',
    'gen_ai.request.model': 'm',
    'gen_ai.request.max_tokens': 6000,
    'gen_ai.request.stream': true,
    'gen_ai.output.type': 'json',
    'gen_ai.response.id': 'chatcmpl-fixture',
    'gen_ai.response.model': 'm-2026-01',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.response.time_to_first_chunk': expect.any(Number),
    'gen_ai.usage.input_tokens': 812,
    'gen_ai.usage.output_tokens': 345,
    'gen_ai.usage.cache_read.input_tokens': 256,
    'gen_ai.usage.reasoning.output_tokens': 64,
    'server.address': '127.0.0.1',
    'server.port': Number(new URL(endpoint.baseUrl).port),
    'pass_ats.llm.retries': 0,
    'pass_ats.llm.repair': false,
  })
})

it('sends the schema, asks for the usage, and takes nothing from the environment', async () => {
  vi.stubEnv('OPENAI_ORG_ID', 'org-of-somebody')
  await ask('ok')
  vi.unstubAllEnvs()
  const [sent] = endpoint.requests
  expect(sent?.body).toMatchObject({
    stream: true,
    stream_options: { include_usage: true },
    response_format: { type: 'json_schema', json_schema: { strict: true, schema: { additionalProperties: false } } },
  })
  expect(JSON.stringify(sent?.headers)).not.toContain('org-of-somebody')
})

it.each([
  ['https://api.openai.com/v1', 'openai', 443],
  ['https://api.groq.com/openai/v1', 'groq', 443],
  ['https://ours.openai.azure.com/openai/v1', 'azure.ai.openai', 443],
  ['http://notgroq.com.example:8080/v1', 'openai', 8080],
])('names who serves the model at %s: %s', async (baseUrl, provider, port) => {
  const refused = async () => new Response('{}', { status: 401 })
  const fetching = vi.spyOn(globalThis, 'fetch').mockImplementation(refused)
  await ask('ok', { baseUrl }).catch(() => undefined)
  fetching.mockRestore()
  const { hostname } = new URL(baseUrl)
  expect(chat()).toMatchObject({ 'gen_ai.provider.name': provider, 'server.address': hostname, 'server.port': port })
})

it('keeps the session\u2019s baggage from the provider', async () => {
  const seen: unknown[] = []
  const fetching = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => {
    // What the propagator would put on a request that leaves now: the HTTP instrumentation asks it the same.
    const carrier = {}
    propagation.inject(context.active(), carrier)
    seen.push(carrier)
    return new Response('data: [DONE]\n\n', { headers: { 'content-type': 'text/event-stream' } })
  })
  const baggage = propagation.createBaggage({ 'session.id': { value: 'secret' } })
  await context.with(propagation.setBaggage(context.active(), baggage), () => ask('ok').catch(() => undefined))
  fetching.mockRestore()
  expect(seen.length).toBeGreaterThan(0)
  for (const carrier of seen) {
    expect(carrier).toHaveProperty('traceparent')
    expect(carrier).not.toHaveProperty('baggage')
  }
})

interface Fault {
  code: string
  errorType: string
  /** Requests made: one more for each retry. */
  requests: number
  finish?: string
  options?: Partial<LlmOptions>
}
const FAULTS: [Behaviour, Fault][] = [
  ['error_400', { code: 'llm_misconfigured', errorType: '400', requests: 1 }],
  ['error_400_too_long', { code: 'request_too_large', errorType: '400', requests: 1 }],
  ['error_400_filtered', { code: 'llm_refused', errorType: 'content_filter', requests: 1 }],
  ['error_401', { code: 'llm_unauthorized', errorType: '401', requests: 1 }],
  ['error_404', { code: 'llm_misconfigured', errorType: '404', requests: 1 }],
  ['error_429', { code: 'llm_rate_limited', errorType: '429', requests: 1 }],
  ['error_429_late_date', { code: 'llm_rate_limited', errorType: '429', requests: 1 }],
  ['error_429_no_money', { code: 'llm_rate_limited', errorType: '429', requests: 1 }],
  ['error_429_soon', { code: 'llm_rate_limited', errorType: '429', requests: 3 }],
  ['error_429_date', { code: 'llm_rate_limited', errorType: '429', requests: 3 }],
  ['error_500', { code: 'llm_error', errorType: '500', requests: 3 }],
  ['error_event', { code: 'llm_error', errorType: 'error_event', requests: 3 }],
  ['reset', { code: 'llm_unavailable', errorType: 'no_connection', requests: 3 }],
  ['reset_midway', { code: 'llm_unavailable', errorType: 'connection_lost', requests: 3 }],
  ['nonsense', { code: 'llm_invalid_output', errorType: 'not_json', requests: 2, finish: 'stop' }],
  ['truncated', { code: 'llm_invalid_output', errorType: 'not_json', requests: 2, finish: 'stop' }],
  ['wrong_shape', { code: 'llm_invalid_output', errorType: 'wrong_shape', requests: 2, finish: 'stop' }],
  ['unfinished', { code: 'llm_invalid_output', errorType: 'cut_off', requests: 2 }],
  ['not_a_stream', { code: 'llm_invalid_output', errorType: 'not_a_stream', requests: 2 }],
  ['empty_stream', { code: 'llm_invalid_output', errorType: 'not_a_stream', requests: 2 }],
  ['broken_event', { code: 'llm_invalid_output', errorType: 'not_a_stream', requests: 2 }],
  ['enormous', { code: 'llm_invalid_output', errorType: 'too_long', requests: 1 }],
  ['cut_off', { code: 'llm_invalid_output', errorType: 'length', requests: 1, finish: 'length' }],
  ['filtered', { code: 'llm_refused', errorType: 'content_filter', requests: 1, finish: 'content_filter' }],
  ['refused', { code: 'llm_refused', errorType: 'refusal', requests: 1, finish: 'stop' }],
  ['silent', { code: 'llm_timeout', errorType: 'silence', requests: 1, options: { idleTimeoutMs: 300 } }],
  ['silent', { code: 'llm_timeout', errorType: 'deadline', requests: 1, options: { timeoutMs: 300 } }],
  ['stalled', { code: 'llm_timeout', errorType: 'silence', requests: 1, options: { idleTimeoutMs: 300 } }],
]
it.each(FAULTS)('%s: says what went wrong, and asks again where that may help: %o', async (behaviour, fault) => {
  const printed = (['log', 'info', 'warn', 'error', 'debug'] as const).map((level) => vi.spyOn(console, level))
  const error = await ask(behaviour, fault.options).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(Failure)
  expect(error).toMatchObject({ code: fault.code, reason: fault.errorType })
  expect((error as Failure).toBody().advice).not.toBe('')
  expect(endpoint.requests).toHaveLength(fault.requests)
  expect(chat()).toMatchObject({
    'error.type': fault.errorType,
    'pass_ats.failure.code': fault.code,
    'pass_ats.llm.retries': fault.requests - 1,
  })
  expect(chat()['gen_ai.response.finish_reasons']).toEqual(fault.finish && [fault.finish])
  expect(exporter.getFinishedSpans()).toMatchObject([{ status: { code: 2 }, events: [] }])
  for (const spy of printed) {
    expect(spy).not.toHaveBeenCalled()
    spy.mockRestore()
  }
})

it.each([
  'error_500',
  'error_503',
  'error_429_soon',
  'error_event',
  'reset',
  'reset_midway',
  'nonsense',
  'wrong_shape',
  'truncated',
] as const)('gets its answer all the same after one %s', async (behaviour) => {
  endpoint.next = [behaviour]
  expect((await ask('ok')).answer).toEqual(answered)
  expect(chat()).toMatchObject({ 'pass_ats.llm.retries': 1, 'gen_ai.response.finish_reasons': ['stop'] })
  expect(chat()).not.toHaveProperty('error.type')
})

it.each(['no_usage', 'negative_usage', 'absurd_usage'] as const)('estimates where there is %s', async (behaviour) => {
  const { tokens } = await ask(behaviour)
  expect(tokens).toBeGreaterThan(10)
  expect(tokens).toBeLessThan(1_000)
  expect(Object.keys(chat()).filter((name) => name.startsWith('gen_ai.usage.'))).toEqual([])
})

it('records no names that are no names', async () => {
  await ask('talkative_ids')
  expect(chat()).not.toHaveProperty('gen_ai.response.id')
  expect(chat()).not.toHaveProperty('openai.response.system_fingerprint')
})

it('counts also what was cut off on the way', async () => {
  endpoint.next = ['reset_midway']
  expect((await ask('ok')).tokens).toBeGreaterThan(1157)
})

it('ends with the run that asked', async () => {
  endpoint.behaviour = 'silent'
  const abort = new AbortController()
  const asked = llmFor().converse((conversation) => conversation.ask(question), abort.signal)
  abort.abort()
  await expect(asked).rejects.toMatchObject({ code: 'interrupted' })
})

it('tells how much is written while it is written, once a second at most', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  endpoint.behaviour = 'held'
  const bullets = Array.from({ length: 60 }, (_, index) => ({ id: `w0.h${index}`, text: 'Did it.' }))
  const turns = [{ role: 'user' as const, content: JSON.stringify({ resume: { summary: 'S', bullets } }) }]
  const texts: string[] = []
  const begun = Promise.withResolvers<void>()
  const onText = (text: string) => {
    texts.push(text)
    begun.resolve()
  }
  const asked = llmFor().converse((one) => one.ask({ ...question, turns, onText }), never)
  await begun.promise
  vi.advanceTimersByTime(1_500)
  endpoint.release()
  await asked
  vi.useRealTimers()
  expect(texts[0]).toBe('')
  expect(texts.length, 'several pieces came, and one was told').toBe(2)
})

it('lets so many ask at once, tells the others how many are before them, and turns away who is too many', async () => {
  endpoint.behaviour = 'held'
  const llm = llmFor({ concurrency: 1, queueLimit: 2 })
  const heard: number[][] = [[], [], [], []]
  const runs = heard.map((places) =>
    llm
      .converse(
        (one) => one.ask(question),
        never,
        (ahead) => places.push(ahead),
      )
      .then(
        () => 'answered',
        (failure: Failure) => failure.code,
      ),
  )
  expect(await runs[3]).toBe('overloaded')
  expect(heard).toEqual([[], [0], [1], []])
  endpoint.release()
  expect(await Promise.all(runs)).toEqual(['answered', 'answered', 'answered', 'overloaded'])
  expect(heard).toEqual([[], [0], [1, 0], []])
})

it('leaves an endpoint alone that has failed five times, and then lets one find out for all', async () => {
  let now = 0
  const llm = llmFor(
    {},
    createBreaker(LLM_BREAKER, () => now),
  )
  await expect(ask('error_500', {}, llm)).rejects.toMatchObject({ code: 'llm_error' })
  await expect(ask('error_500', {}, llm)).rejects.toMatchObject({ code: 'llm_unavailable', reason: 'resting' })
  expect(endpoint.requests).toHaveLength(5)
  await expect(ask('ok', {}, llm)).rejects.toMatchObject({ code: 'llm_unavailable' })
  expect(endpoint.requests, 'nobody asks').toHaveLength(5)
  now += 30_001
  expect((await ask('ok', {}, llm)).answer).toEqual(answered)
  expect((await ask('ok', {}, llm)).answer).toEqual(answered)
})

it('learns nothing of the endpoint from a run that its person has cancelled', async () => {
  const llm = llmFor()
  await expect(ask('error_500', {}, llm)).rejects.toMatchObject({ code: 'llm_error' })
  endpoint.behaviour = 'silent'
  const abort = new AbortController()
  const onText = () => abort.abort(new Failure('cancelled').toAbort())
  const cancelled = llm.converse((conversation) => conversation.ask({ ...question, onText }), abort.signal)
  await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' })
  await expect(ask('error_500', {}, llm)).rejects.toMatchObject({ code: 'llm_unavailable', reason: 'resting' })
})

it('does not take a refused key or a bad answer for an endpoint that is down', async () => {
  const llm = llmFor()
  for (const behaviour of ['error_401', 'nonsense', 'error_429', 'error_401', 'error_401', 'error_401'] as const) {
    await ask(behaviour, {}, llm).catch(() => undefined)
  }
  expect((await ask('ok', {}, llm)).answer).toEqual(answered)
})
