/** Spans in a form in which they can be compared, for tests of what they went through. */
import { decode, encode, type ResourceSpans, type TracesData } from './otlp.ts'

/**
 * Every span with the resource and scope that it is under, once each, in the order of their IDs; fields in one order and
 * those left out that have their default: what two of these have in common was not lost or altered.
 */
export function flat(data: Readonly<TracesData>): object[] {
  const { resourceSpans } = decode(encode(data as TracesData, 'protobuf'), 'protobuf')
  const one = ({ scopeSpans = [], ...resource }: ResourceSpans) =>
    scopeSpans.flatMap(({ spans = [], ...scope }) =>
      spans.map((span) => ({ resource: filled(resource), scope: filled(scope), span: filled(span) })),
    )
  const all = resourceSpans.flatMap(one)
  const byId = new Map(all.map((one) => [`${one.span.traceId}/${one.span.spanId}`, one]))
  return [...byId].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
}

/** What is there and empty says no more than what is not there. */
function filled<T extends object>(message: T): T {
  // Attributes have no order.
  const sorted = (value: unknown) =>
    Array.isArray(value) && value.every((item) => 'key' in item)
      ? value.toSorted((a, b) => (a.key < b.key ? -1 : 1))
      : value
  const isEmpty = (value: unknown) =>
    value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  const told = Object.entries(message).filter(([, value]) => !isEmpty(value))
  return Object.fromEntries(told.map(([name, value]) => [name, sorted(value)])) as T
}
