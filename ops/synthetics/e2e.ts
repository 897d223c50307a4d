/** All from the click on: through the real extension where there is a browser, or else its part is played over HTTP. */

import { FAST_SECONDS } from '../objectives.ts'
import type { Attempt, Check } from './attempt.ts'
import { askForResume, MAX_PAGES, POSTING_FILE, PROFILE, WAITED } from './generate.ts'
import { assertPdf } from './sound-pdf.ts'
import { CheckFailed, HarnessFailed } from './verdict.ts'
import { type Relay, signIn } from './visit.ts'

/** `chromium`: the browser's path, with the extension built; without it, HTTP. */
export function e2eCheck(relay: Relay, chromium: string | undefined, objectiveMs = FAST_SECONDS * 1_000): Check {
  return {
    name: 'e2e',
    objectiveMs,
    waited: [...WAITED, 'click_to_pdf'],
    async run(attempt) {
      attempt.via = chromium === undefined ? 'http' : 'extension'
      if (chromium === undefined) await askForResume(relay, attempt, { asBrowser: true })
      else await click(relay, attempt, chromium)
    },
  }
}

async function click(relay: Relay, attempt: Attempt, chromium: string): Promise<void> {
  const { token, refresh, expiresInS } = await signIn(relay, attempt)
  attempt.phase('browser')
  // Where there is no browser, what drives one need not be there either.
  const { launchBrowser } = await import('../browser.ts')
  const { deliveredPdf, generate, saveSettings } = await import('../demonstration.ts')
  const browser = await launchBrowser(chromium).catch((cause) => {
    throw new HarnessFailed('browser_failed', { cause })
  })
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(attempt.signal.reason)
  attempt.signal.addEventListener('abort', onAbort, { once: true })
  if (attempt.signal.aborted) onAbort()
  // Nobody may be waiting when it comes.
  aborted.promise.catch(() => undefined)
  const play = async () => {
    const own = ({ origin }: URL) => origin === relay.url
    await browser.context.route(own, (route) => route.continue())
    await saveSettings(browser, relay.url, PROFILE)
    const access = { relayUrl: relay.url, token, refresh, expiresAt: Date.now() + expiresInS * 1_000 }
    await browser.worker.evaluate((access) => chrome.storage.local.set({ access }), access)
    attempt.phase('click_to_pdf')
    const run = await generate(browser, POSTING_FILE)
    attempt.id = run.id
    if (run.status !== 'done') throw new CheckFailed(run.failure?.code ?? 'internal')
    attempt.phase('validate')
    await assertPdf(await deliveredPdf(browser, run.id), { words: PROFILE.basics.name, maxPages: MAX_PAGES })
  }
  try {
    await Promise.race([play(), aborted.promise])
  } finally {
    attempt.signal.removeEventListener('abort', onAbort)
    await browser.close()
  }
}
