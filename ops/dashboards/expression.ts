/**
 * PromQL as the dashboards write it. A metric and its labels are the catalogue's own objects, so that the compiler knows
 * a label that does not exist; the variables `service`, `version` and `synthetic` are put in here, once.
 */
import { METRICS, type Metric } from '../../metric-names.ts'

/** Of Grafana: four scrapes or the distance of two points, whichever is longer; so no query misses or counts twice. */
export const STEP = '$__rate_interval'
/** Of Grafana: the time range that is shown. */
export const SHOWN = '$__range'

type LabelOf<M extends Metric> = Extract<keyof M['labels'], string>
/** A text is the value itself, a pattern any that match; `not` turns it around. */
type Wanted = string | RegExp | { not: string | RegExp }
type Labels<M extends Metric> = Partial<Record<LabelOf<M>, Wanted>>

const written = (label: string, wanted: Wanted): string => {
  const [value, equal, like] =
    typeof wanted === 'object' && 'not' in wanted ? [wanted.not, '!=', '!~'] : [wanted, '=', '=~']
  return value instanceof RegExp ? `${label}${like}"${value.source}"` : `${label}${equal}"${value}"`
}

function selector(metric: Metric, labels: Record<string, Wanted | undefined>, suffix = ''): string {
  const synthetic = 'synthetic' in metric.labels ? { synthetic: /$synthetic/ } : {}
  const wanted = Object.entries<Wanted | undefined>({ ...labels, ...(labels.synthetic ? {} : synthetic) })
  const matchers = wanted.flatMap(([label, value]) => (value === undefined ? [] : [written(label, value)]))
  return `${metric.name}${suffix}${matchers.length > 0 ? `{${matchers.join(', ')}}` : ''}`
}

/** The series of a counter or a gauge. Unless `labels` says otherwise, `synthetic` is what the variable says. */
export const series = <M extends Metric>(metric: M, labels: Labels<M> = {}): string => selector(metric, labels)
/** How many values a histogram has seen. */
export const count = <M extends Metric & { type: 'histogram' }>(metric: M, labels: Labels<M> = {}): string =>
  selector(metric, labels, '_count')
/** The sum of what a histogram has seen. */
export const sum = <M extends Metric & { type: 'histogram' }>(metric: M, labels: Labels<M> = {}): string =>
  selector(metric, labels, '_sum')

// Services and versions are told from one another by an info metric, as Prometheus' own do it: as labels of every metric
// they would double the series with each release. It is looked for as far back as the values are, so that a process
// that has gone since still counts.
const here = (back: string) =>
  `and on (instance) last_over_time(${METRICS.buildInfo.name}{service=~"$service", version=~"$version"}[${back}])`

/** A second, over `window`, of the chosen services and versions. */
export const rate = (counted: string, window = STEP): string => `(rate(${counted}[${window}]) ${here(window)})`
/** How many within `window`, of the chosen services and versions. */
export const increase = (counted: string, window = SHOWN): string => `(increase(${counted}[${window}]) ${here(window)})`
/** How many within `window`, of all services and versions: for objectives, which no variable may change. */
export const everywhere = (counted: string, window: string): string => `increase(${counted}[${window}])`
/**
 * The same for weeks, at four points an hour: a sixtieth of the samples where there is a scrape every 15 s. It leaves out
 * what was counted in the last quarter of an hour before a restart. What is too young for two points is taken whole.
 */
export const forWeeks = (counted: string, window: string): string =>
  `(increase(${counted}[${window}:15m]) or increase(${counted}[1h]))`
/** Of what is counted or gauged, that of one service only. */
export const of = (service: string, expression: string, window = STEP): string =>
  `(${expression} and on (instance) last_over_time(${METRICS.buildInfo.name}{service="${service}"}[${window}]))`
/** A gauge of the chosen services and versions. */
export const now = (gauge: string): string => `(${gauge} ${here('5m')})`

type Operator = 'sum' | 'min' | 'max' | 'avg'
/** One series for all. */
export const all = (operator: Operator, expression: string): string => `${operator}${bare(expression)}`
/** One series for each value of the labels. */
export const each = (operator: Operator, by: string[], expression: string): string =>
  `${operator} by (${by.join(', ')}) ${bare(expression)}`

/**
 * Where nothing was counted yet there is no series, and zero is true; but only while some process answers. With all of
 * them down, `vector(0)` would claim to know that nothing happens.
 */
export const orZero = (expression: string): string => `(${expression} or max(up > 0) * 0)`

/** What part of `whole` is `part`: from 0 to 1. Nothing at all, rather than 0, while nothing happened. */
export const share = (part: string, whole: string): string => {
  const wholes = all('sum', whole)
  return `(${all('sum', part)} or ${wholes} * 0) / (${wholes} > 0)`
}

/** The same for each value of a label; 0 for those of which there is a whole and no part. */
export const shareOf = (by: string[], part: string, whole: string): string => {
  const wholes = each('sum', by, whole)
  return `(${each('sum', by, part)} or ${wholes} * 0) / (${wholes} > 0)`
}

/** A percentile of a histogram, e.g. 0.95, over `window`. Nothing while nothing happened. */
export function percentile<M extends Metric & { type: 'histogram' }>(
  rank: number,
  metric: M,
  { labels = {}, by = [], window = STEP }: { labels?: Labels<M>; by?: LabelOf<M>[]; window?: string } = {},
): string {
  const buckets = rate(selector(metric, labels, '_bucket'), window)
  return `histogram_quantile(${rank}, ${each('sum', ['le', ...by], buckets)})`
}

/** A histogram's buckets, for a heatmap. */
export function buckets<M extends Metric & { type: 'histogram' }>(metric: M, labels: Labels<M> = {}): string {
  return each('sum', ['le'], increase(selector(metric, labels, '_bucket'), STEP))
}

/** Of a histogram, how many values were at most `bound`, which must be one of its buckets. */
export function atMost<M extends Metric & { type: 'histogram' }>(
  bound: NonNullable<M['buckets']>[number],
  metric: M,
  labels: Labels<M> = {},
): string {
  // Prometheus 3 writes le="30.0" where 2 wrote le="30".
  return selector(metric, { ...labels, le: new RegExp(`${bound}(\\\\.0)?`) }, '_bucket')
}

/** The average of a histogram for each value of the labels. */
export function average<M extends Metric & { type: 'histogram' }>(
  metric: M,
  { labels = {}, by = [], window = STEP }: { labels?: Labels<M>; by?: LabelOf<M>[]; window?: string } = {},
): string {
  const total = (counted: string) => each('sum', by, rate(counted, window))
  return `${total(sum(metric, labels))} / (${total(count(metric, labels))} > 0)`
}

/** In parentheses, once. */
function bare(expression: string): string {
  if (!expression.startsWith('(')) return `(${expression})`
  let depth = 0
  for (let at = 0; at < expression.length; at += 1) {
    if (expression[at] === '(') depth += 1
    if (expression[at] === ')') depth -= 1
    if (depth === 0) return at === expression.length - 1 ? expression : `(${expression})`
  }
  return expression
}
