/** Is it well? Health, objectives, the way of a run as a picture, and rate, errors and duration. */
import { METRICS } from '../../metric-names.ts'
import { FAST, FAST_SECONDS, NOT_OURS, SUCCESS, WINDOW } from '../objectives.ts'
import { board, TO_CONSOLE, toDashboard } from './board.ts'
import {
  all,
  atMost,
  count,
  each,
  everywhere,
  forWeeks,
  now,
  of,
  orZero,
  percentile,
  rate,
  series,
  share,
  shareOf,
  sum,
} from './expression.ts'
import { flow } from './flow.ts'
import { graph, type Limits, NONE, stat } from './panel.ts'

const RELAY = 'pass-ats-relay'
const SERVER = 'pass-ats-server'
/** What is refused is quick, and would make the rest look better. */
const ANSWERED = { http_response_status_code: /2../ } as const
const SERVER_ERROR = { http_response_status_code: /5../ }
const COUNTED = { failure_code: { not: new RegExp(NOT_OURS.join('|')) }, synthetic: 'false' } as const

const FAILED_RUNS: Limits = { warning: 0.01, critical: 0.05 }
const EMPTY = 'no runs in this time'

/** What part of the runs that count failed; nothing when there were none. */
const lost = (within: (counted: string) => string) =>
  share(
    within(series(METRICS.runs, { ...COUNTED, outcome: 'failed' })),
    within(series(METRICS.runs, { ...COUNTED, outcome: { not: 'cancelled' } })),
  )
const allWindow = (counted: string) => forWeeks(counted, WINDOW)
const burning = (within: (counted: string) => string) => `(${lost(within)}) / ${(1 - SUCCESS).toFixed(2)}`

const health = [
  stat({
    title: 'Services answering',
    description:
      'Whether Prometheus reaches each process. Down: see whether it runs, then its log. Not filtered by the variables above.',
    unit: 'none',
    limits: { warning: 1, critical: 0.5, falling: true },
    queries: [{ expr: 'min by (job) (up)', name: '{{job}}' }],
    words: { 0: { text: 'down', color: 'red' }, 1: { text: 'up', color: 'green' } },
    empty: 'Prometheus scrapes nothing',
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Alerts firing',
    description: 'Alerts that fire now. Each has a runbook; Alertmanager names it.',
    unit: 'none',
    limits: { warning: 1, critical: 3 },
    queries: [{ expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', name: 'firing' }],
    w: 3,
    h: 3,
  }),
  stat({
    title: 'Synthetic checks',
    description: 'How the last run of each check ended. Failed while people fare well: look at the check first.',
    unit: 'none',
    limits: { warning: 1, critical: 0.5, falling: true },
    queries: [{ expr: each('min', ['check'], series(METRICS.syntheticSuccess)), name: '{{check}}' }],
    words: { 0: { text: 'failed', color: 'red' }, 1: { text: 'passed', color: 'green' } },
    empty: 'no check has run',
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Runs failing',
    description: 'What part of the runs that ended failed, for whatever reason. Errors by code are one click away.',
    unit: 'percentunit',
    limits: FAILED_RUNS,
    queries: [
      {
        expr: share(rate(series(METRICS.runs, { outcome: 'failed' })), rate(series(METRICS.runs))),
        name: 'failed',
      },
    ],
    spark: true,
    decimals: 1,
    empty: EMPTY,
    links: [toDashboard('errors'), TO_CONSOLE],
    w: 3,
    h: 3,
  }),
  stat({
    title: 'Click to PDF, P95',
    description: 'Of 20 runs that ended well, 19 took at most this long. Where the time goes is one click away.',
    unit: 's',
    limits: { warning: FAST_SECONDS, critical: FAST_SECONDS * 2 },
    queries: [{ expr: percentile(0.95, METRICS.runDuration, { labels: { outcome: 'ok' } }), name: 'P95' }],
    spark: true,
    decimals: 1,
    empty: EMPTY,
    links: [toDashboard('performance')],
    w: 3,
    h: 3,
  }),
  stat({
    title: 'Runs under way',
    description: 'Runs that were asked for and have not ended, waiting ones included.',
    unit: 'none',
    limits: { warning: 20, critical: 50 },
    queries: [{ expr: orZero(all('sum', now(series(METRICS.runsActive)))), name: 'under way' }],
    spark: true,
    decimals: 0,
    w: 3,
    h: 3,
  }),
]

const stage = (name: (typeof METRICS.stageDuration.labels.stage)[number]) => ({
  rate: all('sum', rate(count(METRICS.stageDuration, { stage: name }))),
  failed: share(
    rate(count(METRICS.stageDuration, { stage: name, outcome: 'failed' })),
    rate(count(METRICS.stageDuration, { stage: name })),
  ),
})
const service = (name: string) => ({
  rate: all('sum', of(name, rate(count(METRICS.httpDuration)))),
  failed: share(of(name, rate(count(METRICS.httpDuration, SERVER_ERROR))), of(name, rate(count(METRICS.httpDuration)))),
})
const spans = (result: string) => rate(series(METRICS.relaySpans, { result: new RegExp(result) }))
const exports = (labels = {}) => rate(count(METRICS.exportDuration, labels))

const picture = flow(
  'The way of a run',
  'Each hop with how many pass in a minute and what part of them fails; the frame turns orange from 1 % and red from 5 %. ' +
    'Extension, llm, latex, compile, validate and deliver count stages of runs; relay and server count requests, and 5xx as failed; ' +
    'store counts spans written and dropped, backend the requests to the tracing backend. PDF: runs that ended, and those that failed.',
  [
    { name: 'extension', column: 0, row: 0, next: ['relay'], ...stage('extract') },
    { name: 'relay', column: 1, row: 0, next: ['server', 'store'], ...service(RELAY) },
    { name: 'server', column: 2, row: 0, next: ['llm'], ...service(SERVER) },
    { name: 'llm', column: 3, row: 0, next: ['latex'], ...stage('llm') },
    { name: 'latex', column: 3, row: 1, next: ['compile'], ...stage('latex') },
    { name: 'compile', column: 2, row: 1, next: ['validate'], ...stage('compile') },
    { name: 'validate', column: 2, row: 2, next: ['deliver'], ...stage('validate') },
    { name: 'deliver', column: 1, row: 2, next: ['PDF'], ...stage('deliver') },
    {
      name: 'PDF',
      column: 0,
      row: 2,
      next: [],
      rate: all('sum', rate(series(METRICS.runs))),
      failed: share(rate(series(METRICS.runs, { outcome: 'failed' })), rate(series(METRICS.runs))),
    },
    {
      name: 'store',
      column: 1,
      row: 1,
      next: ['backend'],
      rate: all('sum', spans('stored')),
      failed: share(spans('dropped'), spans('stored|dropped')),
    },
    {
      name: 'backend',
      column: 0,
      row: 1,
      next: [],
      rate: all('sum', exports()),
      failed: share(exports({ outcome: { not: 'taken' } }), exports()),
    },
  ],
)

const objectives = [
  stat({
    title: `Runs that ended well, ${WINDOW}`,
    description: `Objective: ${SUCCESS * 100} % of people's runs, those that failed for what is on the page or in the profile left out. All services and versions.`,
    unit: 'percentunit',
    limits: { warning: SUCCESS + (1 - SUCCESS) / 4, critical: SUCCESS, falling: true },
    queries: [{ expr: `1 - ${lost(allWindow)}`, name: 'well' }],
    decimals: 2,
    empty: EMPTY,
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Error budget left',
    description: `What is left of the ${((1 - SUCCESS) * 100).toFixed(0)} % that may fail within ${WINDOW}. Below 0 the objective is missed: repairs before features.`,
    unit: 'percentunit',
    limits: { warning: 0.25, critical: 0, falling: true },
    queries: [{ expr: `1 - ${burning(allWindow)}`, name: 'left' }],
    decimals: 0,
    empty: EMPTY,
    w: 6,
    h: 3,
  }),
  stat({
    title: `Runs within ${FAST_SECONDS} s, ${WINDOW}`,
    description: `Objective: ${FAST * 100} % of people's runs that ended well took at most ${FAST_SECONDS} s from the click to the PDF. All services and versions.`,
    unit: 'percentunit',
    limits: { warning: FAST + (1 - FAST) / 4, critical: FAST, falling: true },
    queries: [
      {
        expr: share(
          allWindow(atMost(FAST_SECONDS, METRICS.runDuration, { outcome: 'ok', synthetic: 'false' })),
          allWindow(count(METRICS.runDuration, { outcome: 'ok', synthetic: 'false' })),
        ),
        name: 'fast',
      },
    ],
    decimals: 2,
    empty: EMPTY,
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Budget burns, times',
    description: `How many times as fast as allowed the budget is being used: at 1 it lasts exactly ${WINDOW}, at 14.4 a fiftieth is gone in an hour.`,
    unit: 'suffix:×',
    limits: { warning: 1, critical: 14.4 },
    queries: [
      { expr: burning((counted) => everywhere(counted, '1h')), name: '1 h' },
      { expr: burning((counted) => everywhere(counted, '6h')), name: '6 h' },
    ],
    decimals: 1,
    empty: EMPTY,
    w: 6,
    h: 3,
  }),
]

const red = [
  graph({
    title: 'Runs',
    description: 'Runs that ended, a minute, by how. Failed ones: see errors.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [{ expr: `${each('sum', ['outcome'], rate(series(METRICS.runs)))} * 60`, name: '{{outcome}}' }],
    stacked: true,
    empty: EMPTY,
    links: [toDashboard('errors'), TO_CONSOLE],
  }),
  graph({
    title: 'Click to PDF',
    description: 'Seconds of runs that ended well. A point opens the trace of one of them.',
    unit: 's',
    limits: { warning: FAST_SECONDS, critical: FAST_SECONDS * 2 },
    queries: [0.5, 0.95, 0.99].map((rank) => ({
      expr: percentile(rank, METRICS.runDuration, { labels: { outcome: 'ok' } }),
      name: `P${rank * 100}`,
      exemplars: true as const,
    })),
    empty: EMPTY,
    links: [toDashboard('performance'), TO_CONSOLE],
  }),
  graph({
    title: 'Requests by route',
    description: 'Requests a second at relay and server, by route.',
    unit: 'reqps',
    limits: NONE,
    queries: [{ expr: each('sum', ['http_route'], rate(count(METRICS.httpDuration))), name: '{{http_route}}' }],
    empty: 'no requests in this time',
  }),
  graph({
    title: 'Requests failing, by route',
    description: 'What part of the requests to a route was answered with 5xx.',
    unit: 'percentunit',
    limits: FAILED_RUNS,
    queries: [
      {
        expr: shareOf(
          ['http_route'],
          rate(count(METRICS.httpDuration, SERVER_ERROR)),
          rate(count(METRICS.httpDuration)),
        ),
        name: '{{http_route}}',
      },
    ],
    empty: 'no requests in this time',
    links: [toDashboard('errors')],
  }),
  graph({
    title: 'Requests, P95 by route',
    description:
      'Seconds of requests that were answered with 2xx; streams (`/runs/{id}/events`) last as long as a run does. A point opens the trace of one.',
    unit: 's',
    limits: { warning: 1, critical: 10 },
    queries: [
      {
        expr: percentile(0.95, METRICS.httpDuration, { labels: ANSWERED, by: ['http_route'] }),
        name: '{{http_route}}',
        exemplars: true,
      },
    ],
    empty: 'no requests in this time',
    links: [toDashboard('performance')],
  }),
  graph({
    title: 'PDFs',
    description: 'PDFs that passed every check, a minute.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [
      {
        expr: `${orZero(all('sum', rate(count(METRICS.pdfValidationDuration, { outcome: 'passed' }))))} * 60`,
        name: 'PDFs',
      },
    ],
  }),
  graph({
    title: 'Tokens',
    description: 'Tokens that the model read and wrote, a second. None where rules choose the bullets.',
    unit: 'suffix:/s',
    limits: NONE,
    queries: [
      { expr: each('sum', ['gen_ai_token_type'], rate(sum(METRICS.llmTokens))), name: '{{gen_ai_token_type}}' },
    ],
    stacked: true,
    empty: 'no model was asked in this time',
    links: [toDashboard('resources')],
  }),
  graph({
    title: 'Open now',
    description: 'Requests being answered, and event streams that are open.',
    unit: 'none',
    limits: { warning: 500, critical: 4000 },
    queries: [
      { expr: orZero(all('sum', now(series(METRICS.httpActive)))), name: 'requests' },
      { expr: orZero(all('sum', now(series(METRICS.sseConnections)))), name: 'streams' },
    ],
    links: [toDashboard('resources')],
  }),
  stat({
    title: 'Versions running',
    description: 'How many processes of each version answer.',
    unit: 'none',
    limits: NONE,
    queries: [
      { expr: `count by (service, version) (${now(series(METRICS.buildInfo))})`, name: '{{service}} {{version}}' },
    ],
    empty: 'no process answers',
    w: 24,
    h: 3,
  }),
]

export const overview = board('overview', 'Is it well, and if not, where?', [
  { heading: 'Health', panels: health },
  { heading: 'Data flow', panels: [picture] },
  { heading: 'Objectives', panels: objectives },
  { heading: 'Rate, errors, duration', panels: red },
])
