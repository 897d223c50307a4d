/** The beginning of a run as a person makes it, for whoever wants to see what becomes of it. */

import type { Browser } from '../ops/browser.ts'
import { urlOf } from '../ops/postings.ts'

export interface Pressed {
  /** The run's. */
  id: string
  /** Closes the posting's tab. */
  leave(): Promise<void>
}

/** Opens a bundled posting, presses Generate in the popup and closes that; resolves when the run has begun. */
export async function pressGenerate(browser: Browser, posting: string): Promise<Pressed> {
  const page = await browser.context.newPage()
  // Asked in a page: Playwright's handle of a worker is no good after its death.
  const watch = await browser.openExtensionPage('resume/resume.html')
  try {
    await page.goto(urlOf(posting))
    const before = await watch.evaluate(newestId)
    const popup = await browser.openPopup(page)
    await popup.click('generate')
    const id = await watch.evaluate(nextId, before)
    await popup.close().catch(() => undefined)
    return { id, leave: () => page.close().catch(() => undefined) }
  } finally {
    await watch.close()
  }
}

async function newestId(): Promise<string | undefined> {
  return ((await chrome.storage.local.get('run')).run as { id: string } | undefined)?.id
}

/** The ID of the run after this one, as soon as it has begun. */
async function nextId(before: string | undefined): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const look = async () => {
    const { run } = (await chrome.storage.local.get('run')) as { run?: { id: string } }
    if (run && run.id !== before) resolve(run.id)
  }
  chrome.storage.onChanged.addListener(look)
  const late = setTimeout(() => reject(new Error('The run did not start.')), 20_000)
  try {
    await look()
    return await promise
  } finally {
    clearTimeout(late)
    chrome.storage.onChanged.removeListener(look)
  }
}
