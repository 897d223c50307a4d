/** The first page of the console: a form for an ID, and the runs that were seen last. */
import { html } from 'hono/html'
import type { RecentTrace } from '../store/look-up.ts'
import type { Stay } from '../store/retention.ts'
import { type Html, lookUpForm, moment, page, stayTime } from './page.ts'

/** A run in the list, and how long it stays. */
type ListedTrace = RecentTrace & { stay: Stay | undefined }

/** The look-up page; `problem` says why the ID that was typed led nowhere. */
export function lookUpPage(recent: ListedTrace[], nowMs: number, problem?: { id: string; message: string }): Html {
  return page(
    'Look up a run – PASS ATS support',
    html`<h1>What happened to a run?</h1>
${problem ? html`<p class="notice" role="alert">${problem.message}</p>` : ''}
${lookUpForm(problem?.id)}
<h2>Recent runs</h2>
${recent.length === 0 ? html`<p class="hint">Nothing yet. A run appears here with its first span.</p>` : recentList(recent, nowMs)}`,
  )
}

/** Several traces begin with the digits given. */
export function candidatesPage(prefix: string, candidates: string[]): Html {
  return page(
    `${prefix}… – PASS ATS support`,
    html`<h1>More than one run begins with <code>${prefix}</code></h1>
<ul class="runs">${candidates.map((id) => html`<li><a href="/support/${id}"><code>${id}</code></a></li>`)}</ul>
${lookUpForm(prefix)}`,
  )
}

function recentList(recent: ListedTrace[], nowMs: number): Html {
  return html`<ul class="runs">${recent.map(
    ({ traceId, firstSeen, stay }) =>
      html`<li><a href="/support/${traceId}"><code>${traceId}</code></a> <span class="when">${moment(firstSeen, nowMs)}${stay ? html` · ${stayTime(stay, nowMs)}` : ''}</span></li>`,
  )}</ul>`
}
