/**
 * Hours of traffic for a Prometheus that has seen none: every metric of the catalogue, with every value of every label,
 * through the code by which services count (`metrics.ts`), so that names, buckets and zeros are written as they write
 * them. Deterministic, with a failure that goes through the stages once an hour.
 */
import { setImmediate } from 'node:timers/promises'
import { METRICS, type Metric } from '../../metric-names.ts'
import { counter, gauge, histogram, metricsText, serveMetrics } from '../../metrics.ts'

/** Values for labels that take what comes. The first is what usually happens. */
const VALUES: Record<string, readonly string[]> = {
  http_route: ['/generate', '/runs/:id/events', '/runs/:id/resume.pdf', '/compile', '/v1/traces', '/support/:id'],
  http_response_status_code: ['200', '202', '404', '429', '502', '503'],
  gen_ai_provider_name: ['openai'],
  gen_ai_request_model: ['gpt-5-mini', 'gpt-5'],
  error_type: ['', '429', 'timeout'],
  failure_code: ['', 'llm_timeout', 'tectonic_crash', 'latex_invalid', 'rate_limited', 'posting_not_found'],
  check: ['opens', 'text', 'fonts', 'pages'],
  kind: ['attribute', 'email', 'phone'],
  metric: [METRICS.httpDuration.name],
  version: ['0.1.0'],
}
/** Labels whose other values are rare, with what is not. */
const USUAL: Record<string, string> = {
  http_response_status_code: '200',
  error_type: '',
  failure_code: '',
  outcome: 'ok|passed|accepted|taken',
  decision: 'allowed',
  result: 'received|stored|kept|forwarded|passed',
  synthetic: 'false',
}
/** What a histogram's values are around, and how many times as much a gauge may become. */
const AROUND: Partial<Record<keyof typeof METRICS, number>> = {
  httpDuration: 0.06,
  sseDuration: 7,
  llmDuration: 4,
  llmFirstChunk: 0.7,
  llmTokens: 900,
  llmSpeed: 90,
  runDuration: 8,
  latexDuration: 0.008,
  compileDuration: 0.9,
  compileMemory: 170 * 1024 ** 2,
  pdfValidationDuration: 0.03,
  pdfSize: 30_000,
  pdfPages: 1.2,
  webhookDuration: 0.2,
  exportDuration: 0.05,
  quotaUsed: 600_000,
  quotaLimit: 1_000_000,
  relayQueue: 12,
  relayQueueCapacity: 1000,
  relayStoreBytes: 1.2e9,
  relayStoreCapacity: 5.4e9,
  buildInfo: 1,
}
const STAGE_SECONDS: Record<string, number> = {
  extract: 0.3,
  request: 0.1,
  queue: 0.2,
  llm: 4,
  latex: 0.06,
  compile: 0.9,
  validate: 0.08,
  deliver: 0.2,
}
/** What should not happen at all. */
const SELDOM = /failures|scrubbed|dead_letter/
const STEADY = /capacity|limit|build_info/
const RUNS_A_SECOND = 0.4
/** A product of more values than this is thinned out: each value once, beside the usual ones. */
const PRODUCT = 60

export const SERVICES = { 'pass-ats-relay': 'relay:9464', 'pass-ats-server': 'server:9465' } as const
/** Who has what; the rest is the server's. Both answer requests and are processes. */
const OF_RELAY = /^pass_(relay|auth|rate_limit|quota|e2e|runs|sse|synthetic|metric)/
const OF_BOTH = /^(http_|process_|nodejs_|pass_build_info)/

type Labels = Record<string, string>

function combinationsOf(metric: Metric): Labels[] {
  const values = Object.entries(metric.labels).map(([label, listed]) => {
    const known = typeof listed === 'number' ? (VALUES[label] ?? ['some']) : listed
    return [label, [...known].sort((a, b) => rareness(label, a) - rareness(label, b))] as const
  })
  const usual = Object.fromEntries(values.map(([label, [first = '']]) => [label, first]))
  const product = values.reduce<Labels[]>(
    (made, [label, known]) => made.flatMap((labels) => known.map((value) => ({ ...labels, [label]: value }))),
    [{}],
  )
  const thin = values.flatMap(([label, known]) => known.map((value) => ({ ...usual, [label]: value })))
  return (product.length <= PRODUCT ? product : thin).filter(
    ({ outcome, failure_code: code }) => code === undefined || (outcome === 'failed') === (code !== ''),
  )
}

/** 0 for what usually happens. */
function rareness(label: string, value: string): number {
  const usual = USUAL[label]
  return usual === undefined || new RegExp(`^(${usual})$`).test(value) ? 0 : 1
}

/** From 0 to 1, the same each time (mulberry32). */
function randomness(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Starts counting. `advance` lets `seconds` pass until `at` (seconds since 1970). */
async function createTraffic() {
  const random = randomness(7)
  const around = (middle: number) => middle * Math.exp((random() + random() + random() - 1.5) * 0.9)
  const owners = Object.entries(METRICS).flatMap(([key, metric]: [string, Metric]) => {
    const observed = observe(metric)
    const middle = AROUND[key as keyof typeof METRICS] ?? 3
    const owed = combinationsOf(metric).map((labels) => ({ labels, carry: random() }))
    return observed ? [{ metric, observed, middle, owed }] : []
  })
  const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, { service: 'pass-ats-relay', version: '0.1.0' })
  return {
    advance: (seconds: number, at: number) => {
      const day = 1 + 0.5 * Math.sin(at / 3000)
      for (const { metric, observed, middle, owed } of owners) {
        for (const each of owed) {
          const { labels } = each
          if (metric.type === 'gauge') {
            observed(labels, gaugeOf(metric, labels, middle, day, at))
            continue
          }
          const rare = Object.entries(labels).reduce((sum, [label, value]) => sum + rareness(label, value), 0)
          const often = RUNS_A_SECOND * (SELDOM.test(metric.name) ? 0.01 : 1)
          each.carry += often * seconds * day * 0.004 ** rare * (rare > 0 ? trouble(labels, at) : 1)
          const times = Math.floor(each.carry)
          each.carry -= times
          if (metric.type === 'counter') observed(labels, times)
          else for (let n = 0; n < times; n += 1) observed(labels, around(STAGE_SECONDS[labels.stage ?? ''] ?? middle))
        }
        // One value that is not listed, now and then: it must become "other".
        if (metric === METRICS.sseEvents && at % 1800 === 0) observed({ event: 'unheard_of' }, 1)
      }
    },
    close: server.close,
  }
}

/** How a metric of the catalogue is observed; those that `metrics.ts` has by itself, by nobody else. */
function observe(metric: Metric): ((labels: Labels, value: number) => void) | undefined {
  if (metric === METRICS.labelsReplaced || metric === METRICS.buildInfo) return undefined
  if (metric.type === 'counter') return counter({ ...metric, type: 'counter' }).add
  if (metric.type === 'gauge') return gauge({ ...metric, type: 'gauge' }).set
  return histogram({ ...metric, type: 'histogram' }).observe
}

/** Within each hour, ten minutes of failures that reach one part after another. */
function trouble(labels: Labels, at: number): number {
  const parts = ['llm', 'latex', 'compile', 'validate', 'deliver']
  const late = Math.max(0, parts.indexOf(labels.stage ?? '')) * 120
  const minute = ((at - late) % 3600) / 60
  return minute > 20 && minute < 30 ? 40 : 1
}

function gaugeOf(metric: Metric, labels: Labels, middle: number, day: number, at: number): number {
  if (metric === METRICS.breaker)
    return Number(labels.state === (trouble({ stage: 'llm' }, at) > 1 ? 'open' : 'closed'))
  if (metric === METRICS.syntheticSuccess) return 1
  if (metric === METRICS.syntheticLastRun) return at - (at % 300)
  return STEADY.test(metric.name) ? middle : middle * day
}

/** The text of what was counted from `from` to `to`, every `step` seconds, as promtool makes blocks of it. */
export async function history({ from, to, step }: { from: number; to: number; step: number }): Promise<string> {
  const families = new Map<string, Map<string, string[]>>()
  const traffic = await createTraffic()
  for (let at = from; at <= to; at += step) {
    traffic.advance(step, at)
    // Node tells of its garbage collections when it has nothing else to do.
    await setImmediate()
    let family = ''
    for (const line of (await metricsText()).split('\n')) {
      if (line.startsWith('# TYPE ')) family = line
      if (line === '' || line.startsWith('#')) continue
      // What is behind it is an exemplar, which blocks cannot take.
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*?)\})? (\S+)/.exec(line) ?? []
      for (const [service, instance] of Object.entries(SERVICES)) {
        if (!OF_BOTH.test(name) && OF_RELAY.test(name) !== (service === 'pass-ats-relay')) continue
        const own = labels.replace('service="pass-ats-relay"', `service="${service}"`)
        keep(family, `${name}{${own === '' ? '' : `${own},`}job="${service}",instance="${instance}"} `, value, at)
      }
    }
    for (const [service, instance] of Object.entries(SERVICES)) {
      keep('# TYPE up gauge', `up{job="${service}",instance="${instance}"} `, '1', at)
    }
  }
  traffic.close()
  return `${[...families].map(([type, all]) => `${type}\n${[...all.values()].flat().join('\n')}`).join('\n')}\n# EOF\n`

  function keep(family: string, series: string, value: string, at: number) {
    const all = families.get(family) ?? new Map<string, string[]>()
    families.set(family, all)
    const samples = all.get(series) ?? []
    all.set(series, samples)
    samples.push(`${series}${value} ${at}`)
  }
}
