/**
 * A trace as rows: who called whom, when, and for how long. Pure, and free of HTML: the console draws the rows, the
 * command line prints them.
 */
import { ATTR_FAILURE_CODE, RESOURCE_SERVICE_NAME } from '../../names.ts'
import { type AnyValue, type KeyValue, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'

/** An attribute's value; 64-bit integers beyond 2^53 stay decimal strings. */
export type Value = string | number | boolean | Value[]

export interface Row {
  spanId: string
  parentSpanId: string | undefined
  /** 0 for a root, and for a span whose parent is not here. */
  depth: number
  name: string
  service: string
  kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer'
  /** From the start of the root; below 0 when a clock was behind the browser's. */
  startMs: number
  durationMs: number
  status: 'unset' | 'ok' | 'error'
  failureCode?: string
  attributes: Record<string, Value>
}

export interface Waterfall {
  /** Parents before children, siblings by start. */
  rows: Row[]
  /** The span without a parent (the earliest, if there are several). Undefined while the browser's part is missing. */
  root: Row | undefined
  /** Nanoseconds since 1970 that `startMs` counts from: the root's start, else the earliest. */
  originNs: bigint
  /** The earliest `startMs` of all; 0 or less. */
  fromMs: number
  /** From the earliest start to the latest end. */
  totalMs: number
  /** In order of appearance. */
  services: string[]
  /** Spans named as parents that are not in the trace. */
  missingParents: string[]
}

interface Node {
  span: OtlpSpan
  service: string
  startNs: bigint
  endNs: bigint
}

const KINDS = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const
const STATUSES = ['unset', 'ok', 'error'] as const

/** Lays a trace out. Takes whatever was sent: loops, missing parents and end before start come out as rows, too. */
export function layOut(data: TracesData): Waterfall {
  const nodes = nodesOf(data)
  const ids = new Set(nodes.map(({ span }) => span.spanId))
  const children = Map.groupBy(nodes, ({ span }) => span.parentSpanId || '')
  const rootNode = children.get('')?.[0]
  const originNs = rootNode?.startNs ?? nodes[0]?.startNs ?? 0n

  const rows: Row[] = []
  const visited = new Set<Node>()
  const visit = (starts: Node[]) => {
    // A stack, not recursion: a forged chain of spans may be as long as a request.
    const stack = starts.toReversed().map((node) => ({ node, depth: 0 }))
    for (let next = stack.pop(); next; next = stack.pop()) {
      if (visited.has(next.node)) continue
      visited.add(next.node)
      rows.push(rowOf(next.node, next.depth, originNs))
      const depth = next.depth + 1
      for (const node of (children.get(next.node.span.spanId) ?? []).toReversed()) stack.push({ node, depth })
    }
  }
  visit(nodes.filter(({ span }) => !span.parentSpanId || !ids.has(span.parentSpanId)))
  for (const node of nodes) visit([node]) // Only loops are left.

  const fromMs = rows.reduce((min, { startMs }) => Math.min(min, startMs), 0)
  const toMs = rows.reduce((max, { startMs, durationMs }) => Math.max(max, startMs + durationMs), 0)
  return {
    rows,
    root: rootNode && rows.find(({ spanId }) => spanId === rootNode.span.spanId),
    originNs,
    fromMs,
    totalMs: toMs - fromMs,
    services: [...new Set(rows.map(({ service }) => service))],
    missingParents: [...children.keys()].filter((id) => id !== '' && !ids.has(id)),
  }
}

function nodesOf(data: TracesData): Node[] {
  return data.resourceSpans
    .flatMap((resourceSpans) => {
      const service = String(attributesOf(resourceSpans.resource?.attributes)[RESOURCE_SERVICE_NAME] ?? 'unknown')
      return [...spansOf({ resourceSpans: [resourceSpans] })].map((span) => {
        const startNs = BigInt(span.startTimeUnixNano ?? 0)
        return { span, service, startNs, endNs: BigInt(span.endTimeUnixNano ?? startNs) }
      })
    })
    .sort((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0))
}

function rowOf({ span, service, startNs, endNs }: Node, depth: number, originNs: bigint): Row {
  const attributes = attributesOf(span.attributes)
  const failureCode = attributes[ATTR_FAILURE_CODE]
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || undefined,
    depth,
    name: String(span.name || '(no name)'),
    service,
    kind: KINDS[span.kind ?? 0] ?? 'internal',
    startMs: Number(startNs - originNs) / 1e6,
    durationMs: Math.max(0, Number(endNs - startNs) / 1e6),
    status: STATUSES[span.status?.code ?? 0] ?? 'unset',
    ...(failureCode === undefined ? {} : { failureCode: String(failureCode) }),
    attributes,
  }
}

function attributesOf(list: KeyValue[] = []): Record<string, Value> {
  return Object.fromEntries(list.map(({ key, value }) => [String(key), plainValue(value)]))
}

/** Takes what JSON may hold in place of a value, too. Lists keep their items; maps and bytes, which nothing of ours sends, are only named. */
function plainValue(value: AnyValue | null | undefined): Value {
  if (typeof value !== 'object' || value === null) return ''
  if (value.stringValue !== undefined) return String(value.stringValue)
  if (value.boolValue !== undefined) return Boolean(value.boolValue)
  if (value.doubleValue !== undefined) return Number(value.doubleValue)
  if (value.intValue !== undefined) {
    const number = Number(value.intValue)
    return Number.isSafeInteger(number) ? number : String(value.intValue)
  }
  // One level: attributes are scalars or lists of scalars (OpenTelemetry specification, "Attribute").
  const items = value.arrayValue?.values
  if (Array.isArray(items)) return items.map((item) => (item?.arrayValue ? '(list)' : plainValue(item)))
  if (value.kvlistValue) return '(map)'
  if (value.bytesValue !== undefined) return '(bytes)'
  return ''
}
