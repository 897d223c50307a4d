/** Whether traces may be sent by themselves. Without it everything works, and only a report, an explicit act, sends one. */

import browser from 'webextension-polyfill'

const KEY = 'consent'

/** What Firefox itself asks the person about; the manifest names the same. Its types are not in the polyfill's yet. */
const FIREFOX_DATA = { data_collection: ['technicalAndInteraction', 'browsingActivity'] }
type Permissions = browser.Permissions.Permissions & { data_collection?: string[] }

const isFirefox = () => browser.runtime.getURL('').startsWith('moz-extension:')

/** The person's answer; undefined before they gave one. */
export async function readConsent(): Promise<boolean | undefined> {
  const consent = (await browser.storage.local.get(KEY))[KEY]
  return typeof consent === 'boolean' ? consent : undefined
}

/**
 * Keeps the answer. Yes must come from a click: Firefox then asks in its own words, and a no there is a no here.
 * Resolves with what holds from now on.
 */
export async function saveConsent(given: boolean): Promise<boolean> {
  const firefox = FIREFOX_DATA as Permissions
  // Asked before anything is awaited, or Firefox takes the click for over.
  const answer = given && isFirefox() ? browser.permissions.request(firefox) : undefined
  // A no until it is a yes: the question may close the popup, which then never hears the answer.
  await browser.storage.local.set({ [KEY]: given && !answer })
  try {
    if (!given && isFirefox()) await browser.permissions.remove(firefox)
    if (!(await answer)) return given && !answer
    await browser.storage.local.set({ [KEY]: true })
    return true
  } catch (error) {
    // Firefox did not even ask: neither did we.
    if (answer) await browser.storage.local.remove(KEY)
    throw error
  }
}

/**
 * Takes the consent back when the person takes the permission back in Firefox's own settings; and keeps a yes
 * when Firefox's question has closed the popup that was to keep it.
 */
export function followFirefox(): void {
  const firefox = FIREFOX_DATA as browser.Permissions.AnyPermissions
  browser.permissions.onAdded.addListener(async (added) => {
    // One of the kinds may have been given long before.
    if (!(added as Permissions).data_collection || !(await browser.permissions.contains(firefox))) return
    await browser.storage.local.set({ [KEY]: true })
  })
  browser.permissions.onRemoved.addListener((removed) => {
    const kinds = (removed as Permissions).data_collection ?? []
    if (kinds.some((kind) => FIREFOX_DATA.data_collection.includes(kind))) {
      void browser.storage.local.set({ [KEY]: false })
    }
  })
}

/** Calls back with every later answer. */
export function onConsent(callback: (given: boolean | undefined) => void): void {
  browser.storage.onChanged.addListener((changes, area) => {
    if (area === 'local' && changes[KEY]) callback(changes[KEY].newValue as boolean | undefined)
  })
}
