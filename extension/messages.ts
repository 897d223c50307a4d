/** The messages between the extension's parts: who asks whom for what. Context travels in the envelope. */

import type { Posting } from '../server/contract.ts'
import type { Envelope, HopSpan } from './tracer/envelope.ts'

/** Popup → background. Answered as soon as the run exists; its progress is in the run state. */
export interface StartRun {
  tabId: number
  /** Epoch milliseconds of the click: the root span starts here. */
  clickedAt: number
}
export interface RunStarted {
  runId: string
}

/** Background → content script. */
export type ExtractPosting = Record<string, never>
/** The content script's answer, with the spans it recorded: it has no way to export them itself. */
export interface PostingExtracted {
  /** Undefined when the page holds no posting. */
  posting?: Posting
  spans: HopSpan[]
}

export type StartRunMessage = Envelope<StartRun>
export type ExtractPostingMessage = Envelope<ExtractPosting>
