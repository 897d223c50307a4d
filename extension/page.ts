/** The page a person is looking at, asked for its posting. */

import { type Span, SpanKind } from '@opentelemetry/api'
import browser from 'webextension-polyfill'
import { ATTR_RPC_METHOD, ATTR_RPC_SYSTEM, RPC_EXTRACT_POSTING, RPC_SYSTEM } from '../names.ts'
import type { Posting } from '../server/request-contract.ts'
import contentScript from './content.ts?script&iife'
import { type Extracted, isCode, recordExtraction } from './extraction-spans.ts'
import lastResort from './last-resort.ts?script&iife'
import type { ExtractPosting, ExtractPostingMessage, PostingExtracted } from './messages.ts'
import { RunFailure } from './run-failure.ts'
import { markFailed, type Tracer } from './tracer/tracer.ts'

/** Longest wait for the page's answer. Reading the largest of pages takes a second. */
const EXTRACT_MS = 20_000

/**
 * Asks the page for its posting. Throws RunFailure page_unreadable, page_interrupted, posting_not_found, or what the
 * signal was aborted with.
 */
export async function askForPosting(tracer: Tracer, root: Span, tabId: number, signal: AbortSignal): Promise<Posting> {
  const call = tracer.start(RPC_EXTRACT_POSTING, root, {
    kind: SpanKind.CLIENT,
    attributes: { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_EXTRACT_POSTING },
  })
  try {
    const askedAt = Date.now()
    const extracted = await askTab(tabId, signal)
    const { posting } = extracted
    if (posting && !isCode(posting.source)) throw RunFailure.of('page_interrupted')
    recordExtraction(tracer, call, askedAt, extracted)
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

async function askTab(tabId: number, signal: AbortSignal): Promise<Extracted> {
  const answer = injectAndAsk(tabId)
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(RunFailure.of('page_interrupted')), EXTRACT_MS)
    signal.addEventListener('abort', () => reject(RunFailure.ofAbort(signal)), { once: true })
    answer.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  })
  return Promise.race([answer, late])
}

/** Asks at most twice: the last resort is a file of its own, which pages do not get without need. */
async function injectAndAsk(tabId: number): Promise<Extracted> {
  await inject(tabId, contentScript)
  const first = await ask(tabId, { lastResort: false })
  if (first.posting) return { ...first, attempted: [first.attempted] }
  await inject(tabId, lastResort)
  const second = await ask(tabId, { lastResort: true })
  return { ...second, attempted: [first.attempted, second.attempted] }
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

async function ask(tabId: number, payload: ExtractPosting): Promise<PostingExtracted> {
  const message: ExtractPostingMessage = { type: RPC_EXTRACT_POSTING, payload }
  try {
    const answer = await browser.tabs.sendMessage<ExtractPostingMessage, PostingExtracted | undefined>(tabId, message)
    // A listener that is gone before it has answered does not always count as an error.
    if (answer) return answer
  } catch (cause) {
    throw RunFailure.of('page_interrupted', cause)
  }
  throw RunFailure.of('page_interrupted')
}
