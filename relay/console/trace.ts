/** The page of one trace: the sentence first, what to do about it, the picture second, the details third. */
import { html } from 'hono/html'
import { WAKE } from '../diagnosis.ts'
import type { Line } from '../logbook.ts'
import type { Stay } from '../store/retention.ts'
import { type Diagnosis, formatMs } from './diagnosis.ts'
import { logView } from './log-lines.ts'
import { csrfField, type Html, lookUpForm, moment, page, stayTime } from './page.ts'
import { waterfallView } from './rows.ts'
import type { Session } from './staff.ts'
import { STATES } from './states.ts'
import type { Occurrences } from './summaries.ts'
import { shown } from './text.ts'
import type { Waterfall } from './waterfall.ts'

/** Another place that shows traces. */
export interface TraceLink {
  name: string
  /** With `{trace_id}` where the ID goes. */
  url: string
}

export interface TracePage {
  traceId: string
  waterfall: Waterfall
  /** What relay and server have logged about the run. */
  lines: readonly Line[]
  diagnosis: Diagnosis
  stay: Stay | undefined
  session: Session | undefined
  nowMs: number
  truncated: boolean
  /** Whether more may come, so that the page follows it. */
  live: boolean
  /** Of the failure's code. */
  occurrences: Occurrences | undefined
  /** How long each step usually takes. */
  usual: ReadonlyMap<string, number>
  /** Spans drawn at most. */
  maxRows: number
  links: readonly TraceLink[]
  /** Where the runbooks are, without a trailing slash. */
  runbooks: string | undefined
}

export function tracePage(view: TracePage): Html {
  const { traceId, waterfall, diagnosis, stay, session, nowMs, truncated, live, links } = view
  const { rows, originNs, totalMs, versions } = waterfall
  const { state, sentence, advice, code, entry } = diagnosis
  // What is the diagnosis is not unusual besides.
  const findings = diagnosis.findings.filter((finding) => finding !== entry.meaning)
  const { icon, word } = STATES[state]
  return page(
    { title: `${word}: ${traceId.slice(0, 8)}`, session, live },
    html`<div${live ? html` data-live="/support/${traceId}/events"` : ''}>
<h1 class="verdict ${state}"><span class="icon" aria-hidden="true">${icon}</span><span>${sentence}</span></h1>
${truncated ? html`<p class="notice">This trace is too large to be read as a whole. Here are the ${rows.length} spans that arrived first; the sentence above may lack what came later.</p>` : ''}
${live ? html`<p class="hint">This page follows the run. <a href="/support/${traceId}">Load it again</a></p>` : ''}
<div class="answers">
<section class="diagnosis" aria-labelledby="diagnosis"><h2 id="diagnosis">Diagnosis</h2>
${entry.meaning === sentence ? '' : html`<p class="meaning">${entry.meaning}</p>`}
${code ? html`<p class="often">${often(view)}</p>` : ''}
<p class="wake ${entry.wake}">${WAKE[entry.wake]}</p>
${entry.runbook ? html`<p class="runbook">${runbookLink(entry.runbook, view.runbooks)}</p>` : ''}
${findings.length > 0 ? html`<ul class="findings">${findings.map((finding) => html`<li>${shown(finding)}</li>`)}</ul>` : ''}
</section>
${
  entry.tell === ''
    ? ''
    : html`<section class="tell" aria-labelledby="tell-heading"><h2 id="tell-heading">What to tell the person</h2>
<p id="tell">${entry.tell}</p>
<p class="buttons"><button type="button" data-copy="tell" hidden>Copy</button></p>
${advice ? html`<p class="advice hint">The person was told: ${advice}</p>` : ''}</section>`
}
</div>
<dl class="facts">
<div><dt>Trace ID</dt><dd><code class="copy" id="trace-id">${traceId}</code> <button type="button" class="quiet" data-copy="trace-id" hidden>Copy the ID</button></dd></div>
${code ? html`<div><dt>Failure code</dt><dd><code>${shown(code)}</code></dd></div>` : ''}
<div><dt>Started</dt><dd>${moment(Number(originNs / 1_000_000n), nowMs)}</dd></div>
<div><dt>Took</dt><dd>${formatMs(totalMs)}</dd></div>
<div><dt>Spans</dt><dd>${rows.length}</dd></div>
${versions.size > 0 ? html`<div><dt>Version</dt><dd>${shown([...new Set(versions.values())].join(', '))}</dd></div>` : ''}
</dl>
${stay ? html`<div class="keeping"><p class="hint stay">${staySentence(stay, nowMs)}</p>${keepForm(traceId, stay, session)}</div>` : ''}
${waterfallView(view)}
${logView(view)}
<h2>Elsewhere</h2>
<ul class="elsewhere">
<li><a href="/api/traces/${traceId}?download" download="${traceId}.json">Download as OTLP JSON</a></li>
${links.map(({ name, url }) => html`<li><a href="${url.replaceAll('{trace_id}', traceId)}" rel="noreferrer">Open in ${name}</a></li>`)}
</ul>
</div>
<h2>Look up another</h2>
${lookUpForm()}`,
  )
}

/** Since when and how often: of what was read, which is said. */
function often({ occurrences, nowMs }: TracePage): Html {
  if (!occurrences || occurrences.times === 0) return html`In the last hour no other run failed like this.`
  const { times, since, failed, read } = occurrences
  const of = read < failed ? html` (of the newest ${read} of ${failed} failed runs)` : ''
  if (times === 1) return html`This happened once in the last hour${of}.`
  return html`This happened ${times} times in the last hour${of}, first ${since === undefined ? '' : moment(since, nowMs)}.`
}

function runbookLink(runbook: string, base: string | undefined): Html {
  if (base === undefined) return html`Runbook: <code>ops/alerts/${runbook}</code>`
  return html`<a href="${base}/${runbook}" rel="noreferrer">Runbook</a>`
}

function staySentence(stay: Stay, nowMs: number): Html {
  if (stay.kept === 'report') return html`${stayTime(stay, nowMs)}, because somebody reported it.`
  if (stay.kept === 'error') return html`${stayTime(stay, nowMs)}, because something in it failed.`
  return html`${stayTime(stay, nowMs)}, unless somebody reports it.`
}

function keepForm(traceId: string, { kept }: Stay, session: Session | undefined): Html {
  if (kept === 'report' || !session) return html``
  return html`<form action="/support/${traceId}/keep" method="post">${csrfField(session)}<button class="quiet">Keep</button></form>`
}
