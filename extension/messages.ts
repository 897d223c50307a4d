/** The messages between the extension's parts: who asks whom for what. */

import type { Posting } from '../server/request-contract.ts'
import type { Attempted } from './attempts.ts'
import type { RunState } from './run-state.ts'

/** One message. It carries no trace context: all spans of the extension are made in background. */
export interface Message<T> {
  type: string
  payload: T
}

/** Popup → background. Answered as soon as the run exists; its progress is in the run state. */
export interface StartRun {
  tabId: number
  /** Epoch milliseconds of the click: the root span starts here. */
  clickedAt: number
}
export interface RunStarted {
  run: RunState
}
/** Popup → background. Answered at once; the run's end is in the run state. */
export interface CancelRun {
  runId: string
  /** Epoch milliseconds of the click. */
  clickedAt: number
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

/** Background → content script. */
export interface ExtractPosting {
  /** By the strategy that comes last, whose file has been injected since nothing else has found a posting. */
  lastResort: boolean
}
/** The content script's answer, with the times it took: it has no way to make spans of them. */
export interface PostingExtracted {
  /** Undefined when no strategy found one. */
  posting?: Posting
  /** Host name of the page. */
  host: string
  attempted: Attempted
}

export type StartRunMessage = Message<StartRun>
export type CancelRunMessage = Message<CancelRun>
export type AboutRunMessage = Message<AboutRun>
export type ExtractPostingMessage = Message<ExtractPosting>
