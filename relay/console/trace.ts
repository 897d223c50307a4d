/** The page of one trace: the sentence first, the picture second, the details third. */
import { html } from 'hono/html'
import { SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER } from '../../names.ts'
import type { Stay } from '../store/retention.ts'
import { type Diagnosis, formatMs } from './diagnosis.ts'
import { type Html, lookUpForm, moment, page, stayTime } from './page.ts'
import type { Row, Waterfall } from './waterfall.ts'

/** Rows drawn; a real run has about forty. */
const MAX_ROWS = 500
/** Deeper rows are not indented further. */
const MAX_INDENT = 12
/** Attributes of a span shown; the SDKs' own limit. */
const MAX_ATTRIBUTES = 128
/** Characters of an attribute's value shown. */
const MAX_VALUE = 500
/** A span of a millisecond must still be seen in a run of a minute. */
const MIN_BAR = 4

/** Colours are fixed to the service, not to the order, so that they mean the same on every page. */
const SERVICE_CLASSES: Record<string, string> = {
  [SERVICE_EXTENSION]: 'extension',
  [SERVICE_RELAY]: 'relay',
  [SERVICE_SERVER]: 'server',
}
const STATES = {
  done: ['✓', 'Done'],
  failed: ['✕', 'Failed'],
  cancelled: ['–', 'Cancelled'],
  open: ['…', 'Open'],
} as const

/** The page; `truncated` when the store holds more of the trace than it read. */
export function tracePage(
  traceId: string,
  waterfall: Waterfall,
  diagnosis: Diagnosis,
  stay: Stay | undefined,
  nowMs: number,
  truncated: boolean,
): Html {
  const { rows, originNs, totalMs, services, missingParents } = waterfall
  const [icon, word] = STATES[diagnosis.state]
  return page(
    `${word}: ${traceId.slice(0, 8)} – PASS ATS support`,
    html`<h1 class="verdict ${diagnosis.state}"><span class="icon" aria-hidden="true">${icon}</span><span>${diagnosis.sentence}</span></h1>
${diagnosis.advice ? html`<p class="advice">${diagnosis.state === 'failed' ? 'The person was told: ' : ''}${diagnosis.advice}</p>` : ''}
${truncated ? html`<p class="notice">This trace is too large to be read as a whole. Here are the ${rows.length} spans that arrived first; the sentence above may lack what came later.</p>` : ''}
<dl class="facts">
<div><dt>Trace ID</dt><dd><code class="copy">${traceId}</code></dd></div>
${diagnosis.code ? html`<div><dt>Failure code</dt><dd><code>${diagnosis.code}</code></dd></div>` : ''}
<div><dt>Started</dt><dd>${moment(Number(originNs / 1_000_000n), nowMs)}</dd></div>
<div><dt>Took</dt><dd>${formatMs(totalMs)}</dd></div>
<div><dt>Spans</dt><dd>${rows.length}</dd></div>
</dl>
${stay ? html`<p class="hint stay">${staySentence(stay, nowMs)}</p>` : ''}
<h2 id="waterfall">Where the time went</h2>
<ul class="legend" aria-label="Services">${services.map(
      (service) =>
        html`<li><span class="swatch ${serviceClass(service)}" aria-hidden="true"></span>${shortService(service)}</li>`,
    )}</ul>
<div class="axis" aria-hidden="true"><span>0</span><span>${formatMs(totalMs / 2)}</span><span>${formatMs(totalMs)}</span></div>
<ol class="waterfall" aria-labelledby="waterfall">
${rows.slice(0, MAX_ROWS).map((row) => rowItem(row, waterfall, row === diagnosis.failed))}
</ol>
${rows.length > MAX_ROWS ? html`<p class="notice">${rows.length - MAX_ROWS} more spans are not drawn.</p>` : ''}
${missingParents.length > 0 ? html`<p class="hint">${missingParents.length} ${missingParents.length === 1 ? 'span is' : 'spans are'} named as a parent but not here: ${missingParents.slice(0, 5).map((id) => html`<code>${id}</code> `)}</p>` : ''}
<p class="hint"><a href="/api/traces/${traceId}">The trace as OTLP JSON</a></p>
<h2>Look up another</h2>
${lookUpForm()}`,
  )
}

function staySentence(stay: Stay, nowMs: number): Html {
  if (stay.kept === 'report') return html`${stayTime(stay, nowMs)}, because somebody reported it.`
  if (stay.kept === 'error') return html`${stayTime(stay, nowMs)}, because something in it failed.`
  return html`${stayTime(stay, nowMs)}, unless somebody reports it.`
}

function rowItem(row: Row, { fromMs, totalMs, root }: Waterfall, isCulprit: boolean): Html {
  const failed = row.status === 'error' || (row.failureCode !== undefined && row.failureCode !== 'cancelled')
  const scale = totalMs > 0 ? 1_000 / totalMs : 0
  const width = Math.min(1_000, Math.max(MIN_BAR, row.durationMs * scale))
  const x = Math.min((row.startMs - fromMs) * scale, 1_000 - width)
  const depth = Math.min(row.depth, MAX_INDENT)
  const attributes = Object.entries(row.attributes)
  return html`<li class="${failed ? 'failed' : ''}${isCulprit ? ' culprit' : ''}"><details${isCulprit ? html` open` : ''}>
<summary><span class="name d${depth}"><span class="swatch ${serviceClass(row.service)}" aria-hidden="true"></span><span class="label">${row.name}</span>${failed ? html` <strong class="mark"><span aria-hidden="true">✕</span> failed</strong>` : ''} <span class="service">${shortService(row.service)}</span></span>
<svg class="bar ${serviceClass(row.service)}" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="1000" height="10"/><rect class="time" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="10"/></svg>
<span class="duration">${formatMs(row.durationMs)}</span></summary>
<dl class="attributes">
${attribute('starts', formatOffset(row.startMs, root ? 'the root' : 'the first span'))}
${attribute('service', `${row.service} (${row.kind})`)}
${attribute('span ID', row.spanId)}
${row.parentSpanId ? attribute('parent', row.parentSpanId) : ''}
${attributes.slice(0, MAX_ATTRIBUTES).map(([name, value]) => attribute(name, Array.isArray(value) ? value.join(', ') : String(value)))}
${attributes.length > MAX_ATTRIBUTES ? attribute('…', `${attributes.length - MAX_ATTRIBUTES} more attributes are not shown`) : ''}
</dl></details></li>
`
}

function attribute(name: string, value: string): Html {
  const shown = value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value
  return html`<div><dt>${name}</dt><dd>${shown}</dd></div>`
}

function formatOffset(ms: number, from: string): string {
  return ms < 0 ? `${formatMs(-ms)} before ${from}` : `${formatMs(ms)} after ${from}`
}

function serviceClass(service: string): string {
  return `s-${SERVICE_CLASSES[service] ?? 'other'}`
}

function shortService(service: string): string {
  return SERVICE_CLASSES[service] ?? service
}
