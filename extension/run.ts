/** One run, from the click to the PDF in the browser, across the deaths of its worker. Owns the root span. */

import type { Span } from '@opentelemetry/api'
import { ATTR_PDF_SIZE, ATTR_POSTING_SOURCE, ATTR_STAGE, SPAN_DELIVER, SPAN_GENERATE, SPAN_RUN } from '../names.ts'
import { Run, type RunEvent } from '../server/contract.ts'
import type { Posting, Profile } from '../server/request-contract.ts'
import { storeDelivered } from './delivered.ts'
import { followEvents } from './events.ts'
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

export interface StartedRun {
  root: Span
  view: RunView
  /** Resolves when the run has ended and its root span with it. Never rejects: a failure is in the run's state. */
  ended: Promise<void>
}

/** A run that is under way in this worker. */
interface OpenRun {
  tracer: Tracer
  root: Span
  record: RunRecord
  view: RunView
  /** Stages that an earlier worker began, by name; each is taken up once. */
  begun: Map<string, Span>
}

/** Starts a run: root span, run state, and everything after it in the background. */
export function startRun(tracer: Tracer, { tabId, clickedAt }: StartRun, tell: Tell): StartedRun {
  const root = tracer.start(SPAN_RUN, undefined, { startTime: clickedAt })
  const id = root.spanContext().traceId
  const record: RunRecord = { id, tabId, clickedAt, accepted: false, lastEventId: 0 }
  const view = new RunView({ id, startedAt: clickedAt, status: 'running', step: 'extract' }, tell)
  return { root, view, ended: complete({ tracer, root, record, view, begun: new Map() }) }
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
  return { root, view, ended: complete({ tracer, root, record, view, begun }) }
}

/** From wherever the run is to its end. */
async function complete(run: OpenRun): Promise<void> {
  const { tracer, root, record, view } = run
  try {
    // Only the root's end was missing.
    if (view.state.status === 'done') return
    if (view.state.failure) throw new RunFailure(view.state.failure)
    await writeRunRecord(record)
    await view.update({})
    const { profile, relayUrl } = await readSettings()
    if (!profile) throw RunFailure.of('profile_missing')
    const relay = new RelayClient(relayUrl, tracer)
    record.posting ??= await askForPosting(tracer, root, record.tabId)
    root.setAttribute(ATTR_POSTING_SOURCE, record.posting.source)
    tracer.checkpoint(root)
    // Not awaited, here and below: the next request waits for its span to be in storage, behind this.
    void writeRunRecord(record)
    void view.update({ posting: { title: record.posting.title, company: record.posting.company } })
    record.done ??= await generate(run, relay, { profile, posting: record.posting })
    void writeRunRecord(record)
    void view.update({ step: 'deliver' })
    const { fileName, pages, sizeBytes, keywordsMatched, keywordsTotal, terms, wording } = record.done
    await deliver(run, relay, fileName)
    const keywords = { matched: keywordsMatched, total: keywordsTotal }
    await view.end({ status: 'done', pdf: { fileName, pages, sizeBytes }, keywords, terms, wording })
  } catch (error) {
    const failure = RunFailure.from(error)
    markFailed(root, failure)
    await view.end({ status: 'failed', failure: failure.body })
  } finally {
    for (const stage of run.begun.values()) stage.end()
    root.end()
    await removeRunRecord()
  }
}

/** Posts the run and follows it to its last event. Throws the RunFailure it ends with. */
async function generate(run: OpenRun, relay: RelayClient, body: { profile: Profile; posting: Posting }): Promise<Done> {
  const { record, view } = run
  return inStage(run, SPAN_GENERATE, 'generate', async (stage) => {
    if (!record.accepted) void view.update({ step: 'llm' })
    const deadline = AbortSignal.timeout(Math.max(1, record.clickedAt + RUN_MS - Date.now()))
    const post = async () => {
      await relay.request(
        stage,
        { method: 'POST', path: '/generate', body, signal: AbortSignal.timeout(REQUEST_MS), waiting: stage },
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
    if (!record.accepted) await post()
    await follow().catch(async (error: unknown) => {
      // A server that has started anew knows nothing of the run; posting it again is what the ID is for.
      if (!(error instanceof RunFailure) || error.body.code !== 'run_not_found') throw error
      await post()
      return follow()
    })
    if (last?.type === 'done') return last
    throw last?.type === 'failed' ? new RunFailure(last.failure) : RunFailure.of('server_unreachable')
  })
}

/** Brings the PDF into the browser's own storage. Throws RunFailure pdf_invalid when what comes is none. */
async function deliver(run: OpenRun, relay: RelayClient, fileName: string): Promise<void> {
  const { id } = run.record
  return inStage(run, SPAN_DELIVER, 'deliver', async (stage) => {
    const path = `/runs/${id}/resume.pdf`
    const bytes = await relay.request(stage, { method: 'GET', path, signal: AbortSignal.timeout(REQUEST_MS) }, readPdf)
    stage.setAttribute(ATTR_PDF_SIZE, bytes.byteLength)
    await storeDelivered(id, fileName, bytes)
  })
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
