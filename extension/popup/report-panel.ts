/** The report of one run: shows exactly what would be sent, and sends it when the person says so. */

import browser from 'webextension-polyfill'
import { type AboutRun, PREVIEW_REPORT, REPORT_RUN } from '../messages.ts'
import { part } from '../pages.ts'
import { type PastRun, readPastRuns } from '../past-runs.ts'
import type { Report } from '../traces.ts'
import { copy, selectForCopying } from './clipboard.ts'
import { announce, setText, show } from './paint.ts'
import { answerOf, contentOf, type Fact, type ReportContent, type ReportedStep, standingOf } from './report-view.ts'
import { goTo, isShown } from './screens.ts'

const send = part('report-send', HTMLButtonElement)

/** ID of the run that the panel is about. */
let about = ''
let json = ''

/** Answers the panel's buttons from then on. */
export function startReportPanel(): void {
  send.addEventListener('click', sendReport)
  part('report-copy-id', HTMLButtonElement).addEventListener('click', copyId)
  part('report-copy-json', HTMLButtonElement).addEventListener('click', copyJson)
}

/** Opens the panel for a run. What cannot be had is said in words. */
export async function openReport(runId: string): Promise<void> {
  about = runId
  setText('report-id', runId.slice(0, 8))
  const id = part('report-id', HTMLElement)
  id.title = runId
  id.classList.remove('full')
  paintRun(undefined)
  paintContent(undefined)
  setText('report-lead', 'Reading what is held of this run…')
  setText('report-answer', '')
  paintSend('Send report', false)
  goTo('report-panel')
  try {
    const [run, report] = await Promise.all([find(runId), ask(PREVIEW_REPORT, runId)])
    if (about !== runId) return // another one has been opened since
    paintRun(run)
    const { lead, button } = standingOf(run, report)
    setText('report-lead', lead)
    paintContent(report.body === undefined ? undefined : contentOf(report.body))
    paintSend(button ?? 'Sent', button !== undefined)
  } catch {
    setText('report-lead', 'The extension did not answer. Go back and try again.')
  }
}

/** A report that waited may be sent while the panel is open. */
export function followReport(runs: readonly PastRun[]): void {
  const run = runs.find(({ id }) => id === about)
  if (isShown('report-panel') && run?.report === 'sent') showAnswer({ state: 'sent' }, about)
}

async function sendReport(): Promise<void> {
  if (send.ariaDisabled === 'true') return
  const runId = about
  paintSend('Sending…', false)
  setText('report-answer', '')
  try {
    const report = await ask(REPORT_RUN, runId)
    if (about === runId) showAnswer(report, runId)
  } catch {
    if (about !== runId) return
    setText('report-answer', 'The extension did not answer. Try again.')
    announce('The extension did not answer. Try again.')
    paintSend('Send report', true)
  }
}

function showAnswer(report: Report, runId: string): void {
  const words = answerOf(report, runId)
  setText('report-answer', words)
  announce(words)
  if (report.state === 'waiting') paintSend('Try again now', true)
  else paintSend(report.state === 'sent' ? 'Sent' : 'Send report', false)
}

async function copyId(): Promise<void> {
  const id = part('report-id', HTMLElement)
  if (await copy(about, part('report-copy-id', HTMLButtonElement), 'The run ID')) return
  setText('report-id', about)
  id.classList.add('full')
  selectForCopying(id, 'The full run ID')
}

async function copyJson(): Promise<void> {
  if (await copy(json, part('report-copy-json', HTMLButtonElement), 'The JSON')) return
  selectForCopying(part('report-json', HTMLElement), 'The JSON')
}

function paintRun(run: PastRun | undefined): void {
  const { title = '', company = '' } = run?.posting ?? {}
  show('report-run', run?.posting !== undefined)
  setText('report-run', [title, company].filter(Boolean).join(' · '))
  part('report-run', HTMLElement).title = [title, company].filter(Boolean).join(' · ')
}

// aria-disabled, not disabled: a disabled button drops the focus, and a keyboard user would be lost after pressing it.
function paintSend(label: string, enabled: boolean): void {
  send.textContent = label
  send.ariaDisabled = String(!enabled)
}

function paintContent(content: ReportContent | undefined): void {
  json = content?.json ?? ''
  show('report-content', content !== undefined)
  setText('report-json', json)
  part('report-about', HTMLElement).replaceChildren(...factRows(content?.about ?? []))
  const steps = content?.steps ?? []
  setText('report-count', `${steps.length} ${steps.length === 1 ? 'step' : 'steps'}`)
  part('report-spans', HTMLElement).replaceChildren(...steps.map(stepRow))
}

function stepRow({ words, duration, outcome, depth, facts }: ReportedStep): HTMLLIElement {
  const summary = document.createElement('summary')
  summary.append(textIn('span', 'words', words), textIn('span', 'state', outcome), textIn('span', 'time', duration))
  const list = document.createElement('dl')
  list.className = 'facts'
  list.append(...factRows(facts))
  const details = document.createElement('details')
  details.append(summary, list)
  const row = document.createElement('li')
  row.dataset.state = outcome === 'OK' ? 'done' : 'failed'
  row.style.paddingLeft = `${8 * depth}px`
  row.append(details)
  return row
}

function factRows(facts: readonly Fact[]): HTMLElement[] {
  return facts.flatMap(({ name, value }) => [textIn('dt', '', name), textIn('dd', '', value)])
}

function textIn(tag: string, className: string, text: string): HTMLElement {
  const element = document.createElement(tag)
  element.className = className
  element.textContent = text
  return element
}

async function find(runId: string): Promise<PastRun | undefined> {
  return (await readPastRuns()).find(({ id }) => id === runId)
}

function ask(type: string, runId: string): Promise<Report> {
  return browser.runtime.sendMessage({ type, payload: { runId } satisfies AboutRun }) as Promise<Report>
}
