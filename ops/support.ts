/** How the programs here show a relay that they are staff: by the token it was given, or the one it keeps for itself. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where `npm start` has its data. */
export const DATA_DIR = fileURLToPath(new URL('../data/', import.meta.url))

/** Of relays that this process has started, by their URL. */
const folders = new Map<string, string>()

/** Remembers where a relay that was started here has its data. */
export function startedHere(relayUrl: string, dataDir: string): void {
  folders.set(relayUrl, dataDir)
}

/** What staff sends along, for a relay that runs on this machine. Throws an Error that says what to do without a token. */
export function asSupport(relayUrl: string): { authorization: string } {
  const [, configured] = /^[\w-]+:([^\s:,]+)/.exec(process.env.RELAY_SUPPORT_TOKENS?.trim() ?? '') ?? []
  const path = join(folders.get(relayUrl) ?? DATA_DIR, 'relay.support-token')
  const token = configured ?? (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined)
  if (token) return { authorization: `Bearer ${token}` }
  throw new Error(
    `There is no support token for ${relayUrl}: it keeps none in ${path}.\n\n    RELAY_SUPPORT_TOKENS=name:token …`,
  )
}

/** A link that signs whoever opens it first in to the console. It leads to a page of it: `/support/…`. */
export async function signInLink(relayUrl: string, to = '/support'): Promise<string> {
  const headers = asSupport(relayUrl)
  const answer = await fetch(`${relayUrl}/support/sign-in-links`, { method: 'POST', headers })
  if (!answer.ok) throw new Error(`The relay gives no link to sign in with (${answer.status}).`)
  const { path } = (await answer.json()) as { path: string }
  return `${relayUrl}${path}${to === '/support' ? '' : `&to=${encodeURIComponent(to)}`}`
}
