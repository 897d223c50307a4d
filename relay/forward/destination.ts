/** One OTLP/HTTP request to the backend behind this relay, and what its answer means. */
import { promisify } from 'node:util'
import { gunzipSync, type InputType, gzip as zlibGzip } from 'node:zlib'
import { context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { METRICS } from '../../metric-names.ts'
import { histogram } from '../../metrics.ts'
import { readBounded } from '../bounded-body.ts'
import type { ForwardConfig } from '../config.ts'
import { CONTENT_TYPES, decodeResponse, type Encoding } from '../otlp.ts'

/**
 * Says which relay forwards, so that it knows its own requests when they come back to it by another name or through a
 * proxy. A circle of several relays is not found by it: each sends its own.
 */
export const INSTANCE_HEADER = 'pass-ats-relay'
/** The longest Retry-After that is believed. */
const MAX_RETRY_AFTER_MS = 5 * 60_000
/** How much of an answer is read, bytes. */
const MAX_ANSWER_BYTES = 64 * 1024
/** How much of a refusal is remembered, characters. */
const MAX_REASON = 500
/**
 * Refusals that say nothing about what was sent: of who asks, of where, of when. Tried again, although OTLP would let
 * it go: a key that has expired must not turn a day of traces into dead letters.
 */
const NOT_ABOUT_THE_BODY = new Set([401, 402, 403, 404, 405, 407, 408, 421, 423, 425, 429])

export type Outcome =
  | { kind: 'taken'; rejected: number }
  | { kind: 'refused'; status: number; reason: string }
  | { kind: 'failed'; why: string; status?: number; afterMs?: number }

/** Sends one body; `gzipped` says that it is compressed already. Never throws. */
export type Send = (body: Uint8Array, encoding: Encoding, gzipped?: boolean) => Promise<Outcome>

const duration = histogram(METRICS.exportDuration)
const gzip: (body: InputType) => Promise<Buffer> = promisify(zlibGzip)

/** `instanceId` is who sends; `halt` ends what is under way. */
export function createSend(config: ForwardConfig, instanceId: string, halt: AbortSignal, now = Date.now): Send {
  const { url, headers, timeoutMs } = config
  const packed = async (body: Uint8Array, isGzipped: boolean) => {
    if (isGzipped === config.gzipped) return body
    return isGzipped ? gunzipSync(body) : await gzip(body)
  }
  const send: Send = (body, encoding, isGzipped = false) =>
    // Suppressed: a span about forwarding spans would be stored and forwarded, for ever.
    context.with(suppressTracing(context.active()), async (): Promise<Outcome> => {
      try {
        const response = await fetch(url, {
          method: 'POST',
          headers: {
            ...headers,
            'content-type': CONTENT_TYPES[encoding],
            ...(config.gzipped ? { 'content-encoding': 'gzip' } : {}),
            [INSTANCE_HEADER]: instanceId,
          },
          body: new Uint8Array(await packed(body, isGzipped)),
          // A redirect would take the headers, keys among them, to somebody else.
          redirect: 'manual',
          signal: AbortSignal.any([halt, AbortSignal.timeout(timeoutMs)]),
        })
        const { status } = response
        if (response.ok) return { kind: 'taken', rejected: await rejectedIn(response, encoding) }
        if (status < 400 || status >= 500 || NOT_ABOUT_THE_BODY.has(status)) {
          await response.body?.cancel()
          return { kind: 'failed', why: String(status), status, afterMs: retryAfter(response, now()) }
        }
        return { kind: 'refused', status, reason: await beginning(response) }
      } catch (error) {
        return { kind: 'failed', why: reasonOf(error) }
      }
    })

  return async (body, encoding, isGzipped) => {
    const beganAt = performance.now()
    const outcome = await send(body, encoding, isGzipped)
    duration.observe({ outcome: outcome.kind }, (performance.now() - beganAt) / 1_000)
    return outcome
  }
}

/** `ECONNREFUSED`, `TimeoutError`: what fetch has wrapped says more than its own name, and no address. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause } = error
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.name
}

/** Of an answer that is cut off or too long, nothing is known but that it was a success. */
async function rejectedIn(response: Response, encoding: Encoding): Promise<number> {
  try {
    return decodeResponse(await readBounded(response, MAX_ANSWER_BYTES), encoding).rejected
  } catch {
    return 0
  }
}

/** The first characters of an answer. A `google.rpc.Status` in protobuf is readable enough. */
async function beginning(response: Response): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length >= MAX_REASON) break
  }
  return text
    .replace(/[^\P{C}\n]/gu, '')
    .slice(0, MAX_REASON)
    .trim()
}

/** Milliseconds of a Retry-After header, in seconds or as a date; undefined when there is none. */
function retryAfter(response: Response, nowMs: number): number | undefined {
  const value = response.headers.get('retry-after')
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}
