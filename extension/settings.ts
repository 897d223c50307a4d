/** What the person has set: their profile and where the relay is. Kept on the device, in `storage.local`. */

import browser from 'webextension-polyfill'
import type { Profile } from '../server/request-contract.ts'

/** The relay that `npm start` starts. */
export const DEFAULT_RELAY_URL = 'http://127.0.0.1:4318'

export interface Settings {
  /** JSON Resume; undefined until the person has saved one. */
  profile?: Profile
  /** Origin of the relay, without a trailing slash. */
  relayUrl: string
}

export async function readSettings(): Promise<Settings> {
  const stored = await browser.storage.local.get({ profile: null, relayUrl: DEFAULT_RELAY_URL })
  return {
    relayUrl: stored.relayUrl as string,
    ...(stored.profile ? { profile: stored.profile as Profile } : {}),
  }
}

export async function saveProfile(profile: Profile): Promise<void> {
  await browser.storage.local.set({ profile })
}

export async function saveRelayUrl(relayUrl: string): Promise<void> {
  await browser.storage.local.set({ relayUrl })
}
