/** A trace put together from what was sent of it, in whatever pieces. */
import type { TracesData } from '../otlp.ts'
import type { StoredTrace } from './look-up.ts'

/**
 * Gathers the spans of one trace, at most `maxSpans`. A span that came twice appears once, as it first came: senders
 * repeat themselves when an answer got lost, and nobody may overwrite what was told before.
 */
export function createGathering(traceId: string, maxSpans: number) {
  const trace: StoredTrace = { resourceSpans: [], truncated: false }
  const seen = new Set<string>()

  function isNew(span: { traceId: string; spanId: string }): boolean {
    if (span.traceId !== traceId || seen.has(span.spanId)) return false
    if (seen.size === maxSpans) {
      trace.truncated = true
      return false
    }
    seen.add(span.spanId)
    return true
  }

  return {
    trace,
    add(data: TracesData): void {
      for (const resourceSpans of data.resourceSpans) {
        const scopeSpans = (resourceSpans.scopeSpans ?? [])
          .map((scope) => ({ ...scope, spans: (scope.spans ?? []).filter(isNew) }))
          .filter(({ spans }) => spans.length > 0)
        if (scopeSpans.length > 0) trace.resourceSpans.push({ ...resourceSpans, scopeSpans })
      }
    },
  }
}
