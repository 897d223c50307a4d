/** What fails, why, since when, and what failed after what. */
import { METRICS } from '../../metric-names.ts'
import type { FAILURES } from '../../server/contract.ts'
import { board, TO_CONSOLE } from './board.ts'
import { all, count, each, increase, now, orZero, rate, SHOWN, series, share, shareOf } from './expression.ts'
import { bars, graph, type Limits, NONE, type Query, stat, timeline } from './panel.ts'
import { table } from './table.ts'

const SHARE: Limits = { warning: 0.01, critical: 0.05 }
const NOTHING_FAILED = 'nothing failed in this time'
const SERVER_ERROR = { http_response_status_code: /5../ }
/** A person who leaves is no failure of the model. */
const MODEL_FAILED = { error_type: { not: /|cancelled/ } } as const
const FAILED = { outcome: 'failed' } as const

/** Where the way out of a failure is written down; the others are looked up by their trace. */
const RUNBOOKS: Record<string, (keyof typeof FAILURES)[]> = {
  'compile-failures.md': [
    'unsupported_character',
    'latex_invalid',
    'tectonic_unavailable',
    'tectonic_crash',
    'compile_timeout',
    'out_of_memory',
    'sandbox_unavailable',
  ],
  'rate-limits.md': ['rate_limited', 'overloaded', 'llm_rate_limited'],
  'auth-anomalies.md': ['not_allowed', 'llm_unauthorized'],
  'pdf-validation.md': ['pdf_invalid'],
}
const withRunbook = (expression: string) =>
  Object.entries(RUNBOOKS).reduce(
    (inner, [runbook, codes]) =>
      `label_replace(${inner}, "runbook", "${runbook}", "failure_code", "${codes.join('|')}")`,
    expression,
  )

const failedRuns = increase(series(METRICS.runs, FAILED))

const top = [
  stat({
    title: 'Runs failing',
    description: 'What part of the runs that ended failed, for whatever reason.',
    unit: 'percentunit',
    limits: SHARE,
    queries: [{ expr: share(rate(series(METRICS.runs, FAILED)), rate(series(METRICS.runs))), name: 'failed' }],
    spark: true,
    decimals: 1,
    empty: 'no runs in this time',
    links: [TO_CONSOLE],
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Requests failing',
    description: 'What part of the requests to relay and server was answered with 5xx.',
    unit: 'percentunit',
    limits: SHARE,
    queries: [
      {
        expr: share(rate(count(METRICS.httpDuration, SERVER_ERROR)), rate(count(METRICS.httpDuration))),
        name: '5xx',
      },
    ],
    spark: true,
    decimals: 1,
    empty: 'no requests in this time',
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Model failing',
    description: 'What part of the requests to the model failed. Runs go on by rules when they can.',
    unit: 'percentunit',
    limits: { warning: 0.05, critical: 0.2 },
    queries: [
      {
        expr: share(rate(count(METRICS.llmDuration, MODEL_FAILED)), rate(count(METRICS.llmDuration))),
        name: 'failed',
      },
    ],
    spark: true,
    decimals: 1,
    empty: 'no model was asked in this time',
    w: 6,
    h: 3,
  }),
  stat({
    title: 'Compilations failing',
    description: 'What part of the compilations did not end in a PDF, `/compile` included.',
    unit: 'percentunit',
    limits: SHARE,
    queries: [
      {
        expr: share(
          rate(count(METRICS.compileDuration, { outcome: { not: 'ok' } })),
          rate(count(METRICS.compileDuration)),
        ),
        name: 'failed',
      },
    ],
    spark: true,
    decimals: 1,
    empty: 'nothing was compiled in this time',
    w: 6,
    h: 3,
  }),
  table({
    title: 'Top failure codes',
    description:
      'How often each code ended a run in the range that is shown, and its runbook. A code is what the person reads out to support.',
    limits: NONE,
    keys: { failure_code: 'code', runbook: 'runbook' },
    columns: [
      {
        expr: withRunbook(`topk(10, ${each('sum', ['failure_code'], failedRuns)} > 0)`),
        title: 'runs',
        unit: 'short',
      },
    ],
    keyLinks: {
      failure_code: TO_CONSOLE,
      runbook: { title: 'Open the runbook', url: `\${runbooks}/\${__value.text}` },
    },
    empty: 'no run failed in this time',
  }),
  graph({
    title: 'Failed runs by code',
    description: 'Runs that failed, a minute, by code.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [
      {
        expr: `${each('sum', ['failure_code'], rate(series(METRICS.runs, FAILED)))} * 60`,
        name: '{{failure_code}}',
      },
    ],
    stacked: true,
    bars: true,
    empty: 'no run failed in this time',
    links: [TO_CONSOLE],
  }),
]

/** What fails, from cause to effect, with how many a second. */
const PARTS: [string, string, string][] = [
  ['model', rate(count(METRICS.llmDuration, MODEL_FAILED)), rate(count(METRICS.llmDuration))],
  ['latex', ...stage('latex')],
  ['compile', ...stage('compile')],
  ['validate', ...stage('validate')],
  ['server and relay: 5xx', rate(count(METRICS.httpDuration, SERVER_ERROR)), rate(count(METRICS.httpDuration))],
  ['deliver', ...stage('deliver')],
  ['runs', rate(series(METRICS.runs, FAILED)), rate(series(METRICS.runs))],
  ['webhooks', rate(count(METRICS.webhookDuration, { outcome: { not: 'ok' } })), rate(count(METRICS.webhookDuration))],
  [
    'tracing backend',
    rate(count(METRICS.exportDuration, { outcome: { not: 'taken' } })),
    rate(count(METRICS.exportDuration)),
  ],
]

function stage(name: (typeof METRICS.stageDuration.labels.stage)[number]): [string, string] {
  const labels = { stage: name }
  return [rate(count(METRICS.stageDuration, { ...labels, ...FAILED })), rate(count(METRICS.stageDuration, labels))]
}

/** The parts that fail more than that, under a label `part`. */
const BAD = 0.05
const failing = PARTS.map(
  ([part, failed, whole]) => `label_replace(${share(failed, whole)} > ${BAD}, "part", "${part}", "", "")`,
).join(' or ')
const within = (what: 'min' | 'max', inner: string) => `${what}_over_time(${inner}[${SHOWN}:$__interval])`

const cascade = [
  timeline({
    title: 'What failed after what',
    description:
      'Each row is a part, from cause to effect: what turns orange (from 1 %) or red (from 5 %) first, and above the others, is where to look.',
    unit: 'percentunit',
    limits: SHARE,
    queries: PARTS.map(([name, failed, whole]): Query => ({ expr: share(failed, whole), name })),
    empty: 'nothing happened in this time',
  }),
  table({
    title: 'Who failed first',
    description: `When more than ${BAD * 100} % of each part failed, first and last in the range that is shown: the first is a candidate for the cause.`,
    limits: NONE,
    keys: { part: 'part' },
    columns: [
      { expr: `${within('min', `timestamp(${failing})`)} * 1000`, title: 'first', unit: 'dateTimeFromNow' },
      { expr: `${within('max', `timestamp(${failing})`)} * 1000`, title: 'last', unit: 'dateTimeFromNow' },
      { expr: within('max', `(${failing})`), title: 'worst', unit: 'percentunit', limits: SHARE },
    ],
    ascending: true,
    empty: `no part failed more than ${BAD * 100} %`,
  }),
  timeline({
    title: 'Breakers',
    description: 'An open breaker keeps us from asking what does not answer. Open for long: look at what it guards.',
    unit: 'none',
    limits: { warning: 1, critical: 2 },
    queries: [
      {
        expr: `max by (breaker) (${now(series(METRICS.breaker, { state: 'half_open' }))} or ${now(series(METRICS.breaker, { state: 'open' }))} * 2)`,
        name: '{{breaker}}',
      },
    ],
    words: {
      0: { text: 'closed', color: 'green' },
      1: { text: 'half open', color: 'orange' },
      2: { text: 'open', color: 'red' },
    },
    empty: 'no breaker is known',
    h: 5,
  }),
  graph({
    title: 'Stages failing',
    description: 'What part of each stage failed.',
    unit: 'percentunit',
    limits: SHARE,
    queries: [
      {
        expr: shareOf(['stage'], rate(count(METRICS.stageDuration, FAILED)), rate(count(METRICS.stageDuration))),
        name: '{{stage}}',
      },
    ],
    empty: 'no runs in this time',
    links: [TO_CONSOLE],
    h: 5,
  }),
]

const kinds = [
  graph({
    title: 'Requests by status',
    description: 'Requests a minute that were answered with 4xx or 5xx.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [
      {
        expr: `${each('sum', ['http_response_status_code'], rate(count(METRICS.httpDuration, { http_response_status_code: /[45]../ })))} * 60`,
        name: '{{http_response_status_code}}',
      },
    ],
    stacked: true,
    empty: NOTHING_FAILED,
  }),
  graph({
    title: 'Model by error',
    description: 'Requests to the model that failed, a minute, by type. 429: see the quota under resources.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [
      {
        expr: `${each('sum', ['error_type'], rate(count(METRICS.llmDuration, MODEL_FAILED)))} * 60`,
        name: '{{error_type}}',
      },
    ],
    stacked: true,
    empty: NOTHING_FAILED,
  }),
  graph({
    title: 'LaTeX and Tectonic',
    description:
      'Compilations that did not end in a PDF, a minute, by how they ended, and resumes that became no LaTeX.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [
      {
        expr: `${each('sum', ['outcome'], rate(count(METRICS.compileDuration, { outcome: { not: 'ok' } })))} * 60`,
        name: '{{outcome}}',
      },
      { expr: `${orZero(all('sum', rate(count(METRICS.latexDuration, FAILED))))} * 60`, name: 'not rendered' },
    ],
    stacked: true,
    empty: NOTHING_FAILED,
  }),
  graph({
    title: 'Checks of PDFs',
    description: 'What part of the PDFs failed each check. Any is worth a look: the person got no PDF.',
    unit: 'percentunit',
    limits: { warning: 0.01, critical: 0.02 },
    queries: [
      {
        expr: shareOf(
          ['check'],
          rate(series(METRICS.pdfValidations, { outcome: 'failed' })),
          rate(series(METRICS.pdfValidations)),
        ),
        name: '{{check}}',
      },
    ],
    empty: 'no PDF was checked in this time',
  }),
]

const edges = [
  graph({
    title: 'Turned away, by reason',
    description: 'Requests a minute whose token, key or origin was refused. Forged ones in numbers are an attack.',
    unit: 'suffix:/min',
    limits: { warning: 5, critical: 20 },
    queries: [{ expr: `${each('sum', ['reason'], rate(series(METRICS.authFailures)))} * 60`, name: '{{reason}}' }],
    empty: NOTHING_FAILED,
  }),
  graph({
    title: 'Refused for who they are',
    description: 'What part of the requests that had to show who they are from was refused.',
    unit: 'percentunit',
    limits: { warning: 0.2, critical: 0.5 },
    queries: [
      {
        expr: share(rate(series(METRICS.authAttempts, { outcome: 'refused' })), rate(series(METRICS.authAttempts))),
        name: 'refused',
      },
    ],
    empty: 'no request in this time',
  }),
  graph({
    title: 'Denied by a quota',
    description: 'What part of the requests each limiter denied.',
    unit: 'percentunit',
    limits: { warning: 0.05, critical: 0.2 },
    queries: [
      {
        expr: shareOf(
          ['limiter'],
          rate(series(METRICS.rateLimitDecisions, { decision: 'denied' })),
          rate(series(METRICS.rateLimitDecisions)),
        ),
        name: '{{limiter}}',
      },
    ],
    empty: 'no quota was asked in this time',
  }),
  graph({
    title: 'Webhooks',
    description: 'Attempts to deliver a webhook, a minute, by outcome.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [{ expr: `${each('sum', ['outcome'], rate(count(METRICS.webhookDuration)))} * 60`, name: '{{outcome}}' }],
    stacked: true,
    empty: 'no webhook was due in this time',
  }),
  stat({
    title: 'Webhooks given up',
    description: 'Webhooks that were given up in the range that is shown, after the last try.',
    unit: 'short',
    limits: { warning: 1, critical: 5 },
    queries: [{ expr: orZero(all('sum', increase(series(METRICS.webhookDeadLetters)))), name: 'given up' }],
    decimals: 0,
    w: 12,
    h: 3,
  }),
  stat({
    title: 'Oldest webhook',
    description: 'How long the oldest webhook waits that is not delivered yet.',
    unit: 's',
    limits: { warning: 300, critical: 3600 },
    queries: [{ expr: orZero(all('max', now(series(METRICS.webhookOldestPending)))), name: 'oldest' }],
    spark: true,
    decimals: 0,
    w: 12,
    h: 3,
  }),
  bars({
    title: 'Synthetic checks by result',
    description:
      'Runs of synthetic checks in the range that is shown that did not pass. `harness_failed` is no fault of the service.',
    unit: 'short',
    limits: { warning: 1, critical: 3 },
    queries: [
      {
        expr: each('sum', ['check', 'result'], increase(series(METRICS.syntheticRuns, { result: { not: 'passed' } }))),
        name: '{{check}}: {{result}}',
      },
    ],
    empty: 'no check has run',
  }),
  graph({
    title: 'Events on streams',
    description: 'Events sent, a minute. `failed` are runs that ended so.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [{ expr: `${each('sum', ['event'], rate(series(METRICS.sseEvents)))} * 60`, name: '{{event}}' }],
    empty: 'no events in this time',
  }),
]

const telemetry = [
  graph({
    title: 'Spans that were lost',
    description: 'Spans that the relay dropped, a second, by reason. None is the only good number.',
    unit: 'cps',
    limits: { warning: 0.01, critical: 1 },
    queries: [
      {
        expr: each('sum', ['reason'], rate(series(METRICS.relaySpans, { result: 'dropped' }))),
        name: '{{reason}}',
      },
    ],
    empty: NOTHING_FAILED,
  }),
  graph({
    title: 'Tracing backend',
    description:
      'Requests to the tracing backend, a minute, by outcome. Refused ones wait in `npm run relay -- dead-letters`.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [{ expr: `${each('sum', ['outcome'], rate(count(METRICS.exportDuration)))} * 60`, name: '{{outcome}}' }],
    stacked: true,
    empty: 'nothing was forwarded in this time',
  }),
  bars({
    title: 'Taken out of spans',
    description:
      'What was not listed or looked personal, and was taken out, in the range that is shown, by kind. A jump: a new version adds something.',
    unit: 'short',
    limits: NONE,
    queries: [{ expr: each('sum', ['kind'], increase(series(METRICS.relayScrubbed))), name: '{{kind}}' }],
    empty: 'nothing was taken out',
  }),
  bars({
    title: 'Lost by the store',
    description:
      'What the store lost or let go early, in the range that is shown, by kind. A damaged file is the disk’s fault; the others are room.',
    unit: 'short',
    limits: { warning: 1, critical: 10 },
    queries: [{ expr: each('sum', ['kind'], increase(series(METRICS.relayLosses))), name: '{{kind}}' }],
    empty: 'nothing was lost',
  }),
  graph({
    title: 'Timings told by browsers',
    description:
      'What browsers tell of the durations that only they know, a minute. Malformed ones are left out: a version of the extension tells nonsense, or somebody does.',
    unit: 'suffix:/min',
    limits: NONE,
    queries: [{ expr: `${each('sum', ['result'], rate(series(METRICS.relayTimings)))} * 60`, name: '{{result}}' }],
    stacked: true,
    empty: 'no browser told any in this time',
  }),
  bars({
    title: 'Labels that became "other"',
    description:
      'Values that a metric does not list, in the range that is shown. Any: add the value to metric-names.ts, or find who invents it.',
    unit: 'short',
    limits: { warning: 1, critical: 100 },
    queries: [{ expr: each('sum', ['metric'], increase(series(METRICS.labelsReplaced))), name: '{{metric}}' }],
    empty: 'every value is listed',
  }),
  stat({
    title: 'Connections refused',
    description: 'Connections that the relay closed in the range that is shown, because there were too many.',
    unit: 'short',
    limits: { warning: 1, critical: 1000 },
    queries: [{ expr: orZero(all('sum', increase(series(METRICS.relayConnectionsRefused)))), name: 'refused' }],
    decimals: 0,
    w: 24,
    h: 3,
  }),
]

export const errors = board('errors', 'What fails, why, since when, and what failed after what?', [
  { heading: 'Runs', panels: top },
  { heading: 'Cascade', panels: cascade },
  { heading: 'By kind', panels: kinds },
  { heading: 'At the edges', panels: edges },
  { heading: 'Telemetry itself', panels: telemetry },
])
