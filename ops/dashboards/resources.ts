/** What is used up: memory, CPU, the event loop, Tectonic, the model's quota and its cost, the store and its queues. */
import { LAG_EVERY_MS, METRICS } from '../../metric-names.ts'
import { board } from './board.ts'
import { all, each, increase, now, orZero, percentile, rate, STEP, series, sum } from './expression.ts'
import { graph, type Limits, NONE, stat } from './panel.ts'

const FULL: Limits = { warning: 0.8, critical: 1 }
const MEBIBYTE = 1024 ** 2

/** Of the metrics that every Node process has, with the service's name. */
const ofProcess = (expression: string) =>
  `${expression} * on (instance) group_left (service) ${METRICS.buildInfo.name}{service=~"$service", version=~"$version"}`
const NAME = '{{service}} {{instance}}'
/** By how much timers were late, seconds, of a metric that has the time between them in it. */
const late = (metric: string) => `clamp_min(${metric} - ${LAG_EVERY_MS / 1_000}, 0)`

/** A gauge against what it may be at most: 0 to 1. */
const filled = (used: string, limit: string) => `max(${used}) / (max(${limit}) > 0)`

const full = [
  stat({
    title: 'Model quota used',
    description: 'Tokens of the day, of those that all share. At 100 % resumes are made by rules until midnight UTC.',
    unit: 'percentunit',
    limits: FULL,
    queries: [
      {
        expr: filled(
          now(series(METRICS.quotaUsed, { quota: 'llm_tokens' })),
          now(series(METRICS.quotaLimit, { quota: 'llm_tokens' })),
        ),
        name: 'used',
      },
    ],
    spark: true,
    decimals: 0,
    empty: 'no quota is set',
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Model cost',
    description:
      'US dollars for the tokens of the range that is shown, at the prices set among the variables. An estimate: the provider bills.',
    unit: 'currencyUSD',
    limits: { warning: 10, critical: 50 },
    queries: [
      {
        expr: `${orZero(all('sum', increase(sum(METRICS.llmTokens, { gen_ai_token_type: 'input' }))))} / 1e6 * $price_input + ${orZero(all('sum', increase(sum(METRICS.llmTokens, { gen_ai_token_type: 'output' }))))} / 1e6 * $price_output`,
        name: 'cost',
      },
    ],
    decimals: 2,
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Store filled',
    description: 'Bytes of the relay’s store, of those it may have. Over it, the oldest hour goes early.',
    unit: 'percentunit',
    limits: { warning: 0.8, critical: 0.95 },
    queries: [
      {
        expr: filled(now(series(METRICS.relayStoreBytes)), now(series(METRICS.relayStoreCapacity))),
        name: 'filled',
      },
    ],
    spark: true,
    decimals: 0,
    empty: 'no relay answers',
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Relay queue filled',
    description: 'Requests that wait for the disk, of those that may. Full: further ones get 503 and come again.',
    unit: 'percentunit',
    limits: { warning: 0.5, critical: 0.9 },
    queries: [
      {
        expr: filled(now(series(METRICS.relayQueue)), now(series(METRICS.relayQueueCapacity))),
        name: 'filled',
      },
    ],
    spark: true,
    decimals: 0,
    empty: 'no relay answers',
    w: 6,
    h: 3,
  }),
]

const processes = [
  graph({
    title: 'Memory',
    description: 'Resident memory of each process, Tectonic not included.',
    unit: 'bytes',
    limits: { warning: 512 * MEBIBYTE, critical: 1024 * MEBIBYTE },
    queries: [{ expr: ofProcess('process_resident_memory_bytes'), name: NAME }],
    empty: 'no process answers',
  }),
  graph({
    title: 'CPU',
    description: 'Cores used by each process. JavaScript has one: at 1 requests wait.',
    unit: 'short',
    limits: { warning: 0.8, critical: 1 },
    queries: [{ expr: ofProcess(`rate(process_cpu_seconds_total[${STEP}])`), name: NAME }],
    empty: 'no process answers',
  }),
  graph({
    title: 'Event loop',
    description:
      'Seconds by which timers are late. Above 0.1 s everything in the process waits: look for what computes.',
    unit: 's',
    limits: { warning: 0.1, critical: 0.5 },
    queries: [
      { expr: ofProcess(late('nodejs_eventloop_lag_p99_seconds')), name: `${NAME} P99` },
      { expr: ofProcess(late('nodejs_eventloop_lag_p50_seconds')), name: `${NAME} P50` },
    ],
    empty: 'no process answers',
  }),
  graph({
    title: 'Heap',
    description: 'JavaScript heap in use, and memory outside it (buffers). Growing for days: a leak.',
    unit: 'bytes',
    limits: { warning: 512 * MEBIBYTE, critical: 1024 * MEBIBYTE },
    queries: [
      { expr: ofProcess('nodejs_heap_size_used_bytes'), name: `${NAME} heap` },
      { expr: ofProcess('nodejs_external_memory_bytes'), name: `${NAME} buffers` },
    ],
    empty: 'no process answers',
  }),
  graph({
    title: 'Garbage collection',
    description: 'What part of the time each process collects garbage.',
    unit: 'percentunit',
    limits: { warning: 0.05, critical: 0.2 },
    queries: [{ expr: ofProcess(`sum by (instance) (rate(nodejs_gc_duration_seconds_sum[${STEP}]))`), name: NAME }],
    empty: 'no process answers',
  }),
  graph({
    title: 'Open files',
    description: 'Files and connections that are open, of those that may be.',
    unit: 'percentunit',
    limits: { warning: 0.5, critical: 0.9 },
    queries: [{ expr: ofProcess('process_open_fds / process_max_fds'), name: NAME }],
    empty: 'no process answers',
  }),
]

const tectonic = [
  graph({
    title: 'Tectonic: most memory',
    description: 'The most that one Tectonic process held. The sandbox ends it at its limit.',
    unit: 'bytes',
    limits: { warning: 512 * MEBIBYTE, critical: 900 * MEBIBYTE },
    queries: [0.5, 0.99].map((rank) => ({
      expr: percentile(rank, METRICS.compileMemory),
      name: `P${rank * 100}`,
      exemplars: true as const,
    })),
    empty: 'nothing was compiled in this time',
  }),
  graph({
    title: 'Tectonic: CPU and queue',
    description:
      'Cores that Tectonic used, and compilations that wait for their turn. A queue that stays: more cores, or a higher COMPILE_CONCURRENCY.',
    unit: 'short',
    limits: { warning: 2, critical: 10 },
    queries: [
      { expr: orZero(all('sum', rate(series(METRICS.compileCpu)))), name: 'cores' },
      { expr: orZero(all('sum', now(series(METRICS.compileWaiting)))), name: 'waiting' },
    ],
  }),
  graph({
    title: 'PDF: bytes',
    description: 'Size of PDFs. Halved or doubled: the template or the fonts have changed.',
    unit: 'bytes',
    limits: { warning: MEBIBYTE, critical: 2 * MEBIBYTE },
    queries: [0.5, 0.95].map((rank) => ({ expr: percentile(rank, METRICS.pdfSize), name: `P${rank * 100}` })),
    empty: 'no PDF in this time',
  }),
  graph({
    title: 'PDF: pages',
    description: 'Pages of PDFs. A resume has one or two.',
    unit: 'short',
    limits: { warning: 3, critical: 4 },
    queries: [0.5, 0.95].map((rank) => ({ expr: percentile(rank, METRICS.pdfPages), name: `P${rank * 100}` })),
    empty: 'no PDF in this time',
  }),
]

const quotas = [
  graph({
    title: 'Quotas that all share',
    description: 'What is used of each: tokens of a day, runs and spans of an hour.',
    unit: 'percentunit',
    limits: FULL,
    queries: [
      {
        expr: `${each('max', ['quota'], now(series(METRICS.quotaUsed)))} / (${each('max', ['quota'], now(series(METRICS.quotaLimit)))} > 0)`,
        name: '{{quota}}',
      },
    ],
    empty: 'no quota is set',
  }),
  graph({
    title: 'Tokens',
    description: 'Tokens that the model read and wrote, a second.',
    unit: 'suffix:/s',
    limits: NONE,
    queries: [
      { expr: each('sum', ['gen_ai_token_type'], rate(sum(METRICS.llmTokens))), name: '{{gen_ai_token_type}}' },
    ],
    stacked: true,
    empty: 'no model was asked in this time',
  }),
  graph({
    title: 'Decisions of quotas',
    description: 'Requests for which a quota was asked, a second.',
    unit: 'reqps',
    limits: NONE,
    queries: [
      {
        expr: each('sum', ['limiter', 'decision'], rate(series(METRICS.rateLimitDecisions))),
        name: '{{limiter}} {{decision}}',
      },
    ],
    empty: 'no quota was asked in this time',
  }),
  graph({
    title: 'Synthetic checks',
    description: 'Seconds that the last run of each check took.',
    unit: 's',
    limits: { warning: 30, critical: 60 },
    queries: [{ expr: each('max', ['check'], series(METRICS.syntheticDuration)), name: '{{check}}' }],
    empty: 'no check has run',
  }),
  stat({
    title: 'Since the last check',
    description: 'Seconds since each synthetic check ran. Growing: nobody runs them, and silence means nothing.',
    unit: 's',
    limits: { warning: 900, critical: 3600 },
    queries: [
      { expr: `time() - ${each('max', ['check'], `${series(METRICS.syntheticLastRun)} > 0`)}`, name: '{{check}}' },
    ],
    empty: 'no check has run',
    w: 24,
    h: 3,
  }),
]

const relay = [
  graph({
    title: 'Store',
    description: 'Bytes of the store on the disk, and what it may have.',
    unit: 'bytes',
    limits: NONE,
    queries: [
      { expr: all('max', now(series(METRICS.relayStoreBytes))), name: 'used' },
      { expr: all('max', now(series(METRICS.relayStoreCapacity))), name: 'may have' },
    ],
    empty: 'no relay answers',
  }),
  graph({
    title: 'Waiting',
    description:
      'Requests that wait for the disk, and entries that the tracing backend has not taken. The second grows while the backend is away.',
    unit: 'short',
    limits: { warning: 100, critical: 900 },
    queries: [
      { expr: all('max', now(series(METRICS.relayQueue))), name: 'for the disk' },
      { expr: all('max', now(series(METRICS.relayBehind))), name: 'for the backend' },
    ],
    empty: 'no relay answers',
  }),
  graph({
    title: 'Spans',
    description: 'Spans a second, by what became of them.',
    unit: 'cps',
    limits: NONE,
    queries: [{ expr: each('sum', ['result'], rate(series(METRICS.relaySpans))), name: '{{result}}' }],
    empty: 'no relay answers',
    w: 24,
  }),
]

export const resources = board('resources', 'What is used up, and when is it full?', [
  { heading: 'How full', panels: full },
  { heading: 'Processes', panels: processes },
  { heading: 'Tectonic and PDFs', panels: tectonic },
  { heading: 'Quotas', panels: quotas },
  { heading: 'Relay', panels: relay },
])
