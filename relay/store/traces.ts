/**
 * What the rest of the relay asks of whatever keeps spans: the store in files ({@link file://./store.ts}), or tracing
 * engines that many relays share ({@link file://../engine/engine.ts}). What each must do is tested once for all of them.
 */
import type { Keeping, NewRequest } from './journal.ts'
import type { Arrivals, FailedTrace, Match, RecentTrace, StoredTrace, TraceBounds } from './look-up.ts'
import type { Stay } from './retention.ts'

/** Files answer at once, and nobody has to wait a turn for it; engines are asked over the network. */
export type Soon<T> = T | Promise<T>

/** Look-ups reject with StoreUnavailable when there is no answer now. */
export interface Traces {
  /** Whether other relays have the same: then that it fails is no reason to send requests to them instead. */
  readonly shared: boolean
  /** What cannot be looked up here, in sentences for the console; empty when everything can. */
  readonly limits: string

  /** Resolves when nothing of the request can be lost any more. Rejects with StoreUnavailable; then it may be sent again. */
  append(request: NewRequest): Promise<void>
  /** What a trace ID, or its first 8 or more digits, stands for. `prefix` is lower-case hex, at most 32 digits. */
  find(prefix: string): Soon<Match>
  /** The spans of a trace, each once; none when it is not here. */
  trace(traceId: string, most?: Readonly<TraceBounds>): Soon<StoredTrace>
  /** The newest traces, newest first; `before` (milliseconds since 1970) leaves out what came since. */
  recent(limit: number, before?: number): Soon<RecentTrace[]>
  /** The traces in which something failed, at or after `from` and before `to`, newest first. */
  failed(from: number, to: number, limit: number): Soon<FailedTrace[]>
  /** How much of a trace has come: for those who wait for more. */
  arrivals(traceId: string): Soon<Arrivals>
  /** Until when a trace stays whole. Undefined when nothing of it is here. */
  stay(traceId: string): Soon<Stay | undefined>
  /** Keeps a trace, with what of it arrives later. Rejects with StoreUnavailable; then it is not kept. */
  keep(traceId: string): Promise<Keeping>
  /** Rejects when nothing can be taken now. */
  check(): Promise<void>
}
