/** What relay and server have logged about a run, below its picture. */
import { html } from 'hono/html'
import type { Line } from '../logbook.ts'
import { formatMs } from './diagnosis.ts'
import type { Html } from './page.ts'
import { shortService } from './rows.ts'
import { shown } from './text.ts'
import type { Waterfall } from './waterfall.ts'

interface View {
  lines: readonly Line[]
  waterfall: Waterfall
}

/** A table; times count from where those of the picture do, by each service's own clock. */
export function logView({ lines, waterfall }: View): Html {
  const originMs = Number(waterfall.originNs / 1_000_000n)
  if (lines.length === 0) {
    return html`<h2 id="log">Log</h2>
<p class="hint">No line about this run is here: lines stay as long as runs that nobody keeps, with the relay that took them.</p>`
  }
  return html`<h2 id="log">Log</h2>
<div class="log" role="region" aria-labelledby="log" tabindex="0"><table>
<thead><tr><th scope="col">At</th><th scope="col">Service</th><th scope="col">Level</th><th scope="col">What</th></tr></thead>
<tbody>${lines.map(
    ({ at, service, level, message, fields }) => html`<tr class="${level}">
<td class="at"><time datetime="${timeOf(at)}" title="${timeOf(at)}">${formatMs(at - originMs)}</time></td><td>${shortService(service)}</td><td>${level}</td><td>${shown(message)} ${Object.entries(fields).map(([key, value]) => html`<span class="pair">${key} <code>${shown(String(value))}</code></span> `)}</td></tr>`,
  )}</tbody>
</table></div>`
}

const timeOf = (at: number) => new Date(Math.min(Math.max(at, 0), 8.64e15)).toISOString()
