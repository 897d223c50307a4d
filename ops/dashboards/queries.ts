/** Asks a real Prometheus what a panel asks, the way Grafana does. */
import type { Dashboard } from '@grafana/schema'
import type { Json } from './panel.ts'

/** A query of a panel. */
export interface Asked {
  dashboard: string
  panel: string
  expr: string
  name: string
  instant: boolean
  /** Points that Grafana asks for at most. */
  points: number
}

/** What Prometheus answered. */
export interface Answer {
  series: { metric: Record<string, string>; values: [time: number, value: number][] }[]
  /** How many samples Prometheus read for it. */
  scanned: number
}

interface Span {
  /** Seconds since 1970. */
  to: number
  seconds: number
  /** How often Prometheus scrapes. */
  scrape: number
}

/** A panel on a desk is about as many points wide. */
const POINTS = 500

export function queriesOf({ title = '', panels = [] }: Json<Dashboard>): Asked[] {
  return panels.flatMap((panel) =>
    ('targets' in panel ? (panel.targets ?? []) : []).map((target) => ({
      dashboard: title,
      panel: panel.title ?? '',
      expr: String(target.expr),
      name: String(target.legendFormat),
      instant: target.instant === true,
      points: ('maxDataPoints' in panel ? panel.maxDataPoints : undefined) ?? POINTS,
    })),
  )
}

/** The distance of two points, seconds: what Grafana makes of the time range, never below a scrape. */
export const stepOf = ({ points }: Pick<Asked, 'points'>, { seconds, scrape }: Span): number =>
  Math.max(scrape, Math.ceil(seconds / points))

/** Puts in Grafana's own variables, and `chosen` for those of the dashboard. */
export function filledIn(
  expr: string,
  step: number,
  { seconds, scrape }: Span,
  chosen: Record<string, string>,
): string {
  const values: Record<string, string> = {
    __range: `${seconds}s`,
    __interval: `${step}s`,
    __rate_interval: `${Math.max(step + scrape, 4 * scrape)}s`,
    ...chosen,
  }
  return expr.replace(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole)
}

/** Throws with what Prometheus says when it refuses the query. */
export async function ask(base: string, asked: Asked, span: Span, chosen: Record<string, string>): Promise<Answer> {
  const step = stepOf(asked, span)
  const query = new URLSearchParams({ query: filledIn(asked.expr, step, span, chosen), stats: 'all' })
  if (asked.instant) query.set('time', `${span.to}`)
  else
    for (const [key, value] of Object.entries({ start: span.to - span.seconds, end: span.to, step }))
      query.set(key, `${value}`)
  const response = await fetch(`${base}/api/v1/${asked.instant ? 'query' : 'query_range'}`, {
    method: 'POST',
    body: query,
  })
  const { error, data } = (await response.json()) as {
    error?: string
    data?: {
      result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[]
      stats: { samples: { totalQueryableSamples: number } }
    }
  }
  if (!data) throw new Error(`${asked.dashboard}, ${asked.panel}: ${error}\n${query.get('query')}`)
  return {
    series: data.result.map(({ metric, value, values }) => ({
      metric,
      values: (values ?? (value ? [value] : [])).map(([time, text]) => [time, Number(text)]),
    })),
    scanned: data.stats.samples.totalQueryableSamples,
  }
}
