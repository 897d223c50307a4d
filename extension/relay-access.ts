/** This browser's way in to the relay: a token, asked for ahead of time and renewed, so that nobody waits for one. */

import browser from 'webextension-polyfill'
import type { InstallAccess } from '../relay/access-contract.ts'

const KEY = 'access'
/** A token is renewed so long before its end; a run takes less. */
const AHEAD_MS = 10 * 60_000
const ANSWER_MS = 10_000

type Access = Pick<InstallAccess, 'token' | 'refresh'> & { relayUrl: string; expiresAt: number }

/** What is in storage, or would be: it may be full. */
let known: Access | undefined

/**
 * `fetch` of something at a relay, as this install. A token that the relay does not take is renewed, once. When it gives
 * none, its answer to that is the answer. Rejects as fetch does.
 */
export async function fetchAsInstall(url: string, init: RequestInit): Promise<Response> {
  const { origin } = new URL(url)
  for (let refused: string | undefined; ; ) {
    // What is known is used at once, also while another is on its way.
    const token = good(origin, refused) ?? (await tokenFor(origin, refused))
    if (typeof token !== 'string') return token
    const headers = { ...init.headers, authorization: `Bearer ${token}` }
    const response = await fetch(url, { ...init, headers, credentials: 'omit', redirect: 'error' })
    if (response.status !== 401 || refused) return response
    refused = token
  }
}

/** Sees to it that there is a token when one is needed. Tells nobody when there is none: who needs it will. */
export function prepareAccess(relayUrl: string): void {
  tokenFor(relayUrl, undefined, AHEAD_MS).catch(() => {})
}

/** From now on this is another install. Not while a run is under way: its PDF is for the install that asked for it. */
export async function forgetAccess(): Promise<void> {
  await navigator.locks.request(KEY, async () => {
    known = undefined
    await browser.storage.local.remove(KEY)
  })
}

/** The token for this relay, unless it is `refused` or ends within `aheadMs`. */
function good(relayUrl: string, refused?: string, aheadMs = 0): string | undefined {
  if (known?.relayUrl !== relayUrl || known.token === refused) return undefined
  return Date.now() < known.expiresAt - aheadMs ? known.token : undefined
}

/** A good token, or the answer of a relay that gives none. */
function tokenFor(relayUrl: string, refused?: string, aheadMs?: number): Promise<string | Response> {
  // One at a time: two that register at once would be two installs.
  return navigator.locks.request(KEY, async () => {
    known ??= (await browser.storage.local.get(KEY).catch(() => ({}) as Record<string, unknown>))[KEY] as Access
    const token = good(relayUrl, refused, aheadMs)
    if (token) return token
    const mine = known?.relayUrl === relayUrl ? JSON.stringify({ refresh: known.refresh }) : undefined
    let answer = mine && (await ask(`${relayUrl}/installs/refresh`, mine))
    if (!answer || answer.status === 401) answer = await ask(`${relayUrl}/installs`)
    if (!answer.ok) return good(relayUrl, refused) ?? answer
    const { expiresInS, ...given }: InstallAccess = await answer.json()
    known = { relayUrl, token: given.token, refresh: given.refresh, expiresAt: Date.now() + expiresInS * 1_000 }
    await browser.storage.local.set({ [KEY]: known }).catch(() => {})
    return given.token
  })
}

function ask(url: string, body: string | null = null): Promise<Response> {
  const signal = AbortSignal.timeout(ANSWER_MS)
  return fetch(url, { method: 'POST', body, signal, credentials: 'omit', redirect: 'error' })
}
