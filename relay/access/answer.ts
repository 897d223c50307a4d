/** A refusal as HTTP: RFC 6750 for tokens, RateLimit fields for quotas, google.rpc.Status where spans are sent. */
import { context, trace } from '@opentelemetry/api'
import { getRPCMetadata } from '@opentelemetry/core'
import type { Context } from 'hono'
import { routeOf } from '../../http-metrics.ts'
import { ATTR_ERROR_TYPE, ATTR_FAILURE_CODE } from '../../names.ts'
import { FAILURES } from '../../server/contract.ts'
import { answerStatus, isExport } from '../rpc-status.ts'
import type { Exceeded } from './quotas.ts'
import { REFUSALS, type Refused } from './refusal.ts'

export function answerRefusal(c: Context, refused: Refused): Response {
  const { reason, exceeded, message } = refused
  const { status } = REFUSALS[reason]
  const advice = exceeded && `Nothing is lost. Try again in ${inWords(exceeded.retryAfterS)}.`
  // A quota is a failure that people are told of; who has no token is a program, and gets the reason as its code.
  const code = exceeded ? 'rate_limited' : reason
  record(c, reason, exceeded !== undefined)

  if (exceeded) for (const [name, value] of Object.entries(limitHeaders(exceeded))) c.header(name, value)
  if (status === 401) c.header('www-authenticate', challenge(refused))
  if (isExport(c)) return answerStatus(c, status, [`${reason}:`, message, advice].filter(Boolean).join(' '))
  const told = exceeded ? { message: FAILURES.rate_limited.message, advice, reason } : { message }
  return c.json({ error: { code, ...told } }, status)
}

/** On the span of a proxied request. It was turned away before its route could name it. */
function record(c: Context, reason: string, isFailure: boolean): void {
  const metadata = getRPCMetadata(context.active())
  const route = routeOf(c)
  if (metadata && route) metadata.route = route
  const attributes = { [ATTR_ERROR_TYPE]: reason, ...(isFailure ? { [ATTR_FAILURE_CODE]: 'rate_limited' } : {}) }
  trace.getActiveSpan()?.setAttributes(attributes)
}

/** RFC 6750, section 3: who shows nothing is told no error. */
function challenge({ reason, message }: Refused): string {
  if (reason === 'token_missing') return 'Bearer realm="pass-ats"'
  return `Bearer realm="pass-ats", error="invalid_token", error_description="${reason}: ${message.replaceAll('"', "'")}"`
}

/** draft-ietf-httpapi-ratelimit-headers-10, and RFC 9110 for who does not know it. */
function limitHeaders({ level, unit, limit, left, retryAfterS }: Exceeded): Record<string, string> {
  const policy = `"${level}-${unit}"`
  // Requests are the unit when none is said, and all but these two are requests.
  const quotaUnit = { bytes: ';qu="content-bytes"', spans: ';qu="spans"' }[unit as string] ?? ''
  return {
    'retry-after': String(retryAfterS),
    'ratelimit-policy': `${policy};q=${limit};w=3600${quotaUnit}`,
    ratelimit: `${policy};r=${left};t=${retryAfterS}`,
  }
}

function inWords(seconds: number): string {
  if (seconds < 90) return 'a minute'
  return `${Math.ceil(seconds / 60)} minutes`
}
