/**
 * A trace as rows: who called whom, when, and for how long. Pure, and free of HTML: the console draws the rows, the
 * command line prints them.
 */
import {
  ATTR_FAILURE_CODE,
  RESOURCE_DROPPED_EVICTED,
  RESOURCE_DROPPED_EXPIRED,
  RESOURCE_DROPPED_REFUSED,
  RESOURCE_DROPPED_UNREADABLE,
  RESOURCE_DROPPED_UNWRITTEN,
  RESOURCE_SERVICE_NAME,
  RESOURCE_SERVICE_VERSION,
} from '../../names.ts'
import { type AnyValue, type KeyValue, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'
import { clockShifts, type Hop } from './clock-skew.ts'
import { criticalPath } from './critical-path.ts'

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
  /** From the start of the root, by the root's clock; below 0 for what began before it. */
  startMs: number
  durationMs: number
  /** False for a span that was sent without an end. */
  hasEnd: boolean
  /** Whether the run waited for it. */
  critical: boolean
  status: 'unset' | 'ok' | 'error'
  failureCode?: string
  attributes: Record<string, Value>
  events: RowEvent[]
}

/** Something that happened within a span, at a time of the same clock. */
export interface RowEvent {
  name: string
  atMs: number
  attributes: Record<string, Value>
}

/** A stretch of the root in which nothing was recorded, between two spans below it; empty names at its ends. */
export interface Gap {
  fromMs: number
  durationMs: number
  after: string
  before: string
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
  /** Versions by service. */
  versions: Map<string, string>
  /** Spans named as parents that are not in the trace. */
  missingParents: string[]
  /** Spans without a parent besides the root. */
  furtherRoots: number
  /** Spans that are in no tree, because they are each other's parents. */
  inCircles: number
  /** Spans that the extension says it has let go unsent. */
  dropped: number
  /** By how much each service's times were moved, milliseconds, because its clock was wrong. */
  shifts: Map<string, number>
  /** The longest stretches of which nothing is known. */
  gaps: Gap[]
}

/** A gap is worth a word when it is both a tenth of a second and a twentieth of the run. */
const MIN_GAP_MS = 100
const MIN_GAP_SHARE = 0.05
const MAX_GAPS = 3

interface Node {
  span: OtlpSpan
  service: string
  startNs: bigint
  endNs: bigint
  hasEnd: boolean
  /** What was added to its times. */
  shiftNs: bigint
}

const KINDS = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const
const STATUSES = ['unset', 'ok', 'error'] as const

/** Lays a trace out. Takes whatever was sent: loops, missing parents and end before start come out as rows, too. */
export function layOut(data: TracesData): Waterfall {
  // Of several with one ID the first: a span that was sent again is still one.
  const byId = new Map<string, Node>()
  for (const node of nodesOf(data)) if (!byId.has(node.span.spanId)) byId.set(node.span.spanId, node)
  const nodes = inOrder([...byId.values()])
  const rootNode = nodes.find(({ span }) => !span.parentSpanId)
  const shifts = clockShifts(hopsOf(nodes, byId), (rootNode ?? nodes[0])?.service ?? '')
  for (const node of nodes) shift(node, shifts.get(node.service) ?? 0n)
  inOrder(nodes)
  const children = Map.groupBy(nodes, ({ span }) => span.parentSpanId || '')
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
  const tops = nodes.filter(({ span }) => !span.parentSpanId || !byId.has(span.parentSpanId))
  // The root first, even where a clock that nothing could put right says otherwise.
  visit(rootNode ? [rootNode, ...tops.filter((node) => node !== rootNode)] : tops)
  const inTrees = visited.size
  for (const node of nodes) visit([node]) // Only loops are left.

  const below = Map.groupBy(rows, ({ parentSpanId }) => parentSpanId ?? '')
  const root = rootNode && rows.find(({ spanId }) => spanId === rootNode.span.spanId)
  if (root) {
    const path = criticalPath(root, below)
    for (const row of rows) row.critical = path.has(row.spanId)
  }
  const fromMs = rows.reduce((min, { startMs }) => Math.min(min, startMs), 0)
  const toMs = rows.reduce((max, { startMs, durationMs }) => Math.max(max, startMs + durationMs), 0)
  return {
    rows,
    root,
    originNs,
    fromMs,
    totalMs: toMs - fromMs,
    services: [...new Set(rows.map(({ service }) => service))],
    versions: versionsOf(data),
    missingParents: [...children.keys()].filter((id) => id !== '' && !byId.has(id)),
    furtherRoots: Math.max(0, (children.get('')?.length ?? 0) - 1),
    inCircles: nodes.length - inTrees,
    dropped: droppedIn(data),
    shifts: new Map([...shifts].map(([service, ns]) => [service, Number(ns) / 1e6])),
    gaps: root ? gapsIn(root, below.get(root.spanId) ?? []) : [],
  }
}

function nodesOf(data: TracesData): Node[] {
  return data.resourceSpans.flatMap((resourceSpans) => {
    const service = String(attributesOf(resourceSpans.resource?.attributes)[RESOURCE_SERVICE_NAME] ?? 'unknown')
    return [...spansOf({ resourceSpans: [resourceSpans] })].map((span) => {
      const startNs = BigInt(span.startTimeUnixNano ?? 0)
      const end = span.endTimeUnixNano
      const hasEnd = end !== undefined && String(end) !== '0'
      return { span, service, startNs, endNs: hasEnd ? BigInt(end) : startNs, hasEnd, shiftNs: 0n }
    })
  })
}

/** By start, in place. */
function inOrder(nodes: Node[]): Node[] {
  return nodes.sort((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0))
}

function shift(node: Node, by: bigint): void {
  node.startNs += by
  node.endNs += by
  node.shiftNs = by
}

const CLIENT = 3
const SERVER = 2

/** Where a span of one service is below one of another. */
function hopsOf(nodes: readonly Node[], byId: ReadonlyMap<string, Node>): Hop[] {
  return nodes.flatMap((inner) => {
    const outer = byId.get(inner.span.parentSpanId ?? '')
    if (!outer || outer.service === inner.service || !outer.hasEnd || !inner.hasEnd) return []
    return {
      caller: outer.service,
      called: inner.service,
      isRequest: outer.span.kind === CLIENT && inner.span.kind === SERVER,
      ...{ outerStart: outer.startNs, outerEnd: outer.endNs, innerStart: inner.startNs, innerEnd: inner.endNs },
    }
  })
}

/** The longest of the root's stretches that no span below it covers. `below` is in order of start. */
function gapsIn(root: Row, below: readonly Row[]): Gap[] {
  const gaps: Gap[] = []
  let at = root.startMs
  let after = ''
  for (const row of [...below, undefined]) {
    const until = row ? row.startMs : root.startMs + root.durationMs
    if (until - at >= Math.max(MIN_GAP_MS, root.durationMs * MIN_GAP_SHARE)) {
      gaps.push({ fromMs: at, durationMs: until - at, after, before: row?.name ?? '' })
    }
    if (row && row.startMs + row.durationMs > at) {
      at = row.startMs + row.durationMs
      after = row.name
    }
  }
  return gaps.sort((a, b) => b.durationMs - a.durationMs).slice(0, MAX_GAPS)
}

const DROPPED = [
  RESOURCE_DROPPED_EXPIRED,
  RESOURCE_DROPPED_EVICTED,
  RESOURCE_DROPPED_UNWRITTEN,
  RESOURCE_DROPPED_UNREADABLE,
  RESOURCE_DROPPED_REFUSED,
]

function droppedIn({ resourceSpans }: TracesData): number {
  return resourceSpans
    .map(({ resource }) => attributesOf(resource?.attributes))
    .flatMap((attributes) => DROPPED.map((name) => Number(attributes[name] ?? 0) || 0))
    .reduce((sum, count) => sum + count, 0)
}

function versionsOf({ resourceSpans }: TracesData): Map<string, string> {
  return new Map(
    resourceSpans.flatMap(({ resource }): [string, string][] => {
      const attributes = attributesOf(resource?.attributes)
      const version = attributes[RESOURCE_SERVICE_VERSION]
      return version === undefined ? [] : [[String(attributes[RESOURCE_SERVICE_NAME] ?? 'unknown'), String(version)]]
    }),
  )
}

function rowOf({ span, service, startNs, endNs, hasEnd, shiftNs }: Node, depth: number, originNs: bigint): Row {
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
    hasEnd,
    critical: false,
    status: STATUSES[span.status?.code ?? 0] ?? 'unset',
    ...(failureCode === undefined ? {} : { failureCode: String(failureCode) }),
    attributes,
    events: (span.events ?? []).map(({ name, timeUnixNano, attributes }) => ({
      name: String(name || '(no name)'),
      atMs: Number(BigInt(timeUnixNano ?? startNs - shiftNs) + shiftNs - originNs) / 1e6,
      attributes: attributesOf(attributes),
    })),
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
  const items = value.arrayValue ? (value.arrayValue.values ?? []) : undefined
  if (Array.isArray(items)) return items.map((item) => (item?.arrayValue ? '(list)' : plainValue(item)))
  if (value.kvlistValue) return '(map)'
  if (value.bytesValue !== undefined) return '(bytes)'
  return ''
}
