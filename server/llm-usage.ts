/** What an answer has used, as the endpoint tells it, where that can be true. */

import type { Span } from '@opentelemetry/api'
import {
  ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
  ATTR_GEN_AI_USAGE_INPUT_TOKENS,
  ATTR_GEN_AI_USAGE_OUTPUT_TOKENS,
  ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
} from '../names.ts'

/** Characters of a token in a language that takes many: an estimate that is rather too high. */
const CHARACTERS_PER_TOKEN = 3

export const tokensIn = (characters: number): number => Math.ceil(characters / CHARACTERS_PER_TOKEN)

interface Told {
  prompt_tokens?: unknown
  completion_tokens?: unknown
  prompt_tokens_details?: { cached_tokens?: unknown } | null
  completion_tokens_details?: { reasoning_tokens?: unknown } | null
}

/** What was read and written, as far as it is told; `total` where both are. */
export interface Usage {
  input: number | undefined
  output: number | undefined
  total: number | undefined
}

/**
 * Puts the usage on the span. What is missing, negative, no whole number, or more than
 * could be is left off the span, and undefined, so that the caller estimates.
 */
export function recordUsage(span: Span, told: Told | null | undefined, prompt: number, maxOutput: number): Usage {
  // A character can be several tokens, but not many; endpoints may think a little longer than they were allowed.
  const input = countUpTo(told?.prompt_tokens, prompt * 4 + 1_000)
  const output = countUpTo(told?.completion_tokens, maxOutput * 4)
  const cached = countUpTo(told?.prompt_tokens_details?.cached_tokens, input ?? 0)
  const reasoning = countUpTo(told?.completion_tokens_details?.reasoning_tokens, output ?? 0)
  if (input !== undefined) span.setAttribute(ATTR_GEN_AI_USAGE_INPUT_TOKENS, input)
  if (output !== undefined) span.setAttribute(ATTR_GEN_AI_USAGE_OUTPUT_TOKENS, output)
  if (cached !== undefined) span.setAttribute(ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, cached)
  if (reasoning !== undefined) span.setAttribute(ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, reasoning)
  return { input, output, total: input === undefined || output === undefined ? undefined : input + output }
}

function countUpTo(value: unknown, most: number): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most
    ? (value as number)
    : undefined
}
