/**
 * How relay and server count: each metric is declared beside the code that observes it, with the name, help, labels and
 * buckets of `metric-names.ts`, and all of a process are served on a port of their own.
 *
 * Labels stay bounded here, and not by good intentions: a value that is not listed becomes `other`, and is counted.
 * Histograms remember one trace a bucket, by which a point in a chart opens its trace (exemplars, OpenMetrics 1.0).
 */
import { once as firstOf } from 'node:events'
import { createServer, type Server } from 'node:http'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { LAG_EVERY_MS, METRICS, type Metric } from './metric-names.ts'

/** What an unlisted value becomes. */
export const OTHER = 'other'

/** The values of a metric's labels; numbers are written as they are. */
export type Labels<M extends Metric> = { [Name in keyof M['labels']]: string | number | boolean | undefined }

/** Ten times as often, which is the default, is a tenth of what a process with nothing to do uses. */
const UTILIZATION_EVERY_MS = 1_000
// One for the process: a metric is declared where its file is loaded, long before anything is wired.
const registry = new Registry(Registry.OPENMETRICS_CONTENT_TYPE)
/** By name: two files may know of one metric. */
const declared = new Map<string, unknown>()
const replaced = new Counter(settingsOf(METRICS.labelsReplaced))

/** OpenMetrics puts `_total` behind the name of a counter by itself. */
function nameOf({ name }: Metric): string {
  return name.replace(/_total$/, '')
}

function settingsOf(metric: Metric) {
  return { name: nameOf(metric), help: metric.help, labelNames: Object.keys(metric.labels), registers: [registry] }
}

/** Lets through what is listed, or came while there was room. */
function createBounds(metric: Metric) {
  const allowed = Object.entries(metric.labels).map(([label, values]) => ({
    label,
    known: new Set(typeof values === 'number' ? [] : values),
    room: typeof values === 'number' ? values : 0,
  }))
  return (labels: Record<string, string | number | boolean | undefined>): Record<string, string> => {
    const bounded: Record<string, string> = {}
    for (const { label, known, room } of allowed) {
      const value = String(labels[label] ?? '')
      if (!known.has(value) && known.size < room) known.add(value)
      bounded[label] = known.has(value) ? value : OTHER
      if (bounded[label] === OTHER && value !== OTHER) replaced.inc({ metric: metric.name })
    }
    return bounded
  }
}

/** Of some labels, the values that this process knows. */
export type Known<M extends Metric> = { [Name in keyof M['labels']]?: readonly string[] }

/**
 * Every combination of listed values, of `known` where it says some; none for a metric with a label whose values are not
 * known beforehand.
 */
function combinationsOf(metric: Metric, known: Record<string, readonly string[] | undefined> = {}) {
  let combinations: Record<string, string>[] = [{}]
  for (const [label, listed] of Object.entries(metric.labels)) {
    const values = known[label] ?? listed
    if (typeof values === 'number') return []
    combinations = combinations.flatMap((labels) => values.map((value) => ({ ...labels, [label]: value })))
  }
  return combinations
}

function once<T>(metric: Metric, make: () => T): T {
  const made = (declared.get(metric.name) as T | undefined) ?? make()
  declared.set(metric.name, made)
  return made
}

/** Of the active span, or the one that is told; nothing when there is none. */
function exemplarOf(traceId: string | undefined): { exemplarLabels?: Record<string, string> } {
  if (traceId !== undefined) return { exemplarLabels: { trace_id: traceId } }
  const active = trace.getActiveSpan()?.spanContext()
  if (!active || !isSpanContextValid(active)) return {}
  return { exemplarLabels: { trace_id: active.traceId, span_id: active.spanId } }
}

/**
 * A counter that says 0 from the start wherever its labels are known: what was never seen must not look like no data, and
 * the first one must be seen to be one more. `known`: the values that this process counts, where it is not all.
 */
export function counter<M extends Metric & { type: 'counter' }>(metric: M, known?: Known<M>) {
  const { bounds, own, tallies } = once(metric, () => {
    const tallies: { labels: Record<string, string>; count: number }[] = []
    const collect = () => {
      for (const tally of tallies) {
        own.inc({ labels: tally.labels, value: tally.count })
        tally.count = 0
      }
    }
    const own = new Counter({ ...settingsOf(metric), enableExemplars: true, collect })
    return { bounds: createBounds(metric), own, tallies }
  })
  for (const labels of combinationsOf(metric, known)) own.inc({ labels, value: 0 })
  return {
    /** Counts `by` more, 1 unless it is said; nothing when it is negative, which a clock that was set back makes. */
    add(labels: Labels<M>, by = 1, traceId?: string): void {
      if (by >= 0) own.inc({ labels: bounds(labels), value: by, ...exemplarOf(traceId) })
    },
    /** The same for these labels, in the time of an addition and without exemplars: for what is counted very often. */
    tally(labels: Labels<M>): (by?: number) => void {
      const tally = { labels: bounds(labels), count: 0 }
      tallies.push(tally)
      return (by = 1) => {
        if (by > 0) tally.count += by
      }
    },
  }
}

/** A gauge says nothing until somebody has set it: 0 would be a claim. Without labels it is 0 from the start. */
export function gauge<M extends Metric & { type: 'gauge' }>(metric: M) {
  const { bounds, own, readers } = once(metric, () => {
    const readers = new Map<string, () => void | Promise<void>>()
    const collect = async () => {
      for (const read of readers.values()) {
        try {
          await read()
        } catch {
          // What cannot be read now (a file that is closed) keeps its value, and costs nobody else theirs.
        }
      }
    }
    return { bounds: createBounds(metric), own: new Gauge({ ...settingsOf(metric), collect }), readers }
  })
  return {
    set: (labels: Labels<M>, value: number): void => own.set(bounds(labels), value),
    add: (labels: Labels<M>, by: number): void => own.inc(bounds(labels), by),
    /** Has `read` set it whenever it is asked for, in place of an earlier one of the same file, which `who` names. */
    whenAsked(read: () => void | Promise<void>, who = ''): void {
      readers.set(who, read)
    },
  }
}

/** A histogram with a 0 wherever its labels are known, as counters have it. */
export function histogram<M extends Metric & { type: 'histogram' }>(metric: M, known?: Known<M>) {
  const { bounds, own } = once(metric, () => ({
    bounds: createBounds(metric),
    own: new Histogram({ ...settingsOf(metric), buckets: [...(metric.buckets ?? [])], enableExemplars: true }),
  }))
  for (const labels of combinationsOf(metric, known)) if (Object.keys(labels).length > 0) own.zero(labels)
  return {
    /** Observes a value; a negative one, which a clock that was set back makes, counts as 0. */
    observe(labels: Labels<M>, value: number, traceId?: string): void {
      if (!Number.isFinite(value)) return
      own.observe({ labels: bounds(labels), value: Math.max(0, value), ...exemplarOf(traceId) })
    },
  }
}

/** All metrics of this process as OpenMetrics text. */
export const metricsText = (): Promise<string> => registry.metrics()

/** Serves GET /metrics on a port of its own, so that it can be closed to the world. Throws when it cannot listen. */
export async function serveMetrics(
  { host, port }: { host: string; port: number },
  { service, version }: { service: string; version: string },
): Promise<{ port: number; close: () => void }> {
  const server: Server = createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') return void response.writeHead(404).end()
    const text = await registry.metrics()
    response.writeHead(200, { 'content-type': registry.contentType }).end(text)
  })
  server.maxConnections = 32
  // It is not what the process lives for.
  server.unref()
  server.listen(port, host)
  await firstOf(server, 'listening')
  collectDefaultMetrics({
    register: registry,
    eventLoopUtilizationTimeout: UTILIZATION_EVERY_MS,
    eventLoopMonitoringPrecision: LAG_EVERY_MS,
  })
  gauge(METRICS.buildInfo).set({ service, version }, 1)
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : port,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
