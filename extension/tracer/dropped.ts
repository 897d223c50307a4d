/** How many spans were let go unsent, or could not be written as they were, and why: told with the next that are sent. */

import browser from 'webextension-polyfill'
import {
  RESOURCE_DROPPED_EVICTED,
  RESOURCE_DROPPED_EXPIRED,
  RESOURCE_DROPPED_REFUSED,
  RESOURCE_DROPPED_UNREADABLE,
  RESOURCE_DROPPED_UNWRITTEN,
} from '../../names.ts'

/** Reasons, each with the name it is told under. */
const ATTRIBUTES = {
  expired: RESOURCE_DROPPED_EXPIRED,
  evicted: RESOURCE_DROPPED_EVICTED,
  unwritten: RESOURCE_DROPPED_UNWRITTEN,
  unreadable: RESOURCE_DROPPED_UNREADABLE,
  refused: RESOURCE_DROPPED_REFUSED,
}
export type Dropped = Partial<Record<keyof typeof ATTRIBUTES, number>>

const KEY = 'dropped'

/** What was counted and not yet told. */
export async function readDropped(): Promise<Dropped> {
  return ((await browser.storage.local.get(KEY))[KEY] as Dropped | undefined) ?? {}
}

/** Replaces the counts. Rejects when storage takes no write. */
export async function writeDropped(dropped: Dropped): Promise<void> {
  if (Object.keys(dropped).length > 0) await browser.storage.local.set({ [KEY]: dropped })
  else await browser.storage.local.remove(KEY)
}

/** The sum of both. */
export function plus(dropped: Dropped, more: Dropped): Dropped {
  const sum = { ...dropped }
  for (const [reason, count] of Object.entries(more) as [keyof Dropped, number][]) {
    if (count > 0) sum[reason] = (sum[reason] ?? 0) + count
  }
  return sum
}

/** As attributes of the resource. */
export function droppedAttributes(dropped: Dropped): Record<string, number> {
  const entries = Object.entries(dropped) as [keyof Dropped, number][]
  return Object.fromEntries(entries.map(([reason, count]) => [ATTRIBUTES[reason], count]))
}
