/**
 * Whether the relay may be asked now. Open after a failure, for longer with every one in a row, and then one request
 * decides. Remembered in storage: the worker that met the failure is gone when the next one wants to know.
 */

import browser from 'webextension-polyfill'

/** The wait after a failure doubles from the first to the longest; a `Retry-After` beyond that is not believed. */
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 15 * 60_000
const KEY = 'breaker'

interface Open {
  /** Failures in a row. */
  failures: number
  /** Epoch milliseconds before which the relay is left alone. */
  notBefore: number
  /** The relay itself named the time. */
  asked: boolean
}

/**
 * Epoch milliseconds until which it is open, so that the relay is left alone; undefined when the relay may be asked. A
 * person's own press of a button (`urgent`) waits for nothing but the relay's word.
 */
export async function openUntil(urgent: boolean): Promise<number | undefined> {
  const open = await read()
  if (!open || Date.now() >= open.notBefore || (urgent && !open.asked)) return undefined
  // A clock that was set back would otherwise keep everything here for as long as it was ahead.
  return open.notBefore > Date.now() + LONGEST_WAIT_MS ? undefined : open.notBefore
}

/** After a failure. `retryAfterMs` when the relay said how long. Resolves with the epoch milliseconds to try again at. */
export async function trip(retryAfterMs: number | undefined): Promise<number> {
  const failures = (await read())?.failures ?? 0
  const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures)
  // Jitter, so that browsers which lost the same relay do not come back to it together.
  const wait =
    retryAfterMs === undefined ? backOff * (0.5 + Math.random() / 2) : Math.min(retryAfterMs, LONGEST_WAIT_MS)
  const open: Open = { failures: failures + 1, notBefore: Date.now() + wait, asked: retryAfterMs !== undefined }
  // Where storage takes nothing, the alarm at least is set for that time.
  await browser.storage.local.set({ [KEY]: open }).catch(() => undefined)
  return open.notBefore
}

/** After a success. */
export async function reset(): Promise<void> {
  await browser.storage.local.remove(KEY)
}

async function read(): Promise<Open | undefined> {
  return (await browser.storage.local.get(KEY))[KEY] as Open | undefined
}
