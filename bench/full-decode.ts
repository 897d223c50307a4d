/**
 * What stands in for the relay's scan in {@link file://./full-decode-relay.ts}: bodies decoded by protobufjs or
 * JSON.parse, and the closed list applied to objects. It does no more than it must: IDs stay bytes, and nothing is
 * encoded again, because what the bench sends is clean.
 */
import * as names from '../names.ts'
import { type AnyValue, type Encoding, type KeyValue, RequestType } from '../relay/otlp.ts'
import { probe } from '../relay/scan/probe.ts'
import type { Scanned } from '../relay/scan/scan.ts'
import { packTraces, type TraceFacts } from '../relay/scan/trace-list.ts'

const LISTED = new Set<string>(
  Object.entries(names).flatMap(([constant, name]) => (/^(ATTR|RESOURCE)_/.test(constant) ? [name] : [])),
)
const IDS = new Set<string>([names.ATTR_SESSION_ID, names.RESOURCE_SERVICE_INSTANCE_ID])

interface Decoded {
  resourceSpans: {
    resource?: { attributes?: KeyValue[] }
    scopeSpans: { spans: { traceId: Uint8Array | string; attributes?: KeyValue[]; status?: { code?: number } }[] }[]
  }[]
}

/** As the relay's own. Throws an Error for what the bench does not send. */
export function scan(body: Uint8Array, encoding: Encoding): Scanned {
  const decoded = (encoding === 'json' ? JSON.parse(Buffer.from(body).toString()) : RequestType.decode(body)) as Decoded
  const traces = new Map<string, TraceFacts>()
  let spans = 0
  for (const { resource, scopeSpans } of decoded.resourceSpans) {
    check(resource?.attributes)
    for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
      check(span.attributes)
      const traceId = typeof span.traceId === 'string' ? span.traceId : Buffer.from(span.traceId).toString('hex')
      const facts = traces.get(traceId) ?? { spans: 0, error: false }
      traces.set(traceId, { spans: facts.spans + 1, error: facts.error || span.status?.code === 2 })
      spans += 1
    }
  }
  return { traces: packTraces(traces), spans, rejected: 0, body, scrubbed: undefined }
}

/** Nothing is forwarded here. */
export function slice(): undefined {}

function check(attributes: KeyValue[] = []): void {
  for (const { key, value } of attributes) {
    if (!LISTED.has(key) || !isClean(value, IDS.has(key))) throw new Error(`"${key}" is not clean.`)
  }
}

function isClean(value: AnyValue | undefined, isId: boolean): boolean {
  const text = value?.stringValue
  return !text || probe(text, isId) === undefined
}
