/** The popup: draws the newest run from storage, and asks the background for a new one. It holds no run of its own. */

import browser from 'webextension-polyfill'
import { RPC_CANCEL_RUN, RPC_START_RUN } from '../../names.ts'
import { type CancelRunMessage, POPUP_PORT, type RunStarted, type StartRunMessage } from '../messages.ts'
import { part } from '../pages.ts'
import { type RunState, readRunState } from '../run-state.ts'
import { readSettings } from '../settings.ts'
import { copy, selectForCopying } from './clipboard.ts'
import { startConsentQuestion } from './consent-question.ts'
import { announce, paint } from './paint.ts'
import { paintPastRuns, startPastRunsPanel } from './past-runs-panel.ts'
import { openReport, startReportPanel } from './report-panel.ts'
import { startScreens } from './screens.ts'
import { type PopupFacts, viewOf } from './view.ts'

/** A worker that is asleep wakes in tens of milliseconds; after this it is not coming. */
const START_TIMEOUT_MS = 10_000
const TICK_MS = 250
/** A worker that dies at once on starting must not be started in a tight loop. */
const RECONNECT_MS = 100

const facts: Omit<PopupFacts, 'now'> = {
  run: undefined,
  hasProfile: true,
  starting: false,
  trouble: undefined,
  consentOpen: false,
  idInFull: false,
}
let announced: string | undefined

function draw(): void {
  const view = viewOf({ ...facts, now: Date.now() })
  paint(view)
  // Not on opening: the reader reads the page then anyway.
  if (announced !== undefined && announced !== view.announcement) announce(view.announcement)
  announced = view.announcement
  paintPastRuns()
}

/** Asks for a run on the tab the person is looking at. Every way this can fail ends in words. */
async function generate(): Promise<void> {
  if (!viewOf({ ...facts, now: Date.now() }).generate.enabled) return
  const clickedAt = Date.now()
  const previous = facts.run?.id
  const isNew = () => facts.run !== undefined && facts.run.id !== previous
  const giveUp = (words: string) => {
    // The run is the truth: with its worker, the answer can die while the run is well and in storage.
    facts.trouble = isNew() ? undefined : words
    facts.starting = false
    draw()
  }
  facts.starting = true
  facts.trouble = undefined
  draw()
  const timeout = setTimeout(() => {
    if (!isNew()) giveUp('The extension did not answer.')
  }, START_TIMEOUT_MS)
  try {
    const [tab] = await browser.tabs.query({ active: true, currentWindow: true })
    if (tab?.id === undefined) return giveUp('We could not tell which tab you are looking at.')
    const message = { type: RPC_START_RUN, payload: { tabId: tab.id, clickedAt } } satisfies StartRunMessage
    const { run } = (await browser.runtime.sendMessage(message)) as RunStarted
    // What came over the connection meanwhile is newer than this answer.
    if (facts.run?.id !== run.id) showRun(run)
    if (!isNew()) return giveUp('The extension did not start a run.')
  } catch {
    facts.run = await readRunState()
    giveUp('The extension did not answer.')
  } finally {
    clearTimeout(timeout)
  }
}

/** How it ends is told by the run's state, as ever: where the background does not answer, the run goes on. */
async function cancel(): Promise<void> {
  if (!facts.run) return
  const payload = { runId: facts.run.id, clickedAt: Date.now() }
  const message = { type: RPC_CANCEL_RUN, payload } satisfies CancelRunMessage
  await browser.runtime.sendMessage(message).catch(() => undefined)
}

async function copyId(): Promise<void> {
  if (!facts.run || (await copy(facts.run.id, part('copy-id', HTMLButtonElement), 'The run ID'))) return
  // No clipboard here: show the whole ID, selected, so that the person can copy it by hand.
  facts.idInFull = true
  draw()
  selectForCopying(part('run-id', HTMLElement), 'The full run ID')
}

async function openPdf(): Promise<void> {
  if (facts.run) await browser.tabs.create({ url: `${browser.runtime.getURL('resume/resume.html')}#${facts.run.id}` })
}

part('generate', HTMLButtonElement).addEventListener('click', generate)
part('cancel', HTMLButtonElement).addEventListener('click', cancel)
part('copy-id', HTMLButtonElement).addEventListener('click', copyId)
part('open-pdf', HTMLButtonElement).addEventListener('click', openPdf)
part('report', HTMLButtonElement).addEventListener('click', () => facts.run && openReport(facts.run.id))
part('open-options', HTMLButtonElement).addEventListener('click', () => browser.runtime.openOptionsPage())
part('settings', HTMLButtonElement).addEventListener('click', () => browser.runtime.openOptionsPage())

function showRun(run: RunState): void {
  if (run.id !== facts.run?.id) {
    facts.starting = false
    facts.trouble = undefined
  }
  facts.run = run
  draw()
}

browser.storage.onChanged.addListener((changes, area) => {
  if (area !== 'local' || !changes.profile) return
  facts.hasProfile = Boolean(changes.profile.newValue)
  draw()
})

/** Keeps the worker's end in view: with it goes the connection, and connecting again starts the next worker. */
function stayConnected(): void {
  const port = browser.runtime.connect({ name: POPUP_PORT })
  port.onMessage.addListener((run) => showRun(run as RunState))
  port.onDisconnect.addListener(() => setTimeout(stayConnected, RECONNECT_MS))
}

startScreens()
startPastRunsPanel()
startReportPanel()
facts.run = await readRunState()
stayConnected()
facts.hasProfile = (await readSettings()).profile !== undefined
await startConsentQuestion((open) => {
  facts.consentOpen = open
  draw()
})
setInterval(draw, TICK_MS)
