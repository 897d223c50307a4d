/** The first page of the console: a form for an ID, and a list of runs with what to narrow it down by. */
import { html } from 'hono/html'
import { SERVER_STAGES } from '../../server/contract.ts'
import { FAILURE_ENTRIES } from '../diagnosis.ts'
import type { Stay } from '../store/retention.ts'
import { formatMs } from './diagnosis.ts'
import { type Html, lookUpForm, moment, page, stayTime } from './page.ts'
import type { Answer, ListedRun, Question } from './runs.ts'
import type { Session } from './staff.ts'
import { STATES } from './states.ts'

export interface LookUp {
  session: Session | undefined
  question: Question
  answer: Answer
  stays: ReadonlyMap<string, Stay | undefined>
  /** What cannot be looked up here, in sentences. */
  limits: string
  nowMs: number
  /** Why the ID that was typed led nowhere. */
  problem?: { id: string; message: string }
}

const STEPS = ['extract', 'generate', ...SERVER_STAGES, 'deliver']

/** The look-up page. */
export function lookUpPage({ session, question, answer, stays, limits, nowMs, problem }: LookUp): Html {
  const { runs, examined, olderThan } = answer
  return page(
    { title: 'Look up a run', session },
    html`<h1>What happened to a run?</h1>
${problem ? html`<p class="notice" role="alert">${problem.message}</p>` : ''}
${lookUpForm(problem?.id)}
<h2 id="runs">Runs</h2>
${limits === '' ? '' : html`<p class="hint">${limits}</p>`}
${filterForm(question)}
${runs.length > 0 ? html`<ul class="runs" aria-labelledby="runs">${runs.map((run) => listedRun(run, stays.get(run.traceId), nowMs))}</ul>` : ''}
${runs.length === 0 ? html`<p class="hint">${examined === 0 ? 'Nothing yet. A run appears here with its first span.' : `None of the newest ${examined} runs is like that.`}</p>` : ''}
${olderThan === undefined ? '' : html`<p><a href="/support?${queryOf(question, olderThan)}" rel="next">Older runs</a> <span class="hint">${examined} were looked at.</span></p>`}`,
  )
}

/** Several traces begin with the digits given. */
export function candidatesPage(prefix: string, candidates: string[], session: Session | undefined): Html {
  return page(
    { title: `${prefix}…`, session },
    html`<h1>More than one run begins with <code>${prefix}</code></h1>
<ul class="runs">${candidates.map((id) => html`<li><a href="/support/${id}"><code>${id}</code></a></li>`)}</ul>
${lookUpForm(prefix)}`,
  )
}

/** Nothing can be looked up now. */
export function unavailablePage(message: string, session: Session | undefined): Html {
  return page(
    { title: 'No answer', session },
    html`<h1>The runs cannot be read now</h1>
<p class="notice" role="alert">${message}</p>
${lookUpForm()}`,
  )
}

function listedRun({ traceId, at, summary }: ListedRun, stay: Stay | undefined, nowMs: number): Html {
  const { icon, word } = STATES[summary?.state ?? 'open']
  const state = summary?.truncated
    ? html`<span class="state">too large</span> <span class="what hint">Open it to see what became of it.</span> <span class="took"></span>`
    : summary
      ? html`<span class="state ${summary.state}"><span aria-hidden="true">${icon}</span> ${word}</span> <span class="what">${summary.step ? html`at “${summary.step}”` : ''}${summary.code ? html` <code>${summary.code}</code>` : ''}${summary.state === 'open' ? summary.sentence.replace(/(?<=\.) .*/s, '') : ''}</span> <span class="took">${formatMs(summary.durationMs)}</span>`
      : html`<span class="state">not read yet</span> <span class="what"></span> <span class="took"></span>`
  return html`<li><a href="/support/${traceId}"><code>${traceId}</code></a> ${state} <span class="when">${moment(at, nowMs)}${stay ? html` · ${stayTime(stay, nowMs)}` : ''}</span></li>`
}

function filterForm(question: Question): Html {
  const { outcome, step, code, version, from, to } = question
  const isOpen = outcome ?? (step || code || version || from || to)
  return html`<details class="filters"${isOpen ? html` open` : ''}><summary>Narrow down</summary>
<form action="/support" method="get" class="filter">
${choice(
  'outcome',
  'Outcome',
  Object.entries(STATES).map(([value, { word }]) => [value, word]),
  outcome ?? '',
)}
${choice(
  'step',
  'Failed step',
  STEPS.map((step) => [step, step]),
  step,
)}
${choice(
  'code',
  'Failure code',
  Object.keys(FAILURE_ENTRIES).map((code) => [code, code]),
  code,
)}
<p><label for="version">Version</label><input id="version" name="version" value="${version}" autocomplete="off" spellcheck="false"></p>
<p><label for="from">From (UTC)</label><input id="from" name="from" type="datetime-local" value="${localTime(from)}"></p>
<p><label for="to">To (UTC)</label><input id="to" name="to" type="datetime-local" value="${localTime(to)}"></p>
<p class="buttons"><button>Show</button> <a href="/support">Show all</a></p>
</form></details>`
}

function choice(name: string, label: string, options: [string, string][], chosen: string): Html {
  return html`<p><label for="${name}">${label}</label><select id="${name}" name="${name}"><option value="">any</option>${options.map(
    ([value, word]) => html`<option value="${value}"${value === chosen ? html` selected` : ''}>${word}</option>`,
  )}</select></p>`
}

function localTime(at: number | undefined): string {
  return at === undefined ? '' : new Date(at).toISOString().slice(0, 16)
}

function queryOf({ outcome, step, code, version, from }: Question, olderThan: number): string {
  const time = (at: number | undefined) => (at === undefined ? '' : new Date(at).toISOString())
  const all = { outcome: outcome ?? '', step, code, version, from: time(from), to: time(olderThan) }
  return new URLSearchParams(Object.entries(all).filter(([, value]) => value !== '')).toString()
}
