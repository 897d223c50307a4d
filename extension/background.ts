/** The service worker: one table of message handlers. */

import { SpanKind } from '@opentelemetry/api'
import browser from 'webextension-polyfill'
import { ATTR_RPC_METHOD, ATTR_RPC_SYSTEM, RPC_START_RUN, RPC_SYSTEM } from '../names.ts'
import type { RunStarted, StartRun, StartRunMessage } from './messages.ts'
import { startRun } from './run.ts'
import { RunFailure } from './run-failure.ts'
import { readRunState, writeRunState } from './run-state.ts'
import { readSettings } from './settings.ts'
import { flush } from './tracer/flush.ts'
import { resourceAttributes, sessionId } from './tracer/identity.ts'
import { Journal } from './tracer/journal.ts'
import { Tracer } from './tracer/tracer.ts'

const journal = new Journal()
const ready = sessionId().then((id) => new Tracer(journal, id))
/** The run under way, if any: a second click joins it. */
let current: string | undefined

const handlers: Record<string, (payload: never) => Promise<unknown>> = {
  [RPC_START_RUN]: onStartRun,
}

browser.runtime.onMessage.addListener((message: unknown, sender: browser.Runtime.MessageSender) => {
  const { type, payload } = message as StartRunMessage
  const handler = handlers[type]
  // Only our own pages may ask: a content script shares its process with the page.
  if (!handler || sender.id !== browser.runtime.id || !sender.url?.startsWith(browser.runtime.getURL(''))) return
  return handler(payload as never)
})

async function onStartRun(request: StartRun): Promise<RunStarted> {
  const receivedAt = Date.now()
  if (current) return { runId: current }
  const tracer = await ready
  const { root, ended } = startRun(tracer, request)
  const { traceId } = root.spanContext()
  current = traceId
  // The popup's own side is recorded here: it may be closed before it could hand a span over.
  const attributes = { [ATTR_RPC_SYSTEM]: RPC_SYSTEM, [ATTR_RPC_METHOD]: RPC_START_RUN }
  const call = tracer.start(RPC_START_RUN, root, { kind: SpanKind.CLIENT, startTime: request.clickedAt, attributes })
  const served = tracer.start(RPC_START_RUN, call, { kind: SpanKind.SERVER, startTime: receivedAt, attributes })
  served.end()
  call.end()
  void ended.finally(() => {
    current = undefined
    void upload()
  })
  return { runId: traceId }
}

/** Never rejects: what could not be sent stays for the next time. */
async function upload(): Promise<void> {
  try {
    const { relayUrl } = await readSettings()
    await flush(journal, relayUrl, await resourceAttributes())
  } catch {
    // Storage cannot be read now, so nothing was sent and nothing is lost.
  }
}

/** A run whose worker has died does not go on by itself: it is said to have ended, so that the person can press again. */
async function closeInterruptedRun(): Promise<void> {
  const state = await readRunState()
  if (current || state?.status !== 'running') return
  const failure = RunFailure.of('interrupted').body
  await writeRunState({ ...state, status: 'failed', failure, endedAt: Date.now() })
}

// By default pages' content scripts may read and write what extensions store: here, a resume and where it is sent.
// Firefox does not have the call, and keeps storage from nobody.
void chrome.storage.local.setAccessLevel?.({ accessLevel: 'TRUSTED_CONTEXTS' })

// An open popup holds a connection, which is lost with the worker: connecting again is what wakes the next one.
browser.runtime.onConnect.addListener(() => {})

// What an earlier worker left behind.
void closeInterruptedRun().finally(upload)
