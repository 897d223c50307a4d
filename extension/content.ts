/**
 * Reads the posting when background asks. Runs in the page's process, so it is small, keeps nothing, exports nothing,
 * and takes its context from the extension's own message: never from the page.
 */

import browser from 'webextension-polyfill'
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
import { readPosting } from './extract/strategies.ts'
import type { ExtractPostingMessage, PostingExtracted } from './messages.ts'
import { type HopSpan, parseTraceparent, randomSpanId } from './tracer/envelope.ts'

const INSTALLED = Symbol.for('pass-ats.content')
const world = globalThis as { [INSTALLED]?: true }

// Every run injects this file; a second listener would do the work twice.
if (!world[INSTALLED]) {
  world[INSTALLED] = true
  browser.runtime.onMessage.addListener((message: unknown, sender: browser.Runtime.MessageSender) => {
    const { type, traceparent } = message as ExtractPostingMessage
    if (type !== RPC_EXTRACT_POSTING || sender.id !== browser.runtime.id) return
    return Promise.resolve(extract(traceparent))
  })
}

function extract(traceparent: string | undefined): PostingExtracted {
  // The wall clock once, then the monotonic one: spans never run backwards.
  const origin = Date.now() - performance.now()
  const now = () => origin + performance.now()
  const startTime = now()
  const { posting, attempts } = readPosting(
    { document, url: new URL(location.href), selection: getSelection()?.toString() ?? '' },
    now,
  )
  const parent = parseTraceparent(traceparent)
  if (!parent) return { spans: [], ...(posting ? { posting } : {}) }

  const failed = posting ? {} : { errorType: 'posting_not_found' }
  const served: HopSpan = {
    name: RPC_EXTRACT_POSTING,
    spanId: randomSpanId(),
    parentSpanId: parent.spanId,
    kind: 'server',
    startTime,
    endTime: now(),
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
  return { spans: [served, stage, ...tried], ...(posting ? { posting } : {}) }
}
