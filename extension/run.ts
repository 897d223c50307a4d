/** One run, from the click to the PDF in the browser. Owns the root span. */

import { type Span, SpanKind } from '@opentelemetry/api'
import browser from 'webextension-polyfill'
import {
  ATTR_PDF_SIZE,
  ATTR_POSTING_SOURCE,
  ATTR_RPC_METHOD,
  ATTR_RPC_SYSTEM,
  ATTR_STAGE,
  RPC_EXTRACT_POSTING,
  RPC_SYSTEM,
  SPAN_DELIVER,
  SPAN_GENERATE,
  SPAN_RUN,
} from '../names.ts'
import { type Posting, type Profile, Run, type RunEvent } from '../server/contract.ts'
import contentScript from './content.ts?script&iife'
import { storeDelivered } from './delivered.ts'
import { followEvents } from './events.ts'
import type { ExtractPostingMessage, PostingExtracted, StartRun } from './messages.ts'
import { RelayClient } from './relay-client.ts'
import { RunFailure } from './run-failure.ts'
import { type RunState, writeRunState } from './run-state.ts'
import { readSettings } from './settings.ts'
import { markFailed, type Tracer, traceparentOf } from './tracer/tracer.ts'

/** Longest wait for the page's answer. Reading the largest of pages takes a second. */
const EXTRACT_MS = 20_000
/** Longest wait for the answer to POST /generate, and for the PDF once it is made. */
const REQUEST_MS = 30_000
/** Longest run. Well below STALE_AFTER_MS of the popup, so that a run always ends by itself. */
const RUN_MS = 8 * 60_000
/** Any extension API call resets the worker's 30 s idle clock; a streaming fetch does not. */
const KEEP_ALIVE_MS = 20_000
const MAX_PDF_BYTES = 10 * 1024 * 1024

export interface StartedRun {
  root: Span
  /** Settles when the run has ended and its root span with it. Never rejects: a failure is in the run state. */
  ended: Promise<void>
}

/** Starts a run: root span, run state, and everything after it in the background. */
export function startRun(tracer: Tracer, { tabId, clickedAt }: StartRun): StartedRun {
  const root = tracer.start(SPAN_RUN, undefined, { startTime: clickedAt })
  const view = new RunView(root.spanContext().traceId, clickedAt)
  return { root, ended: complete(tracer, root, view, tabId) }
}

async function complete(tracer: Tracer, root: Span, view: RunView, tabId: number): Promise<void> {
  const keepAlive = setInterval(() => void browser.runtime.getPlatformInfo(), KEEP_ALIVE_MS)
  try {
    await view.update({})
    const { profile, relayUrl } = await readSettings()
    if (!profile) throw RunFailure.of('profile_missing')
    const relay = new RelayClient(relayUrl, tracer)
    const posting = await extract(tracer, root, tabId)
    root.setAttribute(ATTR_POSTING_SOURCE, posting.source)
    await view.update({ posting: { title: posting.title, company: posting.company } })
    const done = await generate(tracer, root, relay, view, { profile, posting })
    await view.update({ step: 'deliver' })
    await deliver(tracer, root, relay, done.fileName)
    await view.end({
      status: 'done',
      pdf: { fileName: done.fileName, pages: done.pages, sizeBytes: done.sizeBytes },
      keywords: { matched: done.keywordsMatched, total: done.keywordsTotal },
    })
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(root, failure)
    await view.end({ status: 'failed', failure: failure.body })
  } finally {
    clearInterval(keepAlive)
    root.end()
  }
}

/** Asks the page for its posting. Throws RunFailure page_unreadable, page_interrupted or posting_not_found. */
async function extract(tracer: Tracer, root: Span, tabId: number): Promise<Posting> {
  const call = tracer.start(RPC_EXTRACT_POSTING, root, {
    kind: SpanKind.CLIENT,
    attributes: { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_EXTRACT_POSTING },
  })
  try {
    const { posting, spans } = await askTab(tabId, {
      type: RPC_EXTRACT_POSTING,
      payload: {},
      traceparent: traceparentOf(call),
    })
    tracer.adopt(spans, call.spanContext().traceId)
    if (!posting) throw RunFailure.of('posting_not_found')
    return posting
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(call, failure)
    throw failure
  } finally {
    call.end()
  }
}

async function askTab(tabId: number, message: ExtractPostingMessage): Promise<PostingExtracted> {
  const answer = injectAndAsk(tabId, message)
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(RunFailure.of('page_interrupted')), EXTRACT_MS)
    answer.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  })
  return Promise.race([answer, late])
}

async function injectAndAsk(tabId: number, message: ExtractPostingMessage): Promise<PostingExtracted> {
  try {
    // At once: the person sees the posting, and a page may wait for ever for a script that does not come.
    await browser.scripting.executeScript({ target: { tabId }, files: [contentScript], injectImmediately: true })
  } catch (cause) {
    // The browser's own pages, its store, other extensions' pages: closed to us, and rightly.
    const gone = cause instanceof Error && /No tab with id|removed|closed|navigat/i.test(cause.message)
    throw RunFailure.of(gone ? 'page_interrupted' : 'page_unreadable', cause)
  }
  try {
    return await browser.tabs.sendMessage(tabId, message)
  } catch (cause) {
    throw RunFailure.of('page_interrupted', cause)
  }
}

type Done = Extract<RunEvent, { type: 'done' }>

/** Posts the run and follows it to its last event. Throws the RunFailure it ends with. */
async function generate(
  tracer: Tracer,
  root: Span,
  relay: RelayClient,
  view: RunView,
  body: { profile: Profile; posting: Posting },
): Promise<Done> {
  const stage = tracer.start(SPAN_GENERATE, root, { attributes: { [ATTR_STAGE]: 'generate' } })
  try {
    await view.update({ step: 'llm' })
    await relay.request(
      stage,
      { method: 'POST', path: '/generate', body, signal: AbortSignal.timeout(REQUEST_MS), waiting: stage },
      async (response) => Run.parse(await response.json()),
    )
    let last: RunEvent | undefined
    await followEvents(relay, stage, AbortSignal.timeout(RUN_MS), async (event) => {
      last = event
      await view.show(event)
    })
    if (last?.type === 'done') return last
    throw last?.type === 'failed' ? new RunFailure(last.failure) : RunFailure.of('server_unreachable')
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(stage, failure)
    throw failure
  } finally {
    stage.end()
  }
}

/** Brings the PDF into the browser's own storage. Throws RunFailure pdf_invalid when what comes is none. */
async function deliver(tracer: Tracer, root: Span, relay: RelayClient, fileName: string): Promise<void> {
  const stage = tracer.start(SPAN_DELIVER, root, { attributes: { [ATTR_STAGE]: 'deliver' } })
  const { traceId } = stage.spanContext()
  try {
    const path = `/runs/${traceId}/resume.pdf`
    const bytes = await relay.request(stage, { method: 'GET', path, signal: AbortSignal.timeout(REQUEST_MS) }, readPdf)
    stage.setAttribute(ATTR_PDF_SIZE, bytes.byteLength)
    await storeDelivered(traceId, fileName, bytes)
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(stage, failure)
    throw failure
  } finally {
    stage.end()
  }
}

async function readPdf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(response.headers.get('content-length')) > MAX_PDF_BYTES) throw RunFailure.of('pdf_invalid')
  const bytes = new Uint8Array(await response.arrayBuffer())
  const isPdf = new TextDecoder('latin1').decode(bytes.subarray(0, 5)) === '%PDF-'
  if (!isPdf || bytes.byteLength > MAX_PDF_BYTES) throw RunFailure.of('pdf_invalid')
  return bytes
}

/** The run's state as it is shown, written at every change. */
class RunView {
  #state: RunState

  constructor(id: string, startedAt: number) {
    this.#state = { id, startedAt, status: 'running', step: 'extract' }
  }

  /** Never rejects: a disk without room may blind the popup, but must not cost the run. */
  async update(change: Partial<RunState>): Promise<void> {
    this.#state = { ...this.#state, ...change }
    await writeRunState(this.#state).catch(() => undefined)
  }

  async show(event: RunEvent): Promise<void> {
    if (event.type === 'queued') await this.update({ queuePosition: event.ahead })
    if (event.type === 'stage' && event.state === 'started') {
      const { queuePosition: _, ...rest } = this.#state
      this.#state = rest
      await this.update({ step: event.stage })
    }
  }

  async end(change: Partial<RunState>): Promise<void> {
    await this.update({ ...change, endedAt: Date.now() })
  }
}
