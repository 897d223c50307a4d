/** This browser's way in to the relay: a token, asked for ahead of time and renewed, so that nobody waits for one. */

import browser from 'webextension-polyfill'
import type { InstallAccess } from '../relay/access-contract.ts'

const KEY = 'access'
/** A token is renewed so long before its end; a run takes less. */
const AHEAD_MS = 10 * 60_000
const ANSWER_MS = 10_000

type Access = Pick<InstallAccess, 'token' | 'refresh'> & { relayUrl: string; renewAt: number }

/** What is in storage, or would be: it may be full. */
let known: Access | undefined

/**
 * `fetch` of something at a relay, as this install. A token that the relay does not take is renewed, once. When it gives
 * none, its answer to that is the answer. Rejects as fetch does.
 */
export async function fetchAsInstall(url: string, init: RequestInit): Promise<Response> {
  const { origin } = new URL(url)
  for (let refused: string | undefined; ; ) {
    const token = await tokenFor(origin, refused)
    if (typeof token !== 'string') return token
    const headers = { ...init.headers, authorization: `Bearer ${token}` }
    const response = await fetch(url, { ...init, headers, credentials: 'omit', redirect: 'error' })
    if (response.status !== 401 || refused) return response
    refused = token
  }
}

/** Sees to it that there is a token when one is needed. Tells nobody when there is none: who needs it will. */
export function prepareAccess(relayUrl: string): void {
  tokenFor(relayUrl).catch(() => {})
}

/** From now on this is another install; for the run that is under way only when that has `ended`, or its PDF is lost. */
export async function forgetAccess(ended: Promise<unknown> | undefined): Promise<void> {
  await browser.storage.local.remove(KEY)
  const forgotten = Promise.resolve(ended).then(() => {
    known = undefined
    return browser.storage.local.remove(KEY)
  })
  if (!ended) await forgotten
}

/** A token that is good for a while yet and not `refused`, or the answer of a relay that gives none. */
function tokenFor(relayUrl: string, refused?: string): Promise<string | Response> {
  // One at a time: two that register at once would be two installs.
  return navigator.locks.request(KEY, async () => {
    known ??= (await browser.storage.local.get(KEY).catch(() => ({}) as Record<string, unknown>))[KEY] as Access
    const mine = known?.relayUrl === relayUrl ? known : undefined
    const good = mine && mine.token !== refused ? mine.token : undefined
    if (mine && good && Date.now() < mine.renewAt) return good
    let answer = mine && (await ask(`${relayUrl}/installs/refresh`, JSON.stringify({ refresh: mine.refresh })))
    if (!answer || answer.status === 401) answer = await ask(`${relayUrl}/installs`)
    if (!answer.ok) return good ?? answer
    const { token, refresh, expiresInS }: InstallAccess = await answer.json()
    known = { relayUrl, token, refresh, renewAt: Date.now() + expiresInS * 1_000 - AHEAD_MS }
    await browser.storage.local.set({ [KEY]: known }).catch(() => {})
    return token
  })
}

function ask(url: string, body: string | null = null): Promise<Response> {
  const signal = AbortSignal.timeout(ANSWER_MS)
  return fetch(url, { method: 'POST', body, signal, credentials: 'omit', redirect: 'error' })
}
