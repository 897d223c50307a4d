/** What the pages of the console share: the frame, and times as people read them. */
import { html } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import type { Stay } from '../store/retention.ts'
import { SCRIPT, STYLE } from './assets.ts'
import type { Session } from './staff.ts'

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>

export interface Frame {
  title: string
  /** Whose page it is; undefined before signing in. */
  session?: Session | undefined
  /** Whether it changes while it is looked at: without JavaScript it is loaded again now and then. */
  live?: boolean
  /** Another page that this one goes on to by itself. */
  next?: string
}

/** Seconds between two loads of a live page where there is no JavaScript. */
const RELOAD_S = 5

/** A whole page around `main`. Everything put into it is escaped by hono/html. */
export function page({ title, session, live, next }: Frame, main: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – PASS ATS support</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${STYLE.url}">
<script src="${SCRIPT.url}" type="module"></script>
${live ? html`<noscript><meta http-equiv="refresh" content="${RELOAD_S}"></noscript>` : ''}${next ? html`<meta http-equiv="refresh" content="0; url=${next}">` : ''}
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a href="/support">PASS ATS support</a>${session ? account(session) : ''}</header>
<main id="main" tabindex="-1">
${main}
</main>
<p id="announcement" class="unseen" role="status"></p>
</body>
</html>`
}

function account(session: Session): Html {
  return html`<nav aria-label="Account"><a href="/support/audit">Audit</a>
<form action="/support/sign-out" method="post">${csrfField(session)}<button class="quiet">Sign out ${session.shown}</button></form></nav>`
}

/** What every form that changes something carries. */
export function csrfField({ csrf }: Session): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`
}

/** The form that takes an ID; `value` is put back after a mistake. */
export function lookUpForm(value = ''): Html {
  return html`<form class="look-up" action="/support" method="get" role="search">
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

/** A moment as a date; `atMs` in milliseconds since 1970. */
export function date(atMs: number): Html {
  const at = new Date(Math.min(Math.max(atMs, 0), 8.64e15))
  return html`<time datetime="${at.toISOString()}">${DATE.format(at)}</time>`
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
