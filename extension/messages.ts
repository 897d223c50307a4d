/** The messages between the extension's parts: who asks whom for what. Context travels in the envelope. */

import type { Posting } from '../server/request-contract.ts'
import type { Attempt } from './extract/strategies.ts'
import type { RunState } from './run-state.ts'
import type { Envelope, HopSpan } from './tracer/envelope.ts'

/** Popup → background. Answered as soon as the run exists; its progress is in the run state. */
export interface StartRun {
  tabId: number
  /** Epoch milliseconds of the click: the root span starts here. */
  clickedAt: number
}
export interface RunStarted {
  run: RunState
}

/** Popup → background: what a report of a run would send, and to send it. Both are answered with a Report. */
export const PREVIEW_REPORT = 'background/preview_report'
export const REPORT_RUN = 'background/report_run'
export interface AboutRun {
  runId: string
}

/** Options → background: new random IDs, and no trace held that has the old ones. */
export const RENEW_IDS = 'background/renew_ids'
/** Options → background: no list of past runs, no resume and no trace held of any. */
export const FORGET_RUNS = 'background/forget_runs'

/** Name of the connection that an open popup holds; the newest run's state comes over it, at once and at every change. */
export const POPUP_PORT = 'popup'

/** What has been tried before the last resort; times in epoch milliseconds. */
export interface Tried {
  startTime: number
  attempts: Attempt[]
}

/** Background → content script. */
export interface ExtractPosting {
  /** The content script's own first answer, given back to it: it keeps nothing between messages. */
  tried?: Tried
}
/** The content script's answer, with the spans it recorded: it has no way to export them itself. */
export interface PostingExtracted {
  /** Undefined when the page holds no posting. */
  posting?: Posting
  spans: HopSpan[]
  /** Instead of all else: nothing found so far; inject the last resort and ask again with this. */
  tried?: Tried
}

export type StartRunMessage = Envelope<StartRun>
export type AboutRunMessage = Envelope<AboutRun>
export type ExtractPostingMessage = Envelope<ExtractPosting>
