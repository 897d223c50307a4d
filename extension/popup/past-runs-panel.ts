/** The list of past runs, each to be copied, reported or opened. */

import browser from 'webextension-polyfill'
import { deliveredIds } from '../delivered.ts'
import { part } from '../pages.ts'
import { onPastRuns, type PastRun, readPastRuns } from '../past-runs.ts'
import { copy, selectForCopying } from './clipboard.ts'
import { show, write } from './paint.ts'
import { type PastRunRow, rowsOf } from './past-runs-view.ts'
import { followReport, openReport } from './report-panel.ts'
import { goTo, isShown } from './screens.ts'

const list = part('past-runs-list', HTMLOListElement)
const template = part('past-run-template', HTMLTemplateElement)

let runs: PastRun[] = []
let delivered: ReadonlySet<string> = new Set()

/** Opens from its button, and follows the list from then on. */
export function startPastRunsPanel(): void {
  part('past-runs', HTMLButtonElement).addEventListener('click', open)
  list.addEventListener('click', act)
  onPastRuns(async (changed) => {
    runs = changed
    delivered = await deliveredIds()
    paintPastRuns()
    followReport(runs)
  })
}

/** Brings an open list up to date; cheap enough for every tick of the clock. */
export function paintPastRuns(): void {
  if (!isShown('past-runs-panel')) return
  show('past-runs-none', runs.length === 0)
  list.hidden = runs.length === 0
  const rows = rowsOf(runs, delivered, Date.now())
  const known = new Map([...list.children].map((row) => [(row as HTMLElement).dataset.run, row as HTMLElement]))
  // In place: a row that is built anew loses the focus that is in it.
  rows.forEach((row, index) => {
    const element = known.get(row.id) ?? newRow(row)
    known.delete(row.id)
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null)
    paintRow(element, row)
  })
  for (const gone of known.values()) gone.remove()
}

async function open(): Promise<void> {
  ;[runs, delivered] = await Promise.all([readPastRuns(), deliveredIds()])
  goTo('past-runs-panel')
  paintPastRuns()
}

function newRow({ id }: PastRunRow): HTMLElement {
  const row = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement
  row.dataset.run = id
  return row
}

function paintRow(element: HTMLElement, row: PastRunRow): void {
  const at = (selector: string) => element.querySelector<HTMLElement>(selector)
  element.dataset.state = row.icon
  element.querySelector('use')?.setAttribute('href', `#icon-${row.icon}`)
  const texts = { title: row.title, company: row.company, word: row.word, code: row.code, reported: row.reported }
  for (const [name, text] of Object.entries(texts)) write(at(`.${name}`), text)
  const time = element.querySelector('time')
  write(time, row.when)
  if (time && time.dateTime === '') {
    time.dateTime = new Date(row.startedAt).toISOString()
    time.title = new Date(row.startedAt).toLocaleString()
  }
  const id = at('.id')
  if (id && id.textContent === '') id.textContent = row.shortId
  for (const [action, label, shown] of [
    ['copy', 'Copy ID', true],
    ['report', 'Report', row.canReport],
    ['open', 'Open PDF', row.canOpen],
  ] as const) {
    const button = at(`[data-action=${action}]`)
    if (!button) continue
    button.hidden = !shown
    button.ariaLabel = `${label}: ${row.title}, ${row.when}`
  }
  const title = at('.title')
  if (title) title.title = row.title
}

/** One listener for all rows: which button of which run was pressed. */
async function act({ target }: Event): Promise<void> {
  const button = (target as Element).closest('button')
  const row = button?.closest('li')
  const runId = row?.dataset.run
  if (!button || !row || !runId) return
  if (button.dataset.action === 'report') return openReport(runId)
  if (button.dataset.action === 'open') {
    await browser.tabs.create({ url: `${browser.runtime.getURL('resume/resume.html')}#${runId}` })
    return
  }
  if (await copy(runId, button, 'The run ID')) return
  const id = row.querySelector<HTMLElement>('.id')
  if (!id) return
  id.textContent = runId
  selectForCopying(id, 'The full run ID')
}
