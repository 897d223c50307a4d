/** The service worker: one table of message handlers, and what a new worker does about the one before it. */

import { SpanKind } from '@opentelemetry/api'
import browser from 'webextension-polyfill'
import { ATTR_RPC_METHOD, ATTR_RPC_SYSTEM, RPC_START_RUN, RPC_SYSTEM } from '../names.ts'
import type { RunStarted, StartRun, StartRunMessage } from './messages.ts'
import { resumeRun, type StartedRun, startRun } from './run.ts'
import { RunFailure } from './run-failure.ts'
import { readRunRecord, removeRunRecord } from './run-record.ts'
import { readRunState, writeRunState } from './run-state.ts'
import { readSettings } from './settings.ts'
import { flush } from './tracer/flush.ts'
import { resourceAttributes, sessionId } from './tracer/identity.ts'
import { Journal } from './tracer/journal.ts'
import { Tracer } from './tracer/tracer.ts'

/** Wakes a worker while a run is open, should the one that has it die. Half a minute is the browser's least. */
const RECOVERY = 'recovery'
const RECOVERY_MINUTES = 0.5
/** Wakes a worker for spans that the relay did not take, and only then. */
const UPLOAD = 'upload'

const journal = new Journal()
/** The run under way, if any: a second click joins it. */
let current: string | undefined

const handlers: Record<string, (tracer: Tracer, payload: never) => Promise<unknown>> = {
  [RPC_START_RUN]: onStartRun,
}

browser.runtime.onMessage.addListener((message: unknown, sender: browser.Runtime.MessageSender) => {
  const { type, payload } = message as StartRunMessage
  const handler = handlers[type]
  // Only our own pages may ask: a content script shares its process with the page.
  if (!handler || sender.id !== browser.runtime.id || !sender.url?.startsWith(browser.runtime.getURL(''))) return
  return booted.then((tracer) => handler(tracer, payload as never))
})

async function onStartRun(tracer: Tracer, request: StartRun): Promise<RunStarted> {
  const receivedAt = Date.now()
  if (current) return { runId: current }
  const run = startRun(tracer, request)
  track(run)
  // The popup's own side is recorded here: it may be closed before it could hand a span over.
  const attributes = { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_START_RUN }
  const call = tracer.start(RPC_START_RUN, run.root, {
    kind: SpanKind.CLIENT,
    startTime: request.clickedAt,
    attributes,
  })
  const served = tracer.start(RPC_START_RUN, call, { kind: SpanKind.SERVER, startTime: receivedAt, attributes })
  served.end()
  call.end()
  return { runId: run.root.spanContext().traceId }
}

function track({ root, ended }: StartedRun): void {
  current = root.spanContext().traceId
  void browser.alarms.create(RECOVERY, { periodInMinutes: RECOVERY_MINUTES })
  void ended.finally(() => {
    current = undefined
    void browser.alarms.clear(RECOVERY)
    void upload()
  })
}

/** Never rejects: what could not be sent stays for the next time. */
async function upload(): Promise<void> {
  try {
    const { relayUrl } = await readSettings()
    const again = await flush(journal, relayUrl, await resourceAttributes())
    // An alarm, not a timer: the worker will not live that long, and need not.
    if (again === undefined) await browser.alarms.clear(UPLOAD)
    else await browser.alarms.create(UPLOAD, { when: again })
  } catch {
    // Storage cannot be read now, so nothing was sent and nothing is lost.
  }
}

/** Takes up the run of the worker before this one, and ends truthfully what it left open and cannot be taken up. */
async function boot(): Promise<Tracer> {
  const tracer = new Tracer(journal, await sessionId())
  // Where storage cannot be read there is nothing to take up, and a new run must start all the same.
  const unreadable = () => undefined
  const lost = (await journal.lost().catch(unreadable)) ?? { open: [], diedAt: Date.now() }
  const record = await readRunRecord().catch(unreadable)
  const state = await readRunState().catch(unreadable)
  const resumed = record && state && state.id === record.id ? resumeRun(tracer, record, state, lost) : undefined
  for (const span of lost.open) {
    if (!resumed || span.traceId !== record?.id) tracer.abandon(span, lost.diedAt)
  }
  if (resumed) {
    track(resumed)
    return tracer
  }
  if (record) await removeRunRecord()
  if (state?.status === 'running') {
    const failure = RunFailure.of('interrupted').body
    await writeRunState({ ...state, status: 'failed', failure, endedAt: Date.now() })
  }
  void upload()
  return tracer
}

const booted = boot()

// By default pages' content scripts may read and write what extensions store: here, a resume and where it is sent.
// Firefox does not have the call, and keeps storage from nobody.
void chrome.storage.local.setAccessLevel?.({ accessLevel: 'TRUSTED_CONTEXTS' })

browser.alarms.onAlarm.addListener(({ name }) => {
  if (name === UPLOAD) void booted.then(upload)
})
// What these tell is that a worker has started, and that is all there is to know: everything is done at boot.
browser.runtime.onStartup.addListener(() => {})
browser.runtime.onInstalled.addListener(() => {})
// An open popup holds a connection, which is lost with the worker: connecting again is what wakes the next one.
browser.runtime.onConnect.addListener(() => {})
