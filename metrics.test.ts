import { context, TraceFlags, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { counting, type Sample, samplesIn, scrape, sumOf } from './fixtures/metrics/scraped.ts'
import { LAG_EVERY_MS, METRICS, type Metric } from './metric-names.ts'
import { counter, gauge, histogram, metricsText, serveMetrics } from './metrics.ts'

const TRACE_ID = '0123456789abcdef0123456789abcdef'
// The one of replaced labels is counted by the others themselves.
const counters = Object.values(METRICS)
  .filter((metric) => metric.type === 'counter')
  .filter(({ name }) => name !== METRICS.labelsReplaced.name)
const histograms = Object.values(METRICS).filter((metric) => metric.type === 'histogram')

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
})
afterAll(() => context.disable())

/** How many combinations its labels have; none where they are not all known. */
const combinations = ({ labels }: Metric) =>
  Object.values(labels).reduce(
    (product: number, values) => product * (typeof values === 'number' ? 0 : values.length),
    1,
  )

it('What is counted says 0 before it has happened, with every value that its labels may have', async () => {
  for (const metric of counters) counter(metric)
  for (const metric of histograms) histogram(metric)
  const samples = await scrape()
  const of = (name: string) => samples.filter((sample) => sample.name === name)
  for (const metric of counters) {
    expect([metric.name, of(metric.name).length]).toEqual([metric.name, combinations(metric)])
  }
  for (const metric of histograms) {
    const counts = of(`${metric.name}_count`)
    expect([metric.name, counts.length]).toEqual([metric.name, combinations(metric)])
  }
  expect(samples.filter(({ value }) => value !== 0)).toEqual([])
})

it('A process that knows only some values of a label says 0 for those', async () => {
  const { stageDuration } = METRICS
  const other = { ...stageDuration, name: 'pass_stages_of_a_test_seconds' } as const
  histogram(other, { stage: ['deliver'] })
  const counts = (await scrape()).filter(({ name }) => name === `${other.name}_count`)
  expect(new Set(counts.map(({ labels }) => labels.stage))).toEqual(new Set(['deliver']))
  expect(counts).toHaveLength(6)
})

it('A value that is not listed becomes "other", and is counted; so does one for which there is no room', async () => {
  const counted = await counting()
  const events = counter(METRICS.sseEvents)
  for (let n = 0; n < 100; n++) events.add({ event: `made up ${n}` })
  expect(await counted('pass_sse_events_total', { event: 'other' })).toBe(100)
  expect(await counted('pass_metric_labels_replaced_total', { metric: 'pass_sse_events_total' })).toBe(100)
  const speed = histogram(METRICS.llmSpeed)
  for (let n = 0; n < 100; n++) speed.observe({ gen_ai_request_model: `model-${n}`, synthetic: false }, 10)
  const models = (await scrape()).filter(({ name }) => name === 'pass_llm_output_tokens_per_second_count')
  expect(models.map(({ labels, value }) => [labels.gen_ai_request_model, value])).toEqual([
    ...Array.from({ length: 6 }, (_, n) => [`model-${n}`, 1]),
    ['other', 94],
  ])
})

it('Hostile values of labels neither break the text nor get into it', async () => {
  const events = counter(METRICS.sseEvents)
  for (const event of ['"} 1\npass_evil 1', '__proto__', 'constructor', '\u0000', 'x'.repeat(100_000)]) {
    events.add({ event })
  }
  const samples = samplesIn(await metricsText())
  expect(samples.filter(({ name }) => name.includes('evil'))).toEqual([])
  expect(
    new Set(samples.filter(({ name }) => name === 'pass_sse_events_total').map(({ labels }) => labels.event)),
  ).toEqual(new Set([...METRICS.sseEvents.labels.event, 'other']))
})

it('A tally counts as adding does', async () => {
  const counted = await counting()
  const stored = counter(METRICS.relaySpans).tally({ result: 'stored', reason: 'none' })
  stored(32)
  expect(await counted('pass_relay_spans_total', { result: 'stored', reason: 'none' })).toBe(32)
  stored()
  stored(-5)
  expect(await counted('pass_relay_spans_total', { result: 'stored' })).toBe(33)
})

it('A clock that was set back takes nothing away', async () => {
  const counted = await counting()
  const duration = histogram(METRICS.exportDuration)
  duration.observe({ outcome: 'taken' }, -3)
  duration.observe({ outcome: 'taken' }, Number.NaN)
  counter(METRICS.compileCpu).add({ synthetic: false }, -1)
  expect(await counted('pass_relay_export_duration_seconds_count')).toBe(1)
  expect(await counted('pass_relay_export_duration_seconds_sum')).toBe(0)
  expect(await counted('pass_tectonic_cpu_seconds_total')).toBe(0)
})

it('A point in a chart names its trace: the one that is active, or that is told', async () => {
  const bucketOf = (samples: Sample[], outcome: string) =>
    samples.find(({ name, labels, exemplar }) => name.endsWith('_bucket') && labels.outcome === outcome && exemplar)
  const spanContext = { traceId: TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: TraceFlags.SAMPLED }
  const duration = histogram(METRICS.exportDuration)
  context.with(trace.setSpanContext(context.active(), spanContext), () => duration.observe({ outcome: 'refused' }, 1))
  duration.observe({ outcome: 'failed' }, 1, TRACE_ID)
  const samples = await scrape()
  expect(bucketOf(samples, 'refused')?.exemplar).toEqual({ trace_id: TRACE_ID, span_id: spanContext.spanId })
  expect(bucketOf(samples, 'failed')?.exemplar).toEqual({ trace_id: TRACE_ID })
})

it('A gauge that cannot be read keeps its value, and the others are told', async () => {
  const behind = gauge(METRICS.relayBehind)
  behind.set({}, 7)
  behind.whenAsked(() => {
    throw new Error('The file is closed.')
  })
  gauge(METRICS.runsActive).whenAsked(() => gauge(METRICS.runsActive).set({}, 3))
  const samples = await scrape()
  expect([sumOf(samples, 'pass_relay_forward_behind'), sumOf(samples, 'pass_runs_active')]).toEqual([7, 3])
})

it('They are served on a port of their own, as OpenMetrics, with those of the process; and nothing else is', async () => {
  const who = { service: 'pass-ats-relay', version: '1.2.3' }
  const { port, close } = await serveMetrics({ host: '127.0.0.1', port: 0 }, who)
  try {
    const url = `http://127.0.0.1:${port}/metrics`
    const answer = await fetch(url)
    expect(answer.headers.get('content-type')).toMatch(/^application\/openmetrics-text; version=1\.0\.0/)
    const text = await answer.text()
    expect(text.endsWith('# EOF\n')).toBe(true)
    const samples = samplesIn(text)
    expect(sumOf(samples, 'pass_build_info', who)).toBe(1)
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
    ]) {
      expect([name, samples.filter((sample) => sample.name === name).length]).toEqual([name, 1])
    }
    const late = async () => {
      const text = await (await fetch(url)).text()
      const seconds = sumOf(samplesIn(text), 'nodejs_eventloop_lag_p50_seconds', {})
      // Less is what it says before it has looked, and each answer begins anew.
      return seconds > 0.001 && seconds
    }
    // With the time between two looks in it, which the dashboard takes off.
    const told = await vi.waitUntil(late, { interval: 4 * LAG_EVERY_MS, timeout: 10_000 })
    expect(told).toBeGreaterThan((0.8 * LAG_EVERY_MS) / 1_000)
    expect((await fetch(url, { method: 'POST' })).status).toBe(404)
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404)
    await expect(serveMetrics({ host: '127.0.0.1', port }, who)).rejects.toThrow('EADDRINUSE')
  } finally {
    close()
  }
})
