/** What is asked of one tracing engine; {@link file://./jaeger.ts} and {@link file://./tempo.ts} know how. */
import type { TracesData } from '../otlp.ts'

/** Which traces: those with a span that began at or after `from` and before `to`, milliseconds since 1970. */
export interface Search {
  from: number
  to: number
  limit: number
  /** Only those with a span that failed; or also those that somebody reported. */
  only?: 'failed' | 'failed or reported'
}
/** A trace that was found, with what of it came along. */
export interface Found {
  traceId: string
  /** When it began, milliseconds since 1970. */
  startedAt: number
  data?: TracesData
}

/** Its methods throw StoreUnavailable when there is no answer. */
export interface Reader {
  /** What people call it. */
  name: string
  /**
   * Everything of a trace, as it was sent, or `partial` when the engine does not tell all of it; undefined when nothing is
   * here. Throws BodyTooLarge.
   */
  trace(traceId: string): Promise<(TracesData & { partial?: boolean }) | undefined>
  /** Traces of our services, newest first, at most `limit`. */
  search(wanted: Search): Promise<Found[]>
}

/** Bytes of one answer, before it is decoded. */
export const MAX_ANSWER_BYTES = 32 * 1024 * 1024
