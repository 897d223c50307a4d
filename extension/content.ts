/**
 * Reads the posting when background asks. Runs in the page's process, so it is small, keeps nothing, exports nothing,
 * and takes its context from the extension's own message: never from the page.
 */

import { RPC_EXTRACT_POSTING } from '../names.ts'
import { LAST_RESORT, type Page, type Strategy } from './extract/posting.ts'
import { readPosting, STRATEGIES } from './extract/strategies.ts'
import { extractionSpans } from './extraction-spans.ts'
import type { ExtractPostingMessage, PostingExtracted } from './messages.ts'

const INSTALLED = Symbol.for('pass-ats.content')
const world = globalThis as { [INSTALLED]?: true; [LAST_RESORT]?: Strategy }

// Every run injects this file; a second listener would do the work twice.
if (!world[INSTALLED]) {
  world[INSTALLED] = true
  // `respond`, not a promise: the answer is there at once, and every browser understands this form without
  // webextension-polyfill, which would be a fifth of what a page has to carry.
  chrome.runtime.onMessage.addListener((message: ExtractPostingMessage, sender, respond) => {
    if (message.type === RPC_EXTRACT_POSTING && sender.id === chrome.runtime.id) respond(extract(message))
  })
}

function extract({ payload: { tried }, traceparent }: ExtractPostingMessage): PostingExtracted {
  // The wall clock once, then the monotonic one: spans never run backwards.
  const origin = Date.now() - performance.now()
  const now = () => origin + performance.now()
  const startTime = tried?.startTime ?? now()
  const page: Page = { document, url: new URL(location.href), selection: getSelection()?.toString() ?? '' }
  const lastResort = world[LAST_RESORT]
  const strategies = [...(tried ? [] : STRATEGIES), ...(lastResort ? [lastResort] : [])]
  const { posting, attempts } = readPosting(page, now, strategies)
  if (!posting && !lastResort && !tried) return { tried: { startTime, attempts }, spans: [] }

  const reading = { attempts: [...(tried?.attempts ?? []), ...attempts], ...(posting ? { posting } : {}) }
  return { spans: extractionSpans(traceparent, reading, startTime, now()), ...(posting ? { posting } : {}) }
}
