/** The service worker: one table of message handlers, and what a new worker does about the one before it. */

import { SpanKind } from '@opentelemetry/api'
import browser from 'webextension-polyfill'
import { ATTR_RPC_METHOD, ATTR_RPC_SYSTEM, RPC_CANCEL_RUN, RPC_START_RUN, RPC_SYSTEM } from '../names.ts'
import { followFirefox, onConsent } from './consent.ts'
import { forgetDelivered } from './delivered.ts'
import {
  type AboutRun,
  type CancelRun,
  FORGET_RUNS,
  POPUP_PORT,
  PREVIEW_REPORT,
  RENEW_IDS,
  REPORT_RUN,
  type RunStarted,
  type StartRun,
  type StartRunMessage,
} from './messages.ts'
import { changePastRuns, readPastRuns, withPastRun } from './past-runs.ts'
import { forgetAccess, prepareAccess } from './relay-access.ts'
import { resumeRun, type StartedRun, startRun } from './run.ts'
import { RunFailure } from './run-failure.ts'
import { readRunRecord, removeRunRecord } from './run-record.ts'
import { onRunStateRemoved, type RunState, readRunState, removeRunState, writeRunState } from './run-state.ts'
import { readSettings } from './settings.ts'
import { renewIds, sessionId } from './tracer/identity.ts'
import { Journal } from './tracer/journal.ts'
import { Tracer } from './tracer/tracer.ts'
import { Traces } from './traces.ts'

/** Wakes a worker while a run is open, should the one that has it die. Half a minute is the browser's least. */
const RECOVERY = 'recovery'
const RECOVERY_MINUTES = 0.5
/** Wakes a worker for traces that the relay did not take, or whose day is over, and only then. */
const UPLOAD = 'upload'

const journal = new Journal()
const traces = new Traces(journal)
/** The run under way, if any: a second click joins it. */
let current: StartedRun | undefined
/** Resolves when the newest run has ended and is on the list of past runs. */
let ending: Promise<void> | undefined
/** Open popups, and what they were shown last. */
const popups = new Set<browser.Runtime.Port>()
let shown: RunState | undefined

const handlers: Record<string, (tracer: Tracer, payload: never) => Promise<unknown>> = {
  [RPC_START_RUN]: onStartRun,
  [RPC_CANCEL_RUN]: onCancelRun,
  [PREVIEW_REPORT]: (_, { runId }: AboutRun) => traces.preview(runId),
  [REPORT_RUN]: onReportRun,
  [RENEW_IDS]: onRenewIds,
  [FORGET_RUNS]: onForgetRuns,
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
  // One that is cancelled may still have something to tell the server; the next one need not wait for that.
  if (current?.view.state.status === 'running') return { run: current.view.state }
  const run = startRun(tracer, request, show)
  track(run)
  recordCall(tracer, run, RPC_START_RUN, request.clickedAt, receivedAt)
  return { run: run.view.state }
}

async function onCancelRun(tracer: Tracer, { runId, clickedAt }: CancelRun): Promise<void> {
  const receivedAt = Date.now()
  const run = current
  if (run?.view.state.id !== runId || run.view.state.status !== 'running') return
  recordCall(tracer, run, RPC_CANCEL_RUN, clickedAt, receivedAt)
  run.cancel()
}

/** The popup's own side is recorded here: it may be closed before it could hand a span over. */
function recordCall(tracer: Tracer, { root }: StartedRun, method: string, clickedAt: number, receivedAt: number): void {
  const attributes = { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: method }
  const call = tracer.start(method, root, { kind: SpanKind.CLIENT, startTime: clickedAt, attributes })
  tracer.start(method, call, { kind: SpanKind.SERVER, startTime: receivedAt, attributes }).end()
  call.end()
}

async function onReportRun(_: Tracer, { runId }: AboutRun) {
  // Should this worker die on the way, the next one goes on.
  await browser.alarms.create(UPLOAD, { delayInMinutes: RECOVERY_MINUTES })
  // The person may be quicker than the list.
  if (shown?.id === runId && shown.status !== 'running') await ending
  const report = await traces.report(runId)
  void upload()
  return report
}

async function onRenewIds(tracer: Tracer): Promise<void> {
  // A run under way has the old ones: with the new ones in its trace, it would tie them together.
  await ending
  await traces.forget()
  await renewIds()
  await forgetAccess()
  tracer.sessionId = await sessionId()
}

async function onForgetRuns(): Promise<void> {
  await traces.forget()
  await changePastRuns(() => [])
  await forgetDelivered()
  if (!current) await removeRunState()
}

function track(run: StartedRun): void {
  const { view, ended } = run
  current = run
  const { id, startedAt } = view.state
  void changePastRuns((runs) => withPastRun(runs, { id, startedAt, status: 'running', trace: 'held' }))
  void browser.alarms.create(RECOVERY, { periodInMinutes: RECOVERY_MINUTES })
  ending = ended.then(async () => {
    if (current === run) current = undefined
    // Where storage cannot be read now, the next worker settles it.
    await traces.settle(view.state).catch(() => undefined)
  })
  // The recovery alarm stays until then: a worker that dies before has the next one finish it.
  void ending.then(upload).finally(() => {
    if (!current) void browser.alarms.clear(RECOVERY)
  })
}

function show(state: RunState): void {
  shown = state
  for (const popup of popups) popup.postMessage(state)
}

/** Never rejects: what could not be sent stays for the next time. */
async function upload(): Promise<void> {
  try {
    const again = await traces.upload()
    // An alarm, not a timer: the worker will not live that long, and need not.
    if (again === undefined) await browser.alarms.clear(UPLOAD)
    else await browser.alarms.create(UPLOAD, { when: again })
  } catch {
    // Storage cannot be read now: nothing is lost, and the next worker or the next run tries again.
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
  const resumed = record && state && state.id === record.id ? resumeRun(tracer, record, state, lost, show) : undefined
  for (const span of lost.open) {
    if (!resumed || span.traceId !== record?.id) tracer.abandon(span, lost.diedAt)
  }
  if (resumed) track(resumed)
  else void browser.alarms.clear(RECOVERY)
  if (record && !resumed) await removeRunRecord()
  const ended = resumed || !state ? undefined : endedState(state)
  if (ended && ended !== state) {
    show(ended)
    await writeRunState(ended).catch(unreadable)
  }
  void settleLost(ended, resumed?.view.state.id).then(upload)
  return tracer
}

/** A run that nobody is working on has ended, whatever it says of itself. */
function endedState(state: RunState): RunState {
  if (state.status !== 'running') return state
  return { ...state, status: 'failed', failure: RunFailure.of('interrupted').body, endedAt: Date.now() }
}

/** Settles the runs that a worker did not live to settle, but for the `resumed`. `newest` is the newest run, ended. */
async function settleLost(newest: RunState | undefined, resumed: string | undefined): Promise<void> {
  for (const run of await readPastRuns()) {
    if (run.status !== 'running' || run.id === resumed || run.id === current?.view.state.id) continue
    await traces.settle(run.id === newest?.id ? newest : endedState({ ...run, status: 'running', step: 'extract' }))
  }
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
browser.runtime.onConnect.addListener((port) => {
  if (port.name !== POPUP_PORT) return
  popups.add(port)
  port.onDisconnect.addListener(() => popups.delete(port))
  void booted.then(() => shown && port.postMessage(shown))
  // Who opens the popup may be about to press Generate, and nobody else has a use for it.
  void readSettings().then(
    ({ relayUrl }) => prepareAccess(relayUrl),
    () => undefined,
  )
})
onRunStateRemoved(() => {
  shown = undefined
})
followFirefox()
onConsent((given) => {
  // What was due by a consent that is taken back stays here.
  const held = () =>
    changePastRuns((runs) => runs.map((run) => (run.trace === 'due' ? { ...run, trace: 'held' } : run)))
  if (given !== true) void held()
})
