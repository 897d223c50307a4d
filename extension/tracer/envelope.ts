/**
 * Trace context between the extension's parts. A service worker has no AsyncContext and its StackContextManager
 * forgets at the first `await`, so context is never ambient here: it travels in the message.
 */

import { RPC_EXTRACT_POSTING, SPAN_EXTRACT, SPAN_EXTRACT_STRATEGY } from '../../names.ts'

/** One message. */
export interface Envelope<T> {
  /** RPC method: one of the RPC_* names. */
  type: string
  payload: T
  /** W3C Trace Context. Absent from the popup: background starts the trace. Never taken from a page. */
  traceparent?: string
}

/**
 * A span recorded where there is no SDK (a content script), handed over in the reply. Plain data: it survives
 * structured cloning and JSON.
 */
export interface HopSpan {
  name: string
  /** 16 hex digits. */
  spanId: string
  /** 16 hex digits. */
  parentSpanId: string
  kind: 'internal' | 'server'
  /** Epoch milliseconds, fractions included. */
  startTime: number
  endTime: number
  attributes: Record<string, string | number | boolean>
  /** `error.type` when it failed. */
  errorType?: string
}

const HOP_SPANS: ReadonlySet<string> = new Set([RPC_EXTRACT_POSTING, SPAN_EXTRACT, SPAN_EXTRACT_STRATEGY])

/** Whether it is a span as a content script records them: a known name, proper IDs, and times. */
export function isHopSpan(span: HopSpan): boolean {
  const ids = [span.spanId, span.parentSpanId]
  const times = [span.startTime, span.endTime]
  return (
    HOP_SPANS.has(span.name) && ids.every((id) => /^(?!0{16})[0-9a-f]{16}$/.test(id)) && times.every(Number.isFinite)
  )
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/

/** Trace and parent span ID of a W3C `traceparent` (version 00); undefined when it is not one. */
export function parseTraceparent(header: string | undefined): { traceId: string; spanId: string } | undefined {
  const [, traceId, spanId] = TRACEPARENT.exec(header ?? '') ?? []
  return traceId && spanId ? { traceId, spanId } : undefined
}

/** 16 random hex digits, never all zero. */
export function randomSpanId(): string {
  return randomHex(8)
}

/** So many random bytes as hex digits, never all zero. */
export function randomHex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes))
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return /^0+$/.test(hex) ? randomHex(bytes) : hex
}
