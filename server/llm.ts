/** One streamed, structured answer from any OpenAI-compatible endpoint, with its GenAI span. */

import { setTimeout as delay } from 'node:timers/promises'
import { context, propagation, type Span, SpanKind, trace } from '@opentelemetry/api'
import OpenAI from 'openai'
import { z } from 'zod'
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
  ATTR_GEN_AI_USAGE_INPUT_TOKENS,
  ATTR_GEN_AI_USAGE_OUTPUT_TOKENS,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
} from '../names.ts'
import { Failure } from './failure.ts'
import { recordFailure } from './span-failure.ts'

export interface LlmOptions {
  /** Up to and including the version, e.g. `https://api.openai.com/v1`. */
  baseUrl: string
  /** Sent as a bearer token; '' for endpoints that want none. */
  apiKey: string
  model: string
  /** Longest time for one answer, milliseconds. */
  timeoutMs: number
  /** Longest silence within an answer, milliseconds. */
  idleTimeoutMs: number
}

/** What is asked, and the shape the answer must have. */
export interface Question<T extends z.ZodType = z.ZodType> {
  system: string
  user: string
  shape: T
  /** Name of the shape, as the endpoint wants one. */
  shapeName: string
}

/** Longest answer accepted, tokens asked for and characters read. */
const MAX_OUTPUT_TOKENS = 6_000
const MAX_ANSWER_CHARACTERS = 200_000
const RETRY_WAIT_MS = 1_000

const tracer = trace.getTracer('pass-ats.llm')

export class Llm {
  readonly #client: OpenAI
  readonly #options: LlmOptions

  constructor(options: LlmOptions) {
    this.#options = options
    // No retries of the client's own: it obeys a `Retry-After` of a minute while the person waits.
    this.#client = new OpenAI({ baseURL: options.baseUrl, apiKey: options.apiKey || 'none', maxRetries: 0 })
  }

  /**
   * Asks for an answer of the given shape. Neither the prompt nor the answer is recorded.
   * Throws Failure llm_unauthorized, llm_rate_limited, llm_error, llm_timeout, llm_invalid_output or interrupted.
   */
  async ask<T extends z.ZodType>(question: Question<T>, signal: AbortSignal): Promise<z.infer<T>> {
    const { hostname, port, protocol } = new URL(this.#options.baseUrl)
    const attributes = {
      [ATTR_GEN_AI_OPERATION]: 'chat',
      [ATTR_GEN_AI_PROVIDER]: 'openai',
      [ATTR_GEN_AI_REQUEST_MODEL]: this.#options.model,
      [ATTR_GEN_AI_REQUEST_MAX_TOKENS]: MAX_OUTPUT_TOKENS,
      [ATTR_GEN_AI_REQUEST_STREAM]: true,
      [ATTR_GEN_AI_OUTPUT_TYPE]: 'json',
      [ATTR_SERVER_ADDRESS]: hostname,
      [ATTR_SERVER_PORT]: Number(port) || (protocol === 'https:' ? 443 : 80),
    }
    return tracer.startActiveSpan(
      `chat ${this.#options.model}`,
      { kind: SpanKind.CLIENT, attributes },
      async (span) => {
        try {
          const answer = await this.#stream(question, signal, span)
          return parseAnswer(answer, question.shape)
        } catch (error) {
          const failure = toFailure(error)
          recordFailure(span, failure, errorType(error, failure))
          throw failure
        } finally {
          span.end()
        }
      },
    )
  }

  #request({ system, user, shape, shapeName }: Question): OpenAI.ChatCompletionCreateParamsStreaming {
    return {
      model: this.#options.model,
      messages: [
        { role: 'system', content: system },
        { role: 'user', content: user },
      ],
      max_completion_tokens: MAX_OUTPUT_TOKENS,
      response_format: {
        type: 'json_schema',
        json_schema: { name: shapeName, strict: true, schema: z.toJSONSchema(shape) },
      },
      stream: true,
      stream_options: { include_usage: true },
    }
  }

  async #stream(question: Question, signal: AbortSignal, span: Span): Promise<string> {
    const patience = new Patience(this.#options, signal)
    // Session baggage is for our own services; the propagator would hand it to the provider too.
    const outgoing = propagation.deleteBaggage(context.active())
    const askedAt = performance.now()
    const request = this.#request(question)
    let answer = ''
    let finishReason: string | null = null
    try {
      const ask = () =>
        context.with(outgoing, () => this.#client.chat.completions.create(request, { signal: patience.signal }))
      const stream = await ask().catch(async (error: unknown) => {
        const wait = patienceFor(error)
        if (wait === undefined) throw error
        await delay(wait, undefined, { signal: patience.signal })
        return ask()
      })
      let first = true
      for await (const chunk of stream) {
        patience.heard()
        if (first) {
          first = false
          span.setAttributes({
            [ATTR_GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK]: (performance.now() - askedAt) / 1000,
            [ATTR_GEN_AI_RESPONSE_ID]: chunk.id ?? '',
            [ATTR_GEN_AI_RESPONSE_MODEL]: chunk.model ?? '',
          })
        }
        const choice = chunk.choices?.[0]
        answer += choice?.delta?.content ?? ''
        finishReason = choice?.finish_reason ?? finishReason
        if (answer.length > MAX_ANSWER_CHARACTERS) throw new Failure('llm_invalid_output')
        if (chunk.usage) {
          span.setAttributes({
            [ATTR_GEN_AI_USAGE_INPUT_TOKENS]: chunk.usage.prompt_tokens,
            [ATTR_GEN_AI_USAGE_OUTPUT_TOKENS]: chunk.usage.completion_tokens,
          })
        }
      }
    } catch (error) {
      throw patience.verdict() ?? error
    } finally {
      patience.end()
    }
    // An abort ends the iteration without throwing, so a half answer looks like a whole one here.
    const verdict = patience.verdict()
    if (verdict) throw verdict
    if (finishReason) span.setAttribute(ATTR_GEN_AI_RESPONSE_FINISH_REASONS, [finishReason])
    if (finishReason !== 'stop') throw new Failure('llm_invalid_output')
    return answer
  }
}

/** Watches the clock over one answer: all of it, and every silence in it. The client's own time-out sees neither. */
class Patience {
  readonly signal: AbortSignal
  readonly #idle = new AbortController()
  readonly #deadline: AbortSignal
  readonly #caller: AbortSignal
  readonly #idleTimeoutMs: number
  #timer: NodeJS.Timeout

  constructor(options: LlmOptions, caller: AbortSignal) {
    this.#idleTimeoutMs = options.idleTimeoutMs
    this.#caller = caller
    this.#deadline = AbortSignal.timeout(options.timeoutMs)
    this.signal = AbortSignal.any([caller, this.#deadline, this.#idle.signal])
    this.#timer = this.#wait()
  }

  #wait() {
    return setTimeout(() => this.#idle.abort(), this.#idleTimeoutMs)
  }

  heard() {
    clearTimeout(this.#timer)
    this.#timer = this.#wait()
  }

  end() {
    clearTimeout(this.#timer)
  }

  /** Why it was cut short, if it was. */
  verdict(): Failure | undefined {
    if (this.#caller.aborted) return Failure.ofAbort(this.#caller)
    if (this.#deadline.aborted || this.#idle.signal.aborted) return new Failure('llm_timeout')
    return undefined
  }
}

/** The one wait that a struggling endpoint gets, milliseconds; undefined for what a second try would not mend. */
function patienceFor(error: unknown): number | undefined {
  if (!(error instanceof OpenAI.APIError) || error instanceof OpenAI.APIUserAbortError) return undefined
  const worthwhile = error.status === undefined || error.status === 429 || error.status >= 500
  const after = Number(error.headers?.get('retry-after') ?? 0) * 1000
  // The person is waiting: asked for more than a second, or for a date, we say so instead.
  return worthwhile && after <= RETRY_WAIT_MS ? Math.max(after, RETRY_WAIT_MS / 2) : undefined
}

function parseAnswer<T extends z.ZodType>(answer: string, shape: T): z.infer<T> {
  let json: unknown
  try {
    json = JSON.parse(answer)
  } catch (cause) {
    throw new Failure('llm_invalid_output', { cause })
  }
  const parsed = shape.safeParse(json)
  if (!parsed.success) throw new Failure('llm_invalid_output', { cause: parsed.error })
  return parsed.data
}

function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (error instanceof OpenAI.APIConnectionTimeoutError) return new Failure('llm_timeout', { cause: error })
  if (error instanceof OpenAI.AuthenticationError || error instanceof OpenAI.PermissionDeniedError) {
    return new Failure('llm_unauthorized', { cause: error })
  }
  if (error instanceof OpenAI.RateLimitError) return new Failure('llm_rate_limited', { cause: error })
  // What is left of the stream's own complaints: a body that is not an event stream, or not JSON in its events.
  if (error instanceof SyntaxError) return new Failure('llm_invalid_output', { cause: error })
  return new Failure('llm_error', { cause: error })
}

/** The GenAI conventions want the provider's status or our own class: low in cardinality, never a message. */
function errorType(error: unknown, failure: Failure): string {
  return error instanceof OpenAI.APIError && error.status ? String(error.status) : failure.code
}
