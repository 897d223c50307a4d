/** The waterfall as a page shows it: a row a span, each opening onto its details. */
import { setImmediate as breath } from 'node:timers/promises'
import { html } from 'hono/html'
import { SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER } from '../../names.ts'
import { type Diagnosis, formatMs } from './diagnosis.ts'
import type { Html } from './page.ts'
import { stepKey } from './summaries.ts'
import { shown } from './text.ts'
import type { Row, RowEvent, Value, Waterfall } from './waterfall.ts'

/** Deeper rows are not indented further. */
const MAX_INDENT = 12
/** Attributes of a span shown, the SDKs' own limit; and events. */
const MAX_ATTRIBUTES = 128
const MAX_EVENTS = 32
const MAX_NAME = 120
/** A span of a millisecond must still be seen in a run of a minute. */
const MIN_BAR = 4
/** A step is slow when it took so much more than it usually does. */
const SLOW = { times: 2, byMs: 100 }

/** Colours are fixed to the service, not to the order, so that they mean the same on every page. */
const SERVICE_CLASSES: Record<string, string> = {
  [SERVICE_EXTENSION]: 'extension',
  [SERVICE_RELAY]: 'relay',
  [SERVICE_SERVER]: 'server',
}

interface View {
  traceId: string
  waterfall: Waterfall
  diagnosis: Diagnosis
  usual: ReadonlyMap<string, number>
  maxRows: number
}

/** Rows made in a row: with thousands of them requests would wait. */
const AT_ONCE = 100

export async function waterfallView(view: View): Promise<Awaited<Html>> {
  const { traceId, waterfall, maxRows } = view
  const { rows, totalMs, services, missingParents, root } = waterfall
  const drawn = rows.length > maxRows ? mostTelling(view) : rows
  const items: Html[] = []
  for (const [n, row] of drawn.entries()) {
    if (n % AT_ONCE === AT_ONCE - 1) await breath()
    items.push(rowItem(row, view))
  }
  return html`<h2 id="waterfall">Where the time went</h2>
<ul class="legend" aria-label="Services">${services
    .slice(0, 8)
    .map(
      (service) =>
        html`<li><span class="swatch ${serviceClass(service)}" aria-hidden="true"></span>${shortService(service)}</li>`,
    )}${root ? html`<li class="hint">“critical”: the run waited for it</li>` : ''}</ul>
${rows.length > drawn.length ? html`<p class="notice">${rows.length - drawn.length} more spans are not drawn. <a href="/support/${traceId}?rows=all">Draw more</a></p>` : ''}
<div class="axis" aria-hidden="true"><span>0</span><span>${formatMs(totalMs / 2)}</span><span>${formatMs(totalMs)}</span></div>
<ol class="waterfall" aria-labelledby="waterfall">
${items}
</ol>
${missingParents.length > 0 ? html`<p class="hint">Missing parents: ${missingParents.slice(0, 5).map((id) => html`<code>${shown(id, 32)}</code> `)}</p>` : ''}`
}

/** When not all are drawn: what failed, what the run waited for, and then those that come first; in the same order. */
function mostTelling({ waterfall: { rows }, diagnosis, maxRows }: View): Row[] {
  const chosen = new Set<Row>(diagnosis.failed ? [diagnosis.failed] : [])
  const failed = rows.filter(({ status }) => status === 'error')
  const critical = rows.filter((row) => row.critical)
  for (const row of [...failed, ...critical, ...rows]) {
    if (chosen.size >= maxRows) break
    chosen.add(row)
  }
  return rows.filter((row) => chosen.has(row))
}

function rowItem(row: Row, { waterfall, diagnosis, usual }: View): Html {
  const { fromMs, totalMs, root } = waterfall
  const isCulprit = row === diagnosis.failed
  const failed = row.status === 'error' || (row.failureCode !== undefined && row.failureCode !== 'cancelled')
  const usualMs = usual.get(stepKey(row))
  const scale = totalMs > 0 ? 1_000 / totalMs : 0
  const width = Math.min(1_000, Math.max(MIN_BAR, row.durationMs * scale))
  const x = Math.min((row.startMs - fromMs) * scale, 1_000 - width)
  const depth = Math.min(row.depth, MAX_INDENT)
  const classes = [failed ? 'failed' : '', isCulprit ? 'culprit' : '', row.critical ? 'critical' : '']
  return html`<li class="${classes.filter(Boolean).join(' ')}"><details id="s-${shown(row.spanId, 32)}"${isCulprit ? html` open` : ''}>
<summary><span class="name d${depth}"><span class="swatch ${serviceClass(row.service)}" aria-hidden="true"></span><bdi class="label">${shown(row.name, MAX_NAME)}</bdi>${failed ? html` <strong class="mark"><span aria-hidden="true">✕</span> failed</strong>` : ''}${row.hasEnd ? '' : html` <span class="path">no end</span>`}${row.critical ? html` <span class="path">critical</span>` : ''}${isSlow(row, usualMs) ? html` <span class="slow">slow</span>` : ''} <span class="service">${shortService(row.service)}</span></span>
<svg class="bar ${serviceClass(row.service)}" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="1000" height="10"/><rect class="time" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="10"/></svg>
<span class="duration">${row.hasEnd ? formatMs(row.durationMs) : '?'}</span></summary>
${details(row, root, usualMs)}</details></li>
`
}

function isSlow({ durationMs }: Row, usualMs: number | undefined): boolean {
  return usualMs !== undefined && durationMs > usualMs * SLOW.times && durationMs > usualMs + SLOW.byMs
}

function details(row: Row, root: Row | undefined, usualMs: number | undefined): Html {
  const attributes = Object.entries(row.attributes)
  return html`<dl class="attributes">
${attribute('starts', formatOffset(row.startMs, root ? 'the root' : 'the first span'))}
${usualMs === undefined ? '' : attribute('usually takes', formatMs(usualMs))}
${attribute('service', `${row.service} (${row.kind})`)}
${attribute('span ID', row.spanId)}
${row.parentSpanId ? attribute('parent', row.parentSpanId) : ''}
${attributes.slice(0, MAX_ATTRIBUTES).map(([name, value]) => attribute(name, valueText(value)))}
${attributes.length > MAX_ATTRIBUTES ? attribute('…', `${attributes.length - MAX_ATTRIBUTES} more attributes are not shown`) : ''}
${row.events.slice(0, MAX_EVENTS).map((event) => attribute(`event, ${formatOffset(event.atMs - row.startMs, 'its start')}`, eventText(event)))}
${row.events.length > MAX_EVENTS ? attribute('…', `${row.events.length - MAX_EVENTS} more events are not shown`) : ''}
</dl>`
}

function eventText({ name, attributes }: RowEvent): string {
  const said = Object.entries(attributes).map(([key, value]) => `${key}=${valueText(value)}`)
  return [name, ...said].join(' ')
}

function valueText(value: Value): string {
  return Array.isArray(value) ? value.join(', ') : String(value)
}

function attribute(name: string, value: string): Html {
  return html`<div><dt><bdi>${shown(name, MAX_NAME)}</bdi></dt><dd><bdi>${shown(value)}</bdi></dd></div>`
}

function formatOffset(ms: number, from: string): string {
  return ms < 0 ? `${formatMs(-ms)} before ${from}` : `${formatMs(ms)} after ${from}`
}

function serviceClass(service: string): string {
  return `s-${SERVICE_CLASSES[service] ?? 'other'}`
}

export function shortService(service: string): string {
  return SERVICE_CLASSES[service] ?? shown(service, MAX_NAME)
}
