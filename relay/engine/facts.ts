/** What is read off the spans of a trace that an engine has. */
import { ATTR_SAMPLING_KEEP, RESOURCE_SERVICE_NAME, SERVICE_RELAY, SPAN_KEEP } from '../../names.ts'
import type { OtlpSpan, ResourceSpans, TracesData } from '../otlp.ts'
import { spansOf } from '../otlp.ts'

const ERROR = 2
const ID_BYTES = 8

/** Whether a span says that something failed. */
export function hasFailed({ status }: OtlpSpan): boolean {
  return status?.code === ERROR
}

/** Whether a span says that its trace is to be kept. */
export function isReported({ attributes = [] }: OtlpSpan): boolean {
  return attributes.some(({ key, value }) => key === ATTR_SAMPLING_KEEP && value?.boolValue === true)
}

/** Whether a span is {@link reportOf} a trace, and no part of what happened in it. */
export function isReport(span: OtlpSpan): boolean {
  return span.name === SPAN_KEEP && isReported(span)
}

/** When the first of these spans began, milliseconds since 1970. */
export function beganAt(spans: readonly OtlpSpan[]): number {
  return Math.min(...spans.map(({ startTimeUnixNano }) => ms(startTimeUnixNano)))
}

/** When the last of these spans ended, milliseconds since 1970. */
export function endedAt(spans: readonly OtlpSpan[]): number {
  return Math.max(...spans.map(({ startTimeUnixNano, endTimeUnixNano }) => ms(endTimeUnixNano ?? startTimeUnixNano)))
}

function ms(nanos: string | undefined): number {
  return Number(BigInt(nanos ?? 0) / 1_000_000n)
}

/** Takes what was found apart, by trace ID. */
export function byTrace(data: TracesData): Map<string, TracesData> {
  const traces = new Map<string, TracesData>()
  for (const resourceSpans of data.resourceSpans) {
    for (const [traceId, own] of ofResource(resourceSpans)) {
      const trace = traces.get(traceId) ?? { resourceSpans: [] }
      trace.resourceSpans.push(own)
      traces.set(traceId, trace)
    }
  }
  return traces
}

function ofResource({ scopeSpans = [], ...resource }: ResourceSpans): Map<string, ResourceSpans> {
  const traces = new Map<string, ResourceSpans & { scopeSpans: NonNullable<ResourceSpans['scopeSpans']> }>()
  for (const { spans = [], ...scope } of scopeSpans) {
    for (const [traceId, own] of Map.groupBy(spans, ({ traceId }) => traceId)) {
      const trace = traces.get(traceId) ?? { ...resource, scopeSpans: [] }
      trace.scopeSpans.push({ ...scope, spans: own })
      traces.set(traceId, trace)
    }
  }
  return traces
}

/** Of a trace what another place does not have, by span ID; undefined when that has everything. */
export function missingIn(there: TracesData | undefined, here: TracesData): TracesData | undefined {
  const known = new Set(there ? [...spansOf(there)].map(({ spanId }) => spanId) : [])
  const resourceSpans = here.resourceSpans.flatMap(({ scopeSpans = [], ...resource }) => {
    const missing = scopeSpans
      .map((scope) => ({ ...scope, spans: (scope.spans ?? []).filter(({ spanId }) => !known.has(spanId)) }))
      .filter(({ spans }) => spans.length > 0)
    return missing.length > 0 ? [{ ...resource, scopeSpans: missing }] : []
  })
  return resourceSpans.length > 0 ? { resourceSpans } : undefined
}

/**
 * The span by which a report is told: in the same stream as all others, because there it cannot be lost, and read by the
 * Collector's sampler, which keeps the trace when it sees it.
 */
export function reportOf(traceId: string, atMs: number): TracesData {
  const at = String(BigInt(atMs) * 1_000_000n)
  const span: OtlpSpan = {
    traceId,
    spanId: Buffer.from(crypto.getRandomValues(new Uint8Array(ID_BYTES))).toString('hex'),
    name: SPAN_KEEP,
    kind: 1,
    startTimeUnixNano: at,
    endTimeUnixNano: at,
    attributes: [{ key: ATTR_SAMPLING_KEEP, value: { boolValue: true } }],
  }
  const resource = { attributes: [{ key: RESOURCE_SERVICE_NAME, value: { stringValue: SERVICE_RELAY } }] }
  return { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] }
}
