/** The spans of some traces, out of a request. */
import { decode, type Encoding, encode } from '../otlp.ts'

/**
 * The spans of the wanted traces as a request of the same encoding; undefined when there are none. `threshold` says
 * what `th` of their tracestate becomes: null takes it away, undefined leaves it as it is.
 */
export function slice(
  body: Uint8Array,
  encoding: Encoding,
  wanted: (traceId: string) => boolean,
  threshold: (traceId: string) => string | undefined | null = () => undefined,
): Uint8Array | undefined {
  const resourceSpans = decode(body, encoding).resourceSpans.flatMap((resource) => {
    const scopeSpans = (resource.scopeSpans ?? []).flatMap((scope) => {
      const spans = (scope.spans ?? [])
        .filter(({ traceId }) => wanted(traceId))
        .map((span) => {
          const th = threshold(span.traceId)
          return th === undefined ? span : { ...span, traceState: withThreshold(span.traceState ?? '', th) }
        })
      return spans.length > 0 ? [{ ...scope, spans }] : []
    })
    return scopeSpans.length > 0 ? [{ ...resource, scopeSpans }] : []
  })
  return resourceSpans.length > 0 ? encode({ resourceSpans }, encoding) : undefined
}

/** A member that was changed stands first, as W3C Trace Context has it. */
function withThreshold(traceState: string, th: string | null): string {
  const members = traceState.split(',').flatMap((member) => member.trim() || [])
  const others = members.filter((member) => !member.startsWith('ot='))
  const ot = members
    .filter((member) => member.startsWith('ot='))
    .flatMap((member) => member.slice(3).split(';'))
    .filter((part) => part !== '' && !part.startsWith('th:'))
  const parts = th === null ? ot : [`th:${th}`, ...ot]
  return [...(parts.length > 0 ? [`ot=${parts.join(';')}`] : []), ...others].join(',')
}
