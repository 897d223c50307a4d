/** The spans of an extraction, made by background of the times that the content script took. */

import { type Span, SpanKind } from '@opentelemetry/api'
import {
  ATTR_EXTRACT_GAVE_UP,
  ATTR_POSTING_HOST,
  ATTR_POSTING_LENGTH,
  ATTR_POSTING_SOURCE,
  ATTR_RPC_METHOD,
  ATTR_RPC_SYSTEM,
  ATTR_STAGE,
  RPC_EXTRACT_POSTING,
  RPC_SYSTEM,
  SPAN_EXTRACT,
  SPAN_EXTRACT_STRATEGY,
} from '../names.ts'
import type { Posting } from '../server/request-contract.ts'
import type { Attempt, Attempted } from './attempts.ts'
import { RunFailure } from './run-failure.ts'
import { markFailed, type Tracer } from './tracer/tracer.ts'

/** More than there are strategies, twice over. */
const MAX_ATTEMPTS = 32
/** More than background waits for the page. */
const MAX_MS = 60_000
/** Two processes read the clock a little apart. */
const CLOCK_MS = 1_000
/** Of strategies, and of their reasons to give up. */
const CODE = /^[a-z][a-z_-]{0,31}$/
const HOST = /^[a-z0-9.-]{1,253}$/

/** Whether it can be the code of a strategy, and nothing that a page has written. */
export function isCode(text: string): boolean {
  return CODE.test(text)
}

/** What the content script's answers come to, of one message or two. */
export interface Extracted {
  posting?: Posting
  /** Host name of the page. */
  host: string
  attempted: Attempted[]
}

/**
 * Records, under the `call`, the message as it was served, the stage, and the strategies that were tried. A content
 * script shares its process with the page, so what it says is held against what it can have seen, and the rest dropped.
 * `askedAt` in epoch milliseconds.
 */
export function recordExtraction(
  tracer: Tracer,
  call: Span,
  askedAt: number,
  { posting, host, attempted }: Extracted,
): void {
  const isNow = ({ startTime }: Attempted) => startTime > askedAt - CLOCK_MS && startTime < Date.now() + CLOCK_MS
  const tries = attempted.filter(isNow).flatMap(triesOf)
  const [first, last] = [tries[0], tries.at(-1)]
  if (!first || !last) return
  const served = tracer.start(RPC_EXTRACT_POSTING, call, {
    kind: SpanKind.SERVER,
    startTime: first.startTime,
    attributes: { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_EXTRACT_POSTING },
  })
  const stage = tracer.start(SPAN_EXTRACT, served, {
    startTime: first.startTime,
    attributes: {
      [ATTR_STAGE]: 'extract',
      ...(HOST.test(host) ? { [ATTR_POSTING_HOST]: host } : {}),
      ...(posting ? { [ATTR_POSTING_SOURCE]: posting.source, [ATTR_POSTING_LENGTH]: posting.description.length } : {}),
    },
  })
  for (const { source, gaveUp, startTime, endTime } of tries) {
    if (!CODE.test(source) || !CODE.test(gaveUp ?? 'read')) continue
    const attributes = { [ATTR_POSTING_SOURCE]: source, ...(gaveUp ? { [ATTR_EXTRACT_GAVE_UP]: gaveUp } : {}) }
    tracer.start(SPAN_EXTRACT_STRATEGY, stage, { startTime, attributes }).end(endTime)
  }
  for (const span of [stage, served]) {
    if (!posting) markFailed(span, RunFailure.of('posting_not_found'))
    span.end(last.endTime)
  }
}

/** Each with its times, in epoch milliseconds. */
function triesOf({ startTime, attempts }: Attempted): (Attempt & { startTime: number; endTime: number })[] {
  let endTime = startTime
  return attempts
    .slice(0, MAX_ATTEMPTS)
    .filter(({ took }) => took >= 0 && took < MAX_MS)
    .map((attempt) => {
      const began = endTime
      endTime += attempt.took
      return { ...attempt, startTime: began, endTime }
    })
}
