/** The newest run as the person sees it: written by the background, read by a popup that opens. */

import browser from 'webextension-polyfill'
import type { FailureBody, Term, Wording } from '../server/contract.ts'

/** The steps a person sees, in order, each with its words. */
export const STEPS = {
  extract: 'Read the posting',
  llm: 'Choose what fits',
  latex: 'Lay out the resume',
  compile: 'Make the PDF',
  validate: 'Check the PDF',
  deliver: 'Bring it here',
} as const
export type Step = keyof typeof STEPS

/** One run. Everything here stays on the device: it names the posting, telemetry does not. */
export interface RunState {
  /** Trace ID, 32 hex digits. */
  id: string
  status: 'running' | 'done' | 'failed'
  /** Epoch milliseconds of the click. */
  startedAt: number
  /** Epoch milliseconds of the end; absent while running. */
  endedAt?: number
  /** The step under way; after a failure, the step that failed. */
  step: Step
  /** Runs waiting before this one, while it queues. */
  queuePosition?: number
  /** What a model has written, while it writes. */
  writing?: { statements: number; correcting: boolean }
  /** What we read, so that the person sees that we read the right thing. */
  posting?: { title: string; company: string }
  /** Present when done. `sizeBytes` of the PDF as delivered. */
  pdf?: { fileName: string; pages: number; sizeBytes: number }
  /** Bullets and remarks that two pages had no room for; present when done. */
  leftOut?: number
  /** Terms of the posting that the profile covers; present when done. */
  keywords?: { matched: number; total: number }
  /** Those terms, most important first, and what became of a model's rewordings; present when done. */
  terms?: Term[]
  wording?: Wording
  /** Present when failed. */
  failure?: FailureBody
}

const KEY = 'run'

/** The newest run, or undefined before the first. */
export async function readRunState(): Promise<RunState | undefined> {
  const stored = await browser.storage.local.get(KEY)
  return stored[KEY] as RunState | undefined
}

export async function writeRunState(state: RunState): Promise<void> {
  await browser.storage.local.set({ [KEY]: state })
}

/** Forgets it. */
export async function removeRunState(): Promise<void> {
  await browser.storage.local.remove(KEY)
}

/** Calls back when it was forgotten. */
export function onRunStateRemoved(callback: () => void): void {
  browser.storage.onChanged.addListener((changes, area) => {
    if (area === 'local' && changes[KEY] && changes[KEY].newValue === undefined) callback()
  })
}
