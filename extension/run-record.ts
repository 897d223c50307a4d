/** What a worker must know to take up the run of one that has died. Stays on the device, and only while the run lasts. */

import browser from 'webextension-polyfill'
import type { RunEvent } from '../server/contract.ts'
import type { Posting } from '../server/request-contract.ts'

export type Done = Extract<RunEvent, { type: 'done' }>

export interface RunRecord {
  /** Trace ID. */
  id: string
  tabId: number
  /** Epoch milliseconds. */
  clickedAt: number
  /** Once it is read: the page may be gone by then. */
  posting?: Posting
  /** How long that took, milliseconds. */
  extractMs?: number
  /** Whether the server has taken the run. */
  accepted: boolean
  /** The last event that was shown; 0 before the first. */
  lastEventId: number
  /** The run's last event, once it has come: what is left is to bring the PDF. */
  done?: Done
}

const KEY = 'active'

export async function readRunRecord(): Promise<RunRecord | undefined> {
  const stored = await browser.storage.local.get(KEY)
  return stored[KEY] as RunRecord | undefined
}

/** Rejects never: without it the run goes on, and cannot be taken up. */
export async function writeRunRecord(record: RunRecord): Promise<void> {
  await browser.storage.local.set({ [KEY]: record }).catch(() => undefined)
}

export async function removeRunRecord(): Promise<void> {
  await browser.storage.local.remove(KEY).catch(() => undefined)
}
