/** The page a person is looking at, asked for its posting. */

import { type Span, SpanKind } from '@opentelemetry/api'
import browser from 'webextension-polyfill'
import { ATTR_RPC_METHOD, ATTR_RPC_SYSTEM, RPC_EXTRACT_POSTING, RPC_SYSTEM } from '../names.ts'
import type { Posting } from '../server/request-contract.ts'
import contentScript from './content.ts?script&iife'
import lastResort from './last-resort.ts?script&iife'
import type { ExtractPostingMessage, PostingExtracted } from './messages.ts'
import { RunFailure } from './run-failure.ts'
import { markFailed, type Tracer, traceparentOf } from './tracer/tracer.ts'

/** Longest wait for the page's answer. Reading the largest of pages takes a second. */
const EXTRACT_MS = 20_000

/** Asks the page for its posting. Throws RunFailure page_unreadable, page_interrupted or posting_not_found. */
export async function askForPosting(tracer: Tracer, root: Span, tabId: number): Promise<Posting> {
  const call = tracer.start(RPC_EXTRACT_POSTING, root, {
    kind: SpanKind.CLIENT,
    attributes: { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_EXTRACT_POSTING },
  })
  try {
    const { posting, spans } = await askTab(tabId, {
      type: RPC_EXTRACT_POSTING,
      payload: {},
      traceparent: traceparentOf(call),
    })
    tracer.adopt(spans, call.spanContext().traceId)
    if (!posting) throw RunFailure.of('posting_not_found')
    return posting
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(call, failure)
    throw failure
  } finally {
    call.end()
  }
}

async function askTab(tabId: number, message: ExtractPostingMessage): Promise<PostingExtracted> {
  const answer = injectAndAsk(tabId, message)
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(RunFailure.of('page_interrupted')), EXTRACT_MS)
    answer.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  })
  return Promise.race([answer, late])
}

/** Asks at most twice: the page's first answer may be that it takes the last resort, which pages do not get unasked. */
async function injectAndAsk(tabId: number, message: ExtractPostingMessage): Promise<PostingExtracted> {
  await inject(tabId, contentScript)
  const first = await ask(tabId, message)
  if (!first.tried) return first
  await inject(tabId, lastResort)
  return ask(tabId, { ...message, payload: { tried: first.tried } })
}

async function inject(tabId: number, file: string): Promise<void> {
  try {
    // At once: the person sees the posting, and a page may wait for ever for a script that does not come.
    await browser.scripting.executeScript({ target: { tabId }, files: [file], injectImmediately: true })
  } catch (cause) {
    // The browser's own pages, its store, other extensions' pages: closed to us, and rightly.
    const gone = cause instanceof Error && /No tab with id|removed|closed|navigat/i.test(cause.message)
    throw RunFailure.of(gone ? 'page_interrupted' : 'page_unreadable', cause)
  }
}

async function ask(tabId: number, message: ExtractPostingMessage): Promise<PostingExtracted> {
  try {
    const answer = await browser.tabs.sendMessage<ExtractPostingMessage, PostingExtracted | undefined>(tabId, message)
    // A listener that is gone before it has answered does not always count as an error.
    if (answer) return answer
  } catch (cause) {
    throw RunFailure.of('page_interrupted', cause)
  }
  throw RunFailure.of('page_interrupted')
}
