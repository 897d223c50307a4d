/**
 * Traffic as the documents write it, and the samples that it makes minute by minute: for promtool's tests, and for a
 * metrics endpoint that a real Prometheus scrapes.
 *
 *     pass_runs_total{outcome="ok"}: 10             a counter: so many more every minute
 *     pass_quota_used{quota="runs"}: 900            a gauge: the value
 *     pass_quota_used{quota="runs"}: 10 more        a gauge: so much more every minute
 *     pass_synthetic_last_run_timestamp_seconds: now        a gauge: the time, seconds
 *     pass_e2e_duration_seconds{outcome="ok"}: 10 of 4.2     a histogram: ten observations of 4.2 every minute
 */

import { METRICS, type Metric } from '../../metric-names.ts'

export type Traffic = Record<string, number | string>

/** One line of a scrape, and how it goes on. */
export interface Series {
  /** With its labels, as it is written in a scrape. */
  name: string
  startsAt: number
  perMinute: number
}

const BY_NAME = new Map<string, Metric>(Object.values<Metric>(METRICS).map((metric) => [metric.name, metric]))
/** Prometheus' own: whether a target answered. */
const UP = 'up'
/** The value of a gauge that always is the time. */
export const NOW = 'now'

/** The lines that one line of traffic stands for. Throws when its metric is not in the catalogue, or is of another type. */
function seriesOf(written: string, value: number | string): Series[] {
  const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(written) ?? []
  const metric = BY_NAME.get(name)
  if (!metric && name !== UP) throw new Error(`${written}: no such metric`)
  if (metric?.type === 'histogram') return histogramOf(name, labels, metric.buckets ?? [], String(value))
  // promtool's time begins at 0.
  if (value === NOW) return [{ name: written, startsAt: 0, perMinute: 60 }]
  const [, digits = '', more] = /^([\d.]+)( more)?$/.exec(String(value)) ?? []
  const grows = metric?.type === 'counter' || more !== undefined
  const number = digits === '' ? Number.NaN : Number(digits)
  if (!Number.isFinite(number)) throw new Error(`${written}: "${value}" is no number`)
  return [{ name: written, startsAt: grows ? 0 : number, perMinute: grows ? number : 0 }]
}

function histogramOf(name: string, labels: string, buckets: readonly number[], value: string): Series[] {
  const [, count, each] = /^([\d.]+) of ([\d.]+)$/.exec(value) ?? []
  if (count === undefined || each === undefined) throw new Error(`${name}: "${value}" is not "COUNT of VALUE"`)
  const perMinute = Number(count)
  const line = (suffix: string, more: string, rate: number) => {
    const all = [labels, more].filter(Boolean).join(',')
    return { name: `${name}_${suffix}${all ? `{${all}}` : ''}`, startsAt: 0, perMinute: rate }
  }
  return [
    ...buckets.map((le) => line('bucket', `le="${le}"`, Number(each) <= le ? perMinute : 0)),
    line('bucket', 'le="+Inf"', perMinute),
    line('count', '', perMinute),
    line('sum', '', perMinute * Number(each)),
  ]
}

/** Traffic as lines by their name. */
export function linesOf(traffic: Traffic): Map<string, Series> {
  const all = Object.entries(traffic).flatMap(([written, value]) => seriesOf(written, value))
  return new Map(all.map((series) => [series.name, series]))
}

/** The same traffic, as if checks of ours had made it; what does not tell checks apart is left out. */
export function asSynthetic(traffic: Traffic): Traffic {
  const own = Object.entries(traffic).filter(([written]) => written.includes('synthetic="false"'))
  return Object.fromEntries(
    own.map(([written, value]) => [written.replace('synthetic="false"', 'synthetic="true"'), value]),
  )
}

/** The values that a line has from one time to another, when a fault replaces what it did before. */
export interface Course {
  name: string
  /** Undefined: it is not there before the fault. */
  before: Series | undefined
  during: Series | undefined
}

export function coursesOf(healthy: Traffic, given: Traffic): Course[] {
  const [before, during] = [linesOf(healthy), linesOf(given)]
  return [...new Set([...before.keys(), ...during.keys()])].map((name) => ({
    name,
    before: before.get(name),
    during: during.get(name) ?? before.get(name),
  }))
}

/** The value after so many healthy and then so many faulty minutes. */
export function valueAt({ before, during }: Course, healthyMinutes: number, faultyMinutes: number): number {
  const old = (before?.startsAt ?? 0) + (before?.perMinute ?? 0) * healthyMinutes
  if (faultyMinutes <= 0) return old
  // What grows goes on from where it is; what has a value takes it.
  if (during && during.perMinute === 0 && !isCounter(during.name)) return during.startsAt
  return old + (during?.perMinute ?? 0) * faultyMinutes
}

/** By its name. */
export function isCounter(name: string): boolean {
  return /_(total|count|sum|bucket)(\{|$)/.test(name)
}
