/**
 * What the relay has to know of a request before it is stored, found in its bytes: which traces, how many spans, which
 * of them failed, and what must not be kept. Decoding all of it would take many times as long.
 */
import type { Encoding } from '../otlp.ts'
import { scanJson } from './json-scan.ts'
import { sliceJson } from './json-slice.ts'
import { scanProtobuf } from './protobuf-scan.ts'
import { sliceProtobuf } from './protobuf-slice.ts'
import type { Scrubbed } from './scrubber.ts'

export interface Scanned {
  /** Of the accepted spans, in order of appearance, packed: see {@link file://./trace-list.ts}. */
  traces: Uint8Array
  /** Accepted spans. */
  spans: number
  /** Spans whose trace ID or span ID is not of its length or all zero, or whose parent's ID is not of its length. */
  rejected: number
  /** The very same when nothing had to go; otherwise rewritten, in the same encoding. */
  body: Uint8Array
  /** What was taken out, of rejected spans too; undefined when nothing was. */
  scrubbed: Scrubbed | undefined
}

/**
 * Scans an export request and applies the closed list to it. Throws Undecodable (its message says where, and never
 * quotes the body) and BodyTooLarge (too many elements, or too deep).
 */
export function scan(body: Uint8Array, encoding: Encoding): Scanned {
  return encoding === 'json' ? scanJson(body) : scanProtobuf(body)
}

/** Whether a trace, by its ID, is wanted. */
export type Wanted = (traceId: string) => boolean
/**
 * The `th` of a trace's spans (OTEP 235, `th:fd70a4`) that belongs into the `ot` member of their tracestate; null erases
 * it, undefined leaves it.
 */
export type Threshold = (traceId: string) => string | null | undefined

/**
 * Of a body that {@link scan} has let through only the spans of wanted traces, under their resource and scope and in the
 * same encoding; undefined when none is wanted. Bytes are as they were wherever no threshold changes. Throws Undecodable
 * for what is damaged, where it is noticed.
 */
export function slice(
  body: Uint8Array,
  encoding: Encoding,
  wanted: Wanted,
  threshold: Threshold = () => undefined,
): Uint8Array | undefined {
  return encoding === 'json' ? sliceJson(body, wanted, threshold) : sliceProtobuf(body, wanted, threshold)
}
