/** What both pages of the console share: the frame, and times as people read them. */
import { html } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import type { Stay } from '../store/retention.ts'

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>

/** A whole page around `main`. Everything put into it is escaped by hono/html. */
export function page(title: string, main: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="stylesheet" href="/support/console.css">
</head>
<body>
<header><a href="/support">PASS ATS support</a></header>
<main>
${main}
</main>
</body>
</html>`
}

/** The form that takes an ID; `value` is put back after a mistake. */
export function lookUpForm(value = ''): Html {
  return html`<form action="/support" method="get" role="search">
<label for="id">Trace ID</label>
<p class="field"><input id="id" name="id" value="${value}" required autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="id-hint"><button>Look up</button></p>
<p id="id-hint" class="hint">The full ID from the popup, or its first 8 or more digits.</p>
</form>`
}

/** Dates as text: the reader's time zone is not known here, so it is said which one this is. */
const DATE = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  timeZone: 'UTC',
  timeZoneName: 'short',
})

/** Until when a run stays: `Kept until 31 Jan 2026, 00:05 UTC`, `Goes on …`, or `Goes soon` when its time is over. */
export function stayTime({ kept, until }: Stay, nowMs: number): Html {
  if (!kept && until <= nowMs) return html`Goes soon`
  const date = new Date(Math.min(until, 8.64e15))
  return html`${kept ? 'Kept until' : 'Goes on'} <time datetime="${date.toISOString()}">${DATE.format(date)}</time>`
}

/** A moment, relative, with the exact one on hover. `atMs` and `nowMs` in milliseconds since 1970. */
export function moment(atMs: number, nowMs: number): Html {
  const exact = new Date(Math.min(Math.max(atMs, 0), 8.64e15)).toISOString()
  return html`<time datetime="${exact}" title="${exact}">${ago(nowMs - atMs)}</time>`
}

function ago(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const
  for (const [size, unit] of units) if (ms >= size) return `${Math.floor(ms / size)} ${unit} ago`
  return 'just now'
}
