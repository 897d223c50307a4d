/** One run, from the click to the PDF in the browser, across the deaths of its worker. Owns the root span. */

import type { Span } from '@opentelemetry/api'
import {
  ATTR_PDF_SIZE,
  ATTR_POSTING_SOURCE,
  ATTR_RUN_REPOSTS,
  ATTR_STAGE,
  SPAN_DELIVER,
  SPAN_GENERATE,
  SPAN_RUN,
} from '../names.ts'
import { type FailureCode, Run, type RunEvent } from '../server/contract.ts'
import type { Posting, Profile } from '../server/request-contract.ts'
import { tellCancelled } from './cancel.ts'
import { storeDelivered } from './delivered.ts'
import { followEvents, pause } from './events.ts'
import type { StartRun } from './messages.ts'
import { askForPosting } from './page.ts'
import { RelayClient } from './relay-client.ts'
import { RunFailure } from './run-failure.ts'
import { type Done, type RunRecord, removeRunRecord, writeRunRecord } from './run-record.ts'
import type { RunState } from './run-state.ts'
import { RunView, type Tell } from './run-view.ts'
import { readSettings } from './settings.ts'
import type { JournaledSpan } from './tracer/journal.ts'
import { markFailed, type Tracer } from './tracer/tracer.ts'

/** Longest wait for the answer to POST /generate, and for the PDF once it is made. */
const REQUEST_MS = 30_000
/** Longest run, from the click. Well below STALE_AFTER_MS of the popup, so that a run always ends by itself. */
const RUN_MS = 8 * 60_000
const MAX_PDF_BYTES = 10 * 1024 * 1024
/** A server that has died is back within seconds, or it is not a matter of waiting. */
const MAX_REPOSTS = 5
const MAX_DELIVERIES = 5
const AGAIN_MS = 2_000
/** What a server says of a run that it had when it died. Posting it again is what its ID is for. */
const LOST: ReadonlySet<FailureCode> = new Set(['run_not_found', 'interrupted'])
const UNREACHABLE: ReadonlySet<FailureCode> = new Set(['server_unreachable', 'relay_unreachable'])

export interface StartedRun {
  root: Span
  view: RunView
  /** Resolves when the run has ended and its root span with it. Never rejects: a failure is in the run's state. */
  ended: Promise<void>
  /** Ends it as cancelled, unless it has ended. */
  cancel(): void
}

/** A run that is under way in this worker. */
interface OpenRun {
  tracer: Tracer
  root: Span
  record: RunRecord
  view: RunView
  /** Stages that an earlier worker began, by name; each is taken up once. */
  begun: Map<string, Span>
  /** Aborts, with the failure, when the person cancels. */
  cancelled: AbortController
}

/** The newest run's ID: only its own record is a run's to remove. */
let newest: string | undefined

function launch(run: Omit<OpenRun, 'cancelled'>): StartedRun {
  const cancelled = new AbortController()
  newest = run.record.id
  return {
    root: run.root,
    view: run.view,
    ended: complete({ ...run, cancelled }),
    cancel: () => cancelled.abort(RunFailure.of('cancelled')),
  }
}

/** Starts a run: root span, run state, and everything after it in the background. */
export function startRun(tracer: Tracer, { tabId, clickedAt }: StartRun, tell: Tell): StartedRun {
  const root = tracer.start(SPAN_RUN, undefined, { startTime: clickedAt })
  const id = root.spanContext().traceId
  const record: RunRecord = { id, tabId, clickedAt, accepted: false, lastEventId: 0 }
  const view = new RunView({ id, startedAt: clickedAt, status: 'running', step: 'extract' }, tell)
  return launch({ tracer, root, record, view, begun: new Map() })
}

/**
 * Takes up the run of a worker that has died: its root and the stage it was in go on as the same spans, and everything
 * else that was open ends when that worker did. Undefined when the root had ended, or is not in the journal.
 */
export function resumeRun(
  tracer: Tracer,
  record: RunRecord,
  state: RunState,
  { open, diedAt }: { open: readonly JournaledSpan[]; diedAt: number },
  tell: Tell,
): StartedRun | undefined {
  const lost = open.filter(({ traceId }) => traceId === record.id)
  const lostRoot = lost.find(({ name }) => name === SPAN_RUN)
  if (!lostRoot) return undefined
  const root = tracer.restart(lostRoot, diedAt)
  const begun = new Map<string, Span>()
  for (const span of lost) {
    if (span === lostRoot) continue
    if (span.name === SPAN_GENERATE || span.name === SPAN_DELIVER) begun.set(span.name, tracer.restart(span, diedAt))
    else tracer.abandon(span, diedAt)
  }
  const view = new RunView(state, tell)
  return launch({ tracer, root, record, view, begun })
}

/** From wherever the run is to its end. */
async function complete(run: OpenRun): Promise<void> {
  const { tracer, root, record, view } = run
  const { signal } = run.cancelled
  try {
    // Only the root's end was missing.
    if (view.state.status === 'done') return
    if (view.state.failure) throw new RunFailure(view.state.failure)
    await writeRunRecord(record)
    await view.update({})
    const { profile, relayUrl } = await readSettings()
    if (!profile) throw RunFailure.of('profile_missing')
    const relay = new RelayClient(relayUrl, tracer)
    record.posting ??= await askForPosting(tracer, root, record.tabId, signal)
    root.setAttribute(ATTR_POSTING_SOURCE, record.posting.source)
    tracer.checkpoint(root)
    // Not awaited, here and below: the next request waits for its span to be in storage, behind this.
    void writeRunRecord(record)
    void view.update({ posting: { title: record.posting.title, company: record.posting.company } })
    record.done ??= await generate(run, relay, { profile, posting: record.posting })
    void writeRunRecord(record)
    void view.update({ step: 'deliver' })
    const { fileName, pages, sizeBytes, keywordsMatched, keywordsTotal, terms, wording, leftOut } = record.done
    await deliver(run, relay, fileName)
    const keywords = { matched: keywordsMatched, total: keywordsTotal }
    await view.end({ status: 'done', pdf: { fileName, pages, sizeBytes }, keywords, terms, wording, leftOut })
  } catch (error) {
    const failure = RunFailure.ofAbort(signal) ?? RunFailure.from(error)
    markFailed(root, failure)
    await view.end({ status: 'failed', failure: failure.body })
    // Where the server has made its PDF, there is nothing to stop any more.
    if (failure.body.code === 'cancelled' && record.posting && !record.done)
      await tellCancelled(tracer, root, record.id)
  } finally {
    for (const stage of run.begun.values()) stage.end()
    root.end()
    if (newest === record.id) await removeRunRecord()
  }
}

/** Posts the run and follows it to its last event. Throws the RunFailure it ends with. */
async function generate(run: OpenRun, relay: RelayClient, body: { profile: Profile; posting: Posting }): Promise<Done> {
  const { record, view } = run
  return inStage(run, SPAN_GENERATE, 'generate', async (stage) => {
    if (!record.accepted) void view.update({ step: 'llm' })
    const { signal } = run.cancelled
    const deadline = AbortSignal.any([AbortSignal.timeout(Math.max(1, record.clickedAt + RUN_MS - Date.now())), signal])
    const post = async () => {
      await relay.request(
        stage,
        { method: 'POST', path: '/generate', body, signal: within(REQUEST_MS, signal), waiting: stage },
        async (response) => Run.parse(await response.json()),
      )
      record.accepted = true
      record.lastEventId = 0
      void writeRunRecord(record)
    }
    let last: RunEvent | undefined
    const follow = () =>
      followEvents(relay, stage, record.lastEventId, deadline, async (event, id) => {
        last = event
        record.lastEventId = id
        await Promise.all([writeRunRecord(record), view.show(event)])
      })
    for (let reposts = 0; ; ) {
      try {
        if (!record.accepted) await post()
        await follow()
        if (last?.type === 'done') return last
        throw last?.type === 'failed' ? new RunFailure(last.failure) : RunFailure.of('server_unreachable')
      } catch (error) {
        const { code } = RunFailure.from(error).body
        const isLost = LOST.has(code) || (reposts > 0 && UNREACHABLE.has(code))
        if (!isLost || deadline.aborted || reposts === MAX_REPOSTS) throw error
        reposts++
        record.accepted = false
        stage.setAttribute(ATTR_RUN_REPOSTS, reposts)
        run.tracer.checkpoint(stage)
        // It answers already when it says that it does not know the run.
        if (code !== 'run_not_found') await pause(AGAIN_MS, deadline)
      }
    }
  })
}

/** Brings the PDF into the browser's own storage. Throws RunFailure pdf_invalid when what comes is none. */
async function deliver(run: OpenRun, relay: RelayClient, fileName: string): Promise<void> {
  const { id } = run.record
  const { signal } = run.cancelled
  return inStage(run, SPAN_DELIVER, 'deliver', async (stage) => {
    const path = `/runs/${id}/resume.pdf`
    const get = () => relay.request(stage, { method: 'GET', path, signal: within(REQUEST_MS, signal) }, readPdf)
    for (let tries = 1; ; tries++) {
      try {
        const bytes = await get()
        stage.setAttribute(ATTR_PDF_SIZE, bytes.byteLength)
        return await storeDelivered(id, fileName, bytes)
      } catch (error) {
        // It is made: a server that starts anew still has it.
        if (!UNREACHABLE.has(RunFailure.from(error).body.code) || tries === MAX_DELIVERIES) throw error
        await pause(AGAIN_MS, signal)
        signal.throwIfAborted()
      }
    }
  })
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([AbortSignal.timeout(ms), signal])
}

/** Works in the stage that an earlier worker began, or in a new one; a failure marks it, and goes on. */
async function inStage<T>(run: OpenRun, name: string, stage: string, work: (span: Span) => Promise<T>): Promise<T> {
  const span = run.begun.get(name) ?? run.tracer.start(name, run.root, { attributes: { [ATTR_STAGE]: stage } })
  run.begun.delete(name)
  try {
    return await work(span)
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(span, failure)
    throw failure
  } finally {
    span.end()
  }
}

async function readPdf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(response.headers.get('content-length')) > MAX_PDF_BYTES) throw RunFailure.of('pdf_invalid')
  const bytes = new Uint8Array(await response.arrayBuffer())
  const isPdf = new TextDecoder('latin1').decode(bytes.subarray(0, 5)) === '%PDF-'
  if (!isPdf || bytes.byteLength > MAX_PDF_BYTES) throw RunFailure.of('pdf_invalid')
  return bytes
}
