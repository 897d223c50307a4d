/**
 * Reads the posting when background asks. Runs in the page's process, so it is small, keeps nothing, exports nothing,
 * and knows no trace: background makes the spans.
 */

import { RPC_EXTRACT_POSTING } from '../names.ts'
import { Attempts } from './attempts.ts'
import { LAST_RESORT, type Page, type Strategy } from './extract/posting.ts'
import { readPosting, STRATEGIES } from './extract/strategies.ts'
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

function extract({ payload: { lastResort } }: ExtractPostingMessage): PostingExtracted {
  const attempts = new Attempts()
  const page: Page = { document, url: new URL(location.href), selection: getSelection()?.toString() ?? '' }
  const strategies = lastResort ? [world[LAST_RESORT]].filter((strategy) => strategy !== undefined) : STRATEGIES
  const posting = readPosting(page, attempts, strategies)
  return { host: location.hostname, attempted: attempts, ...(posting ? { posting } : {}) }
}
