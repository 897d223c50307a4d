/** Puts a view on the popup's page. Text only as text: titles and details come from pages and profiles. */

import { part } from '../pages.ts'
import type { PopupStatus, PopupView, Result, StepState } from './view.ts'

const STEP_WORDS: Record<StepState, string> = { waiting: '', now: 'now', done: 'done', failed: 'stopped' }
const STATUS_ICON: Record<PopupStatus, StepState> = {
  idle: 'waiting',
  first_run: 'waiting',
  starting: 'now',
  running: 'now',
  done: 'done',
  failed: 'failed',
  cancelled: 'waiting',
  interrupted: 'failed',
  not_started: 'failed',
}

/** Shows the view. Touches only what has changed, so that focus, selection and screen readers are left in peace. */
export function paint(view: PopupView): void {
  document.body.dataset.status = view.status // chooses colours, and tells browser tests where a run stands
  setText('status', view.statusText)
  setText('elapsed', view.timeText)
  part('status-icon', SVGUseElement).setAttribute('href', `#icon-${STATUS_ICON[view.status]}`)
  setText('posting-label', view.posting.label)
  setText('posting-title', view.posting.title)
  part('posting-title', HTMLElement).title = view.posting.title
  setText('posting-company', view.posting.company)
  paintGenerate(view.generate)
  paintSteps(view)
  paintOutcome(view)
  paintRun(view)
}

/** Tells a screen reader, once: the same words twice in a row are one announcement. */
export function announce(words: string): void {
  setText('announcement', words)
}

function paintGenerate({ label, enabled, primary }: PopupView['generate']): void {
  const button = part('generate', HTMLButtonElement)
  setText('generate', label)
  // aria-disabled, not disabled: a disabled button drops the focus, and a keyboard user would be lost after pressing it.
  button.setAttribute('aria-disabled', String(!enabled))
  button.classList.toggle('primary', primary)
}

function paintSteps({ steps, progress }: PopupView): void {
  const list = part('steps', HTMLOListElement)
  if (list.childElementCount !== steps.length) list.replaceChildren(...steps.map(() => stepRow()))
  steps.forEach(({ step, words, state }, index) => {
    const row = list.children[index] as HTMLLIElement
    row.dataset.step = step
    row.dataset.state = state
    if (state === 'now' || state === 'failed') row.setAttribute('aria-current', 'step')
    else row.removeAttribute('aria-current')
    row.querySelector('use')?.setAttribute('href', `#icon-${state}`)
    write(row.querySelector('.words'), words)
    write(row.querySelector('.small'), STEP_WORDS[state])
  })
  const bar = part('progress', HTMLElement)
  bar.setAttribute('aria-valuemax', String(steps.length))
  bar.setAttribute('aria-valuenow', String(progress.done))
  bar.setAttribute('aria-valuetext', progress.text)
  const fill = bar.firstElementChild as HTMLElement
  fill.style.transform = `scaleX(${progress.done / steps.length})`
}

function stepRow(): HTMLLIElement {
  const row = document.createElement('li')
  const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  icon.setAttribute('class', 'icon')
  icon.setAttribute('aria-hidden', 'true')
  icon.append(document.createElementNS('http://www.w3.org/2000/svg', 'use'))
  const words = document.createElement('span')
  words.className = 'words'
  const state = document.createElement('span')
  state.className = 'small'
  row.append(icon, words, state)
  return row
}

function paintOutcome({ status, hint, result, failure, asksConsent, canCancel }: PopupView): void {
  show('consent', asksConsent)
  show('hint', hint !== undefined && !failure)
  setText('hint', hint ?? '')
  const cancel = part('cancel', HTMLButtonElement)
  // A button that goes takes the focus with it: the next thing to do is to generate.
  if (!canCancel && document.activeElement === cancel) part('generate', HTMLButtonElement).focus()
  show('cancel', canCancel)
  paintResult(result)
  show('failure', failure !== undefined)
  setText('failure-message', failure?.message ?? '')
  setText('failure-advice', failure?.advice ?? '')
  show('failure-detail', failure?.detail !== undefined)
  setText('failure-detail', failure?.detail ?? '')
  setText('failure-code', failure?.code ?? '')
  show('failure-code-line', failure?.code !== undefined)
  stopWhereItScrolls(part('failure', HTMLElement))
  show('open-options', status === 'first_run' || failure?.opensOptions === true)
  setText('open-options', status === 'first_run' ? 'Add your profile' : 'Open options')
}

function paintResult(result: Result | undefined): void {
  show('result', result !== undefined)
  setText('pdf-name', result?.fileName ?? '')
  part('pdf-name', HTMLElement).title = result?.fileName ?? ''
  setText('pdf-facts', result?.facts ?? '')
  setItems('notes', result?.notes ?? [])
  setText('pdf-keywords', result?.keywords ?? '')
  const { covered = [], missing = [] } = result?.terms ?? {}
  show('terms-covered-group', covered.length > 0)
  setItems('terms-covered', covered)
  show('terms-missing-group', missing.length > 0)
  setItems('terms-missing', missing)
  stopWhereItScrolls(part('about-result', HTMLElement))
}

/** Only what scrolls is a stop on the keyboard's way. */
function stopWhereItScrolls(box: HTMLElement): void {
  if (box.scrollHeight > box.clientHeight) box.tabIndex = 0
  else box.removeAttribute('tabindex')
}

function paintRun({ runId, canReport }: PopupView): void {
  // Their places are kept before the first run: nothing moves when the ID arrives.
  part('run', HTMLElement).style.visibility = runId ? 'visible' : 'hidden'
  part('report', HTMLElement).style.visibility = canReport ? 'inherit' : 'hidden'
  const id = part('run-id', HTMLElement)
  setText('run-id', runId?.shown ?? '')
  id.title = runId?.full ?? ''
  id.classList.toggle('full', runId !== undefined && runId.shown === runId.full)
}

/** Shows or hides the part. */
export function show(name: string, shown: boolean): void {
  part(name, HTMLElement).hidden = !shown
}

/** Only when it differs: selections and screen readers are left in peace. */
export function setText(name: string, text: string): void {
  write(part(name, HTMLElement), text)
}

/** The list's items; none and the list is hidden. */
function setItems(name: string, texts: readonly string[]): void {
  show(name, texts.length > 0)
  const list = part(name, HTMLUListElement)
  while (list.childElementCount > texts.length) list.lastElementChild?.remove()
  while (list.childElementCount < texts.length) list.append(document.createElement('li'))
  for (const [index, text] of texts.entries()) write(list.children[index] ?? null, text)
}

export function write(element: Element | null, text: string): void {
  if (element && element.textContent !== text) element.textContent = text
}
