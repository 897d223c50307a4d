/** Streamed, structured answers from any OpenAI-compatible endpoint, each with its GenAI span. */

import { setTimeout as delay } from 'node:timers/promises'
import { context, propagation, type Span, SpanKind, trace } from '@opentelemetry/api'
import OpenAI from 'openai'
import { z } from 'zod'
import { type Breaker, type BreakerSettings, createBreaker } from '../breaker.ts'
import { METRICS } from '../metric-names.ts'
import { histogram } from '../metrics.ts'
import {
  ATTR_GEN_AI_OPERATION,
  ATTR_GEN_AI_OUTPUT_TYPE,
  ATTR_GEN_AI_PROVIDER,
  ATTR_GEN_AI_REQUEST_MAX_TOKENS,
  ATTR_GEN_AI_REQUEST_MODEL,
  ATTR_GEN_AI_REQUEST_STREAM,
  ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  ATTR_GEN_AI_RESPONSE_ID,
  ATTR_GEN_AI_RESPONSE_MODEL,
  ATTR_GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
  ATTR_LLM_REPAIR,
  ATTR_LLM_RETRIES,
  ATTR_OPENAI_API_TYPE,
  ATTR_OPENAI_RESPONSE_SERVICE_TIER,
  ATTR_OPENAI_RESPONSE_SYSTEM_FINGERPRINT,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
} from '../names.ts'
import { isSynthetic } from '../synthetic.ts'
import type { FailureCode } from './contract.ts'
import { Failure } from './failure.ts'
import { failureOf, outcomeOf, waitBefore } from './llm-fault.ts'
import { recordUsage, tokensIn, type Usage } from './llm-usage.ts'
import { Patience } from './patience.ts'
import { recordFailure } from './span-failure.ts'
import { Turns } from './turns.ts'

/** Long, because a provider's trouble lasts for minutes; a person waits for seconds. */
export const LLM_BREAKER: BreakerSettings = { guards: 'llm', openMs: 30_000 }

export interface LlmOptions {
  /** Up to and including the version, e.g. `https://api.openai.com/v1`. */
  baseUrl: string
  /** Sent as a bearer token; '' for endpoints that want none. */
  apiKey: string
  model: string
  /** Longest time for all answers that one run needs, milliseconds. */
  timeoutMs: number
  /** Longest silence within an answer, and before it, milliseconds. */
  idleTimeoutMs: number
  /** Runs that ask at once; of those that wait there may be so many. */
  concurrency: number
  queueLimit: number
}

/** What is asked, and the shape the answer must have. */
export interface Question<T extends z.ZodType = z.ZodType> {
  system: string
  /** What was said before, the person's question first. */
  turns: { role: 'user' | 'assistant'; content: string }[]
  shape: T
  /** Name of the shape, as the endpoint wants one. */
  shapeName: string
  /** Hears the answer so far as it grows, at most once a second, and '' when it is asked for. */
  onText?: ((text: string) => void) | undefined
}

/** Longest answer accepted, tokens asked for and characters read. */
export const MAX_OUTPUT_TOKENS = 6_000
const MAX_ANSWER_CHARACTERS = 200_000
const TELL_MS = 1_000

/** Who serves the model, by host, in the words of the GenAI conventions; any other is spoken to as `openai`. */
const PROVIDERS: [host: RegExp, provider: string][] = [
  [/\.openai\.azure\.com$|\.cognitiveservices\.azure\.com$/, 'azure.ai.openai'],
  [/(^|\.)anthropic\.com$/, 'anthropic'],
  [/(^|\.)mistral\.ai$/, 'mistral_ai'],
  [/(^|\.)groq\.com$/, 'groq'],
  [/(^|\.)deepseek\.com$/, 'deepseek'],
  [/(^|\.)perplexity\.ai$/, 'perplexity'],
  [/(^|\.)x\.ai$/, 'x_ai'],
  [/^generativelanguage\.googleapis\.com$/, 'gcp.gemini'],
]

const tracer = trace.getTracer('pass-ats.llm')
const duration = histogram(METRICS.llmDuration)
const firstChunk = histogram(METRICS.llmFirstChunk)
const tokenUsage = histogram(METRICS.llmTokens)
const speed = histogram(METRICS.llmSpeed)

export class Llm {
  readonly #client: OpenAI
  readonly #options: LlmOptions
  readonly #turns: Turns
  readonly #breaker: Breaker

  constructor(options: LlmOptions, breaker: Breaker = createBreaker(LLM_BREAKER)) {
    this.#options = options
    this.#turns = new Turns(options)
    this.#breaker = breaker
    this.#client = new OpenAI({
      baseURL: options.baseUrl,
      apiKey: options.apiKey || 'none',
      // Left open, the client takes them from the environment.
      organization: null,
      project: null,
      // It would print what it cannot read: the answer.
      logLevel: 'off',
      // None of the client's own: it obeys a `Retry-After` of a minute while the person waits.
      maxRetries: 0,
    })
  }

  /**
   * Works with the model when its turn comes, within one deadline. `onQueued` hears how many runs wait before this one.
   * Throws Failure overloaded when too many do, interrupted, or what the work throws.
   */
  async converse<T>(
    work: (conversation: Conversation) => Promise<T>,
    signal: AbortSignal,
    onQueued?: (ahead: number) => void,
  ): Promise<T> {
    const talk = async () => {
      const patience = new Patience(this.#options, signal)
      try {
        return await work(new Conversation(this.#client, this.#options, this.#breaker, patience))
      } finally {
        patience.end()
      }
    }
    return this.#turns.run(talk, { signal, onQueued })
  }
}

/** One run's questions. */
export class Conversation {
  readonly #client: OpenAI
  readonly #options: LlmOptions
  readonly #breaker: Breaker
  readonly #patience: Patience
  /** Used so far, by the endpoint's word or, where it gives none that can be true, by estimate. */
  tokens = 0

  constructor(client: OpenAI, options: LlmOptions, breaker: Breaker, patience: Patience) {
    this.#client = client
    this.#options = options
    this.#breaker = breaker
    this.#patience = patience
  }

  /**
   * Asks for an answer of the given shape, up to three times. Neither the question nor the answer is recorded. Throws
   * Failure llm_unauthorized, llm_misconfigured, llm_rate_limited, llm_unavailable, llm_error, llm_timeout,
   * llm_refused, llm_invalid_output, request_too_large, or what the run is stopped with.
   */
  async ask<T extends z.ZodType>(question: Question<T>): Promise<z.infer<T>> {
    const { hostname, port, protocol } = new URL(this.#options.baseUrl)
    const attributes = {
      [ATTR_GEN_AI_OPERATION]: 'chat',
      [ATTR_GEN_AI_PROVIDER]: providerOf(this.#options.baseUrl),
      [ATTR_OPENAI_API_TYPE]: 'chat_completions',
      [ATTR_GEN_AI_REQUEST_MODEL]: this.#options.model,
      [ATTR_GEN_AI_REQUEST_MAX_TOKENS]: MAX_OUTPUT_TOKENS,
      [ATTR_GEN_AI_REQUEST_STREAM]: true,
      [ATTR_GEN_AI_OUTPUT_TYPE]: 'json',
      [ATTR_SERVER_ADDRESS]: hostname,
      [ATTR_SERVER_PORT]: Number(port) || (protocol === 'https:' ? 443 : 80),
      [ATTR_LLM_REPAIR]: question.turns.length > 1,
    }
    const chat = { kind: SpanKind.CLIENT, attributes }
    return tracer.startActiveSpan(`chat ${this.#options.model}`, chat, async (span) => {
      try {
        return await this.#persist(question, span)
      } catch (error) {
        const failure = failureOf(error)
        recordFailure(span, failure)
        throw failure
      } finally {
        span.end()
      }
    })
  }

  /** Until there is an answer, or asking again is of no use. */
  async #persist<T extends z.ZodType>(question: Question<T>, span: Span): Promise<z.infer<T>> {
    for (let attempt = 1; ; attempt++) {
      span.setAttribute(ATTR_LLM_RETRIES, attempt - 1)
      const { waitMs, done } = this.#breaker.enter()
      if (waitMs > 0) throw new Failure('llm_unavailable', { reason: 'resting' })
      const askedAt = performance.now()
      // Each request of its own: one that was refused and then answered is a refusal, too.
      const count = (code: FailureCode | '') =>
        duration.observe({ ...this.#labels(), error_type: code }, (performance.now() - askedAt) / 1_000)
      try {
        const answer = parseAnswer(await this.#stream(question, span), question.shape)
        done('answered')
        count('')
        return answer
      } catch (error) {
        const failure = this.#patience.verdict() ?? failureOf(error)
        done(outcomeOf(failure))
        count(failure.code)
        const wait = waitBefore(attempt, failure)
        if (wait === undefined) throw failure
        await delay(wait, undefined, { signal: this.#patience.signal }).catch(() => {
          throw this.#patience.verdict() ?? failure
        })
      }
    }
  }

  #labels() {
    return {
      gen_ai_operation_name: 'chat',
      gen_ai_provider_name: providerOf(this.#options.baseUrl),
      gen_ai_request_model: this.#options.model,
      synthetic: isSynthetic(),
    }
  }

  /** As the endpoint tells them, not as they are estimated. */
  #countTokens(used: Usage | undefined, writingMs: number): void {
    const labels = this.#labels()
    if (used?.input !== undefined) tokenUsage.observe({ ...labels, gen_ai_token_type: 'input' }, used.input)
    if (used?.output === undefined) return
    tokenUsage.observe({ ...labels, gen_ai_token_type: 'output' }, used.output)
    if (writingMs > 0) speed.observe(labels, used.output / (writingMs / 1_000))
  }

  #request({ system, turns, shape, shapeName }: Question): OpenAI.ChatCompletionCreateParamsStreaming {
    return {
      model: this.#options.model,
      messages: [{ role: 'system', content: system }, ...turns],
      max_completion_tokens: MAX_OUTPUT_TOKENS,
      response_format: {
        type: 'json_schema',
        json_schema: { name: shapeName, strict: true, schema: z.toJSONSchema(shape) },
      },
      stream: true,
      stream_options: { include_usage: true },
    }
  }

  async #stream(question: Question, span: Span): Promise<string> {
    // Session baggage is for our own services; the propagator would hand it to the provider too.
    const outgoing = propagation.deleteBaggage(context.active())
    const askedAt = performance.now()
    const request = this.#request(question)
    const promptLength = question.system.length + question.turns.reduce((sum, { content }) => sum + content.length, 0)
    let answer = ''
    let refused = false
    let heardAt: number | undefined
    let toldAt = askedAt
    let finishReason: string | undefined
    let used: Usage | undefined
    question.onText?.('')
    this.#patience.heard()
    try {
      const options = { signal: this.#patience.signal }
      const stream = await context.with(outgoing, () => this.#client.chat.completions.create(request, options))
      for await (const chunk of stream) {
        this.#patience.heard()
        if (heardAt === undefined) {
          heardAt = performance.now()
          firstChunk.observe(this.#labels(), (heardAt - askedAt) / 1_000)
          span.setAttribute(ATTR_GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, (heardAt - askedAt) / 1000)
          recordResponse(span, chunk)
        }
        const choice = chunk.choices?.[0]
        if (typeof choice?.delta?.content === 'string') answer += choice.delta.content
        refused ||= Boolean(choice?.delta?.refusal)
        finishReason = choice?.finish_reason ?? finishReason
        if (answer.length > MAX_ANSWER_CHARACTERS) throw new Failure('llm_invalid_output', { reason: 'too_long' })
        if (chunk.usage) used = recordUsage(span, chunk.usage, promptLength, MAX_OUTPUT_TOKENS)
        if (performance.now() - toldAt >= TELL_MS) {
          toldAt = performance.now()
          question.onText?.(answer)
        }
      }
    } finally {
      this.#patience.rest()
      this.#countTokens(used, heardAt === undefined ? 0 : performance.now() - heardAt)
      // Also of an answer that was cut off, or that nobody waited for: it is paid for.
      if (heardAt !== undefined || this.#patience.verdict()?.isStop)
        this.tokens += used?.total ?? tokensIn(promptLength + answer.length)
      if (isName(finishReason)) span.setAttribute(ATTR_GEN_AI_RESPONSE_FINISH_REASONS, [finishReason])
    }
    // An abort ends the iteration without throwing, so a half answer looks like a whole one here.
    const verdict = this.#patience.verdict()
    if (verdict) throw verdict
    if (heardAt === undefined) throw new Failure('llm_invalid_output', { reason: 'not_a_stream' })
    if (finishReason === 'content_filter') throw new Failure('llm_refused', { reason: 'content_filter' })
    if (refused) throw new Failure('llm_refused', { reason: 'refusal' })
    if (finishReason === 'length') throw new Failure('llm_invalid_output', { reason: 'length' })
    if (finishReason !== 'stop') throw new Failure('llm_invalid_output', { reason: 'cut_off' })
    return answer
  }
}

function providerOf(baseUrl: string): string {
  const { hostname } = new URL(baseUrl)
  return PROVIDERS.find(([host]) => host.test(hostname))?.[1] ?? 'openai'
}

function parseAnswer<T extends z.ZodType>(answer: string, shape: T): z.infer<T> {
  let json: unknown
  try {
    json = JSON.parse(answer)
  } catch (cause) {
    throw new Failure('llm_invalid_output', { reason: 'not_json', cause })
  }
  const parsed = shape.safeParse(json)
  if (!parsed.success) throw new Failure('llm_invalid_output', { reason: 'wrong_shape', cause: parsed.error })
  return parsed.data
}

/** IDs and names that an endpoint gives go into telemetry, so they must look like such. */
const isName = (value: unknown): value is string => typeof value === 'string' && /^[\w.:/@-]{1,100}$/.test(value)

function recordResponse(span: Span, { id, model, service_tier, system_fingerprint }: OpenAI.ChatCompletionChunk): void {
  if (isName(id)) span.setAttribute(ATTR_GEN_AI_RESPONSE_ID, id)
  if (isName(model)) span.setAttribute(ATTR_GEN_AI_RESPONSE_MODEL, model)
  if (isName(service_tier)) span.setAttribute(ATTR_OPENAI_RESPONSE_SERVICE_TIER, service_tier)
  if (isName(system_fingerprint)) span.setAttribute(ATTR_OPENAI_RESPONSE_SYSTEM_FINGERPRINT, system_fingerprint)
}
