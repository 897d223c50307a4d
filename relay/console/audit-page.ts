/** The page that tells what staff have looked at. */
import { html } from 'hono/html'
import type { AuditLine } from './audit.ts'
import { date, type Html, page } from './page.ts'
import type { Session } from './staff.ts'

const WORDS: Record<AuditLine['what'], string> = {
  'sign-in': 'signed in',
  'sign-out': 'signed out',
  list: 'saw the list of runs',
  'look-up': 'looked at',
  watch: 'watched',
  download: 'downloaded',
  keep: 'kept',
  audit: 'saw this page',
}

/** `lines` newest first. */
export function auditPage(lines: readonly AuditLine[], session: Session | undefined): Html {
  return page(
    { title: 'Audit', session },
    html`<h1>Who looked at what</h1>
<p class="hint">The newest ${lines.length} lines. All of them are in the relay’s audit file.</p>
<table><thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th></tr></thead>
<tbody>${lines.map(
      ({ at, who, what, trace }) =>
        html`<tr><td>${date(Date.parse(at))}</td><td>${who}</td><td>${WORDS[what]}${trace ? html` <a href="/support/${trace}"><code>${trace.slice(0, 8)}</code></a>` : ''}</td></tr>`,
    )}</tbody></table>`,
  )
}
