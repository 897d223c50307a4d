/**
 * What the content script carries for telemetry: plain records, because pages are not made to carry an SDK. All but the
 * times of the tries is here, so that `npm run bench -- size` can build the content script with this file and without.
 */

import {
  ATTR_EXTRACT_GAVE_UP,
  ATTR_FAILURE_CODE,
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
import type { Reading } from './extract/strategies.ts'
import { type HopSpan, parseTraceparent, randomSpanId } from './tracer/envelope.ts'

/**
 * The spans of an extraction from `startTime` to `endTime` (epoch milliseconds): the call as it was served, the stage,
 * and the strategies that were tried. None without a valid `traceparent`.
 */
export function extractionSpans(
  traceparent: string | undefined,
  { posting, attempts }: Reading,
  startTime: number,
  endTime: number,
): HopSpan[] {
  const parent = parseTraceparent(traceparent)
  if (!parent) return []

  const failed = posting ? {} : { errorType: 'posting_not_found' }
  const served: HopSpan = {
    name: RPC_EXTRACT_POSTING,
    spanId: randomSpanId(),
    parentSpanId: parent.spanId,
    kind: 'server',
    startTime,
    endTime,
    attributes: { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_EXTRACT_POSTING },
    ...failed,
  }
  const stage: HopSpan = {
    ...served,
    name: SPAN_EXTRACT,
    spanId: randomSpanId(),
    parentSpanId: served.spanId,
    kind: 'internal',
    attributes: {
      [ATTR_STAGE]: 'extract',
      [ATTR_POSTING_HOST]: location.hostname,
      ...(posting
        ? { [ATTR_POSTING_SOURCE]: posting.source, [ATTR_POSTING_LENGTH]: posting.description.length }
        : { [ATTR_FAILURE_CODE]: 'posting_not_found' }),
    },
  }
  const tried = attempts
    // Seven of nine look at the host name and leave: a span for each would bury the two that worked.
    .filter(({ gaveUp }) => gaveUp !== 'other_site')
    .map(
      ({ source, gaveUp, ...times }): HopSpan => ({
        name: SPAN_EXTRACT_STRATEGY,
        spanId: randomSpanId(),
        parentSpanId: stage.spanId,
        kind: 'internal',
        ...times,
        attributes: { [ATTR_POSTING_SOURCE]: source, ...(gaveUp ? { [ATTR_EXTRACT_GAVE_UP]: gaveUp } : {}) },
      }),
    )
  return [served, stage, ...tried]
}
