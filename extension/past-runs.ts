/** The runs of late, newest first: how each ended, and what became of its trace. Stays on the device. */

import browser from 'webextension-polyfill'
import type { FailureCode } from '../server/contract.ts'
import type { RunState } from './run-state.ts'

export interface PastRun {
  /** Trace ID, 32 hex digits. */
  id: string
  status: RunState['status']
  /** Epoch milliseconds of the click. */
  startedAt: number
  /** Epoch milliseconds of the end; absent while running. */
  endedAt?: number
  /** Absent when none was read. */
  posting?: { title: string; company: string }
  /** Why it failed. */
  code?: FailureCode
  /**
   * The browser's part of the trace: `held` here unless somebody asks for it, `due` to be sent as soon as the relay
   * takes it, `sent`, or `dropped`: its day was over, there was no room, or the person wanted it gone.
   */
  trace: 'held' | 'due' | 'sent' | 'dropped'
  /** The person reported it: `waiting` to be sent, or `sent` and kept by the relay. */
  report?: 'waiting' | 'sent'
  /** Epoch milliseconds before which the relay is not asked again to keep it. */
  keepNotBefore?: number
}

/** Whether something of it has still to be sent, given the person's consent. */
export function isWanted({ status, trace, report }: PastRun, consent: boolean | undefined): boolean {
  return status !== 'running' && (report === 'waiting' || (consent === true && trace === 'due'))
}

const KEY = 'runs'
const KEPT = 50

/** At most 50, newest first. */
export async function readPastRuns(): Promise<PastRun[]> {
  const stored = (await browser.storage.local.get(KEY))[KEY]
  return Array.isArray(stored) ? (stored as PastRun[]) : []
}

/**
 * Writes what `change` makes of the list. One change after another: two at once would lose one of them. Never
 * rejects: where storage takes nothing, a run must go on without being listed.
 */
export async function changePastRuns(change: (runs: PastRun[]) => PastRun[] | Promise<PastRun[]>): Promise<void> {
  await navigator.locks.request(KEY, async () => {
    try {
      await browser.storage.local.set({ [KEY]: newest(await change(await readPastRuns())) })
    } catch {
      // The next change is made to the list as it was.
    }
  })
}

/** Puts the run on the list, or changes it there. */
export function withPastRun(runs: PastRun[], run: PastRun): PastRun[] {
  const known = runs.some(({ id }) => id === run.id)
  return known ? runs.map((other) => (other.id === run.id ? { ...other, ...run } : other)) : [run, ...runs]
}

/** A report that waits is a promise made to the person: it goes last. */
function newest(runs: PastRun[]): PastRun[] {
  if (runs.length <= KEPT) return runs
  const oldest = runs.findLastIndex(({ report }) => report !== 'waiting')
  return newest(runs.toSpliced(oldest, 1))
}

/** Calls back with every later list. */
export function onPastRuns(callback: (runs: PastRun[]) => void): void {
  browser.storage.onChanged.addListener((changes, area) => {
    if (area === 'local' && changes[KEY]) callback((changes[KEY].newValue ?? []) as PastRun[])
  })
}
