/** What was typed and is not saved yet. Nothing typed is lost: not by closing the page, not by being invalid. */

import browser from 'webextension-polyfill'

const KEY = 'profileDraft'

/** The draft, or undefined when everything typed is saved. */
export async function readDraft(): Promise<string | undefined> {
  const stored = await browser.storage.local.get(KEY)
  return stored[KEY] as string | undefined
}

/** Keeps the text as it is; undefined forgets the draft. */
export async function keepDraft(text: string | undefined): Promise<void> {
  await (text === undefined ? browser.storage.local.remove(KEY) : browser.storage.local.set({ [KEY]: text }))
}
