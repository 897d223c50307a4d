/** What takes how long, and which stage is the bottleneck. */
import { METRICS } from '../../metric-names.ts'
import { FAST_SECONDS } from '../objectives.ts'
import { board, TO_CONSOLE } from './board.ts'
import { all, average, buckets, each, percentile, rate, SHOWN, sum } from './expression.ts'
import { bars, graph, heatmap, type Limits, NONE, type Query, stat } from './panel.ts'
import { table } from './table.ts'

const EMPTY = 'no runs in this time'
const RUN: Limits = { warning: FAST_SECONDS, critical: FAST_SECONDS * 2 }
const STAGE: Limits = { warning: 10, critical: 20 }
/** What is refused is quick, and would make the rest look better. */
const ANSWERED = { http_response_status_code: /2../ } as const
const OK = { labels: { outcome: 'ok' } } as const

/** P50, P95 and P99 as three lines, each with traces behind it. */
const percentiles = (expression: (rank: number) => string): Query[] =>
  [0.5, 0.95, 0.99].map((rank) => ({ expr: expression(rank), name: `P${rank * 100}`, exemplars: true }))

/** What part of all the runs' time was spent in each stage. */
const part = (window?: string) => {
  const spent = rate(sum(METRICS.stageDuration), window)
  return `${each('sum', ['stage'], spent)} / on () group_left () (${all('sum', spent)} > 0)`
}

const run = [
  graph({
    title: 'Click to PDF',
    description: 'Seconds of runs that ended well. A point opens the trace of one of them.',
    unit: 's',
    limits: RUN,
    queries: percentiles((rank) => percentile(rank, METRICS.runDuration, OK)),
    empty: EMPTY,
    links: [TO_CONSOLE],
  }),
  graph({
    title: 'Where the time goes',
    description: 'The average of each stage, one on another: the height is an average run.',
    unit: 's',
    limits: RUN,
    queries: [{ expr: average(METRICS.stageDuration, { ...OK, by: ['stage'] }), name: '{{stage}}' }],
    stacked: true,
    bars: true,
    empty: EMPTY,
  }),
  stat({
    title: 'Bottleneck of the hour',
    description:
      'The stage that had the largest part of all the time of runs within the last hour. Above a half: start there.',
    unit: 'percentunit',
    limits: { warning: 0.5, critical: 0.75 },
    queries: [{ expr: `topk(1, ${part('1h')})`, name: '{{stage}}' }],
    decimals: 0,
    empty: 'no runs within the hour',
    w: 6,
  }),
  bars({
    title: 'Part of the time, by stage',
    description: 'Of all the time of runs in the range that is shown, the part of each stage.',
    unit: 'percentunit',
    limits: { warning: 0.5, critical: 0.75 },
    queries: [{ expr: part(SHOWN), name: '{{stage}}' }],
    max: 1,
    empty: EMPTY,
    w: 9,
  }),
  table({
    title: 'Stages',
    description: 'Seconds of each stage over the range that is shown, those that ended well.',
    limits: NONE,
    keys: { stage: 'stage' },
    sortBy: 'P95',
    columns: [
      ...[0.5, 0.95, 0.99].map((rank) => ({
        expr: percentile(rank, METRICS.stageDuration, { ...OK, by: ['stage'], window: SHOWN }),
        title: `P${rank * 100}`,
        unit: 's' as const,
        limits: STAGE,
      })),
    ],
    empty: EMPTY,
    w: 9,
  }),
  heatmap({
    title: 'Click to PDF, all runs',
    description: 'How many runs took how long. Two bands are two kinds of runs; a point opens a trace.',
    unit: 's',
    limits: NONE,
    query: buckets(METRICS.runDuration),
    cells: 'runs',
    empty: EMPTY,
    w: 24,
    links: [TO_CONSOLE],
  }),
]

const stages = [
  graph({
    title: 'Stages, P95',
    description: 'Of 20 times, a stage took at most this long 19 times. `queue` is the wait for a turn.',
    unit: 's',
    limits: STAGE,
    queries: [
      {
        expr: percentile(0.95, METRICS.stageDuration, { ...OK, by: ['stage'] }),
        name: '{{stage}}',
        exemplars: true,
      },
    ],
    empty: EMPTY,
    links: [TO_CONSOLE],
  }),
  graph({
    title: 'Stages, P99',
    description: 'The slowest of a hundred: what people complain about.',
    unit: 's',
    limits: STAGE,
    queries: [
      {
        expr: percentile(0.99, METRICS.stageDuration, { ...OK, by: ['stage'] }),
        name: '{{stage}}',
        exemplars: true,
      },
    ],
    empty: EMPTY,
    links: [TO_CONSOLE],
  }),
]

const model = [
  graph({
    title: 'Model: whole answer',
    description: 'Seconds from the request to the end of the answer.',
    unit: 's',
    limits: { warning: 20, critical: 60 },
    queries: percentiles((rank) => percentile(rank, METRICS.llmDuration, { labels: { error_type: '' } })),
    empty: 'no model was asked in this time',
    links: [TO_CONSOLE],
  }),
  graph({
    title: 'Model: first piece',
    description: 'Seconds to the first piece of the answer: queueing at the provider shows here first.',
    unit: 's',
    limits: { warning: 5, critical: 20 },
    queries: percentiles((rank) => percentile(rank, METRICS.llmFirstChunk)),
    empty: 'no model was asked in this time',
  }),
  graph({
    title: 'Model: tokens a second',
    description: 'How fast an answer is written, the median by model. Falling: the provider is busy.',
    unit: 'short',
    limits: { warning: 20, critical: 5, falling: true },
    queries: [
      {
        expr: percentile(0.5, METRICS.llmSpeed, { by: ['gen_ai_request_model'] }),
        name: '{{gen_ai_request_model}}',
      },
    ],
    empty: 'no model was asked in this time',
  }),
  heatmap({
    title: 'Model: all answers',
    description: 'How many answers took how long.',
    unit: 's',
    limits: NONE,
    query: buckets(METRICS.llmDuration),
    cells: 'answers',
    empty: 'no model was asked in this time',
  }),
]

const document = [
  graph({
    title: 'Tectonic',
    description: 'Seconds that Tectonic ran, of compilations that ended well.',
    unit: 's',
    limits: { warning: 5, critical: 20 },
    queries: percentiles((rank) => percentile(rank, METRICS.compileDuration, OK)),
    empty: 'nothing was compiled in this time',
    links: [TO_CONSOLE],
  }),
  heatmap({
    title: 'Tectonic, all compilations',
    description: 'How many compilations took how long, however they ended.',
    unit: 's',
    limits: NONE,
    query: buckets(METRICS.compileDuration),
    cells: 'compilations',
    empty: 'nothing was compiled in this time',
  }),
  graph({
    title: 'LaTeX and checks of the PDF, P95',
    description: 'Seconds in which a resume became LaTeX, by template, and in which its PDF was checked.',
    unit: 's',
    limits: { warning: 0.5, critical: 2.5 },
    queries: [
      { expr: percentile(0.95, METRICS.latexDuration, { by: ['template'] }), name: 'LaTeX, {{template}}' },
      { expr: percentile(0.95, METRICS.pdfValidationDuration), name: 'checks' },
    ],
    empty: EMPTY,
    w: 24,
    h: 6,
  }),
]

const ways = [
  graph({
    title: 'Requests, P95 by route',
    description: 'Seconds of requests that relay and server answered with 2xx; streams last as long as a run does.',
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
    w: 24,
    links: [TO_CONSOLE],
  }),
  graph({
    title: 'Streams, P95 by how they ended',
    description: 'Seconds for which event streams were open.',
    unit: 's',
    limits: { warning: 60, critical: 120 },
    queries: [{ expr: percentile(0.95, METRICS.sseDuration, { by: ['close_reason'] }), name: '{{close_reason}}' }],
    empty: 'no stream has ended in this time',
  }),
  graph({
    title: 'Webhooks and tracing backend, P95',
    description: 'Seconds of one attempt. Neither holds a run up; slow ones fill queues.',
    unit: 's',
    limits: { warning: 2.5, critical: 10 },
    queries: [
      { expr: percentile(0.95, METRICS.webhookDuration, { by: ['event'] }), name: 'webhook {{event}}' },
      { expr: percentile(0.95, METRICS.exportDuration), name: 'tracing backend' },
    ],
    empty: 'none was sent in this time',
  }),
]

export const performance = board('performance', 'What takes how long, and which stage is the bottleneck?', [
  { heading: 'Runs', panels: run },
  { heading: 'Stages', panels: stages },
  { heading: 'Model', panels: model },
  { heading: 'Document', panels: document },
  { heading: 'Requests', panels: ways },
])
