/**
 * The runs, as everything sees them that serves or works on them. Where they are, main.ts decides: in this process and its
 * file (`embedded-runs.ts`), or in Redis, where any server serves what any has made (`redis/runs.ts`).
 */

import type { Readable } from 'node:stream'
import type { Context, Link } from '@opentelemetry/api'
import type { Run, RunEvent } from './contract.ts'
import type { Stop } from './failure.ts'
import type { GenerateRequest } from './request-contract.ts'

/**
 * What the owner of a check's run begins with: so it is known of it after a restart, too. No install's ID does, for the
 * relay makes them.
 */
export const SYNTHETIC_OWNER = 'synthetic:'
/** A run's longest time, milliseconds: less than its browser waits, so that it hears why. */
export const RUN_MS = 7 * 60_000
/** How often one ID can be run: a browser asks for it after the server has died, a loop should not. */
export const MAX_ATTEMPTS = 20
/** Event ids an attempt has: those of a later one are higher than any that was shown of one before. */
export const IDS_PER_ATTEMPT = 10_000

export type Ended = Extract<RunEvent, { type: 'done' | 'failed' }>

export interface Numbered {
  /** That of the event before for what is true only now, and not told again: a place in a queue. */
  id: number
  event: RunEvent
}

/** Where a run comes from: not told to whoever asks for it. */
export interface Origin {
  /** Of the request that started it, as the relay's log has it. */
  requestId?: string | undefined
  /** The span that waits for it, as its browser names it; '' where nobody has. */
  waitingSpanId?: string | undefined
  /** From the click to the request, milliseconds, where the browser has told. */
  elapsedMs?: number | undefined
}

/** What is asked for, by whom, and where the spans of it hang. */
export interface Order {
  id: string
  owner: string
  request: GenerateRequest
  parent: Context
  links: Link[]
  origin: Origin
}

/** A run, as an endpoint is told of it. */
export interface RunFacts {
  readonly id: string
  /** The install that started it, and the only one that it is shown to. In no span and no log. */
  readonly owner: string
  readonly waitingSpanId: string
  /** How often it has been begun, from 1. */
  readonly attempt: number
  /** Epoch milliseconds. */
  readonly startedAt: number
  /** Whether a check has started it, and no person. */
  readonly synthetic: boolean
}

/** A run, for who asks for it. Event ids count from 1 in an attempt; in a later one from 10,001 on. */
export interface KnownRun extends RunFacts {
  /** How it ended, once it has. */
  readonly end: Ended | undefined
  /** The server's end was its end, so that it may be run once more. */
  readonly canRunAgain: boolean
  /** Events after the given id, as they come; ends after the run's last one, or when the signal aborts. */
  after(lastId: number, signal: AbortSignal): AsyncGenerator<Numbered>
  view(): Run
}

/** A run, for who works on it. */
export interface RunUnderWay extends RunFacts {
  readonly requestId: string | undefined
  /** Time since it was begun, milliseconds. */
  readonly ageMs: number
  /** How it ended, once it has; undefined where it goes on elsewhere. */
  readonly end: Ended | undefined
  /** Aborts when nobody wants it any more, here at least. */
  readonly abort: AbortController
  append(event: RunEvent): void
  /** Keeps the PDF, whole or not at all. */
  publish(pdf: Uint8Array): Promise<void>
  /** Lets what was kept go. Never rejects. */
  discard(): Promise<void>
}

/** Makes what is ordered, and says all of it to the run. Never rejects. */
export type Work = (run: RunUnderWay, order: Order) => Promise<void>

export interface Runs {
  /** Has these hands work on what is ordered, from now on. */
  workWith(work: Work): void
  /** Throws Failure('runs_unavailable') when it cannot be known. */
  find(id: string): Promise<KnownRun | undefined>
  /**
   * Begins a run that is not known yet, or that may run again; otherwise gives the one that there is, `replayed`. Throws
   * Failure: overloaded when too many are under way, interrupted when this server is about to stop, run_not_found when it is
   * another's, runs_unavailable.
   */
  begin(order: Order): Promise<{ run: KnownRun; replayed: boolean }>
  /** Ends it with this failure, unless it has ended, and stops whatever works for it. Gives it as it is then. */
  stop(run: KnownRun, code: Stop): Promise<KnownRun>
  /** Undefined when there is none. */
  pdfOf(run: KnownRun): Promise<{ sizeBytes: number; content: Readable } | undefined>
  /** Takes no more, and stops what is worked on here: as `interrupted`, or handed to another server. */
  leave(): Promise<void>
  /** Whether runs can be begun and found now. */
  reachable(): Promise<boolean>
}

export function isEnd(event: RunEvent): event is Ended {
  return event.type === 'done' || event.type === 'failed'
}

export function isSyntheticOwner(owner: string): boolean {
  return owner.startsWith(SYNTHETIC_OWNER)
}

/** A run that ended like this after so many attempts may be run once more. */
export function mayRunAgain(end: Ended | undefined, attempt: number): boolean {
  return end?.type === 'failed' && end.failure.code === 'interrupted' && attempt < MAX_ATTEMPTS
}

export function viewOf(id: string, last: RunEvent['type'] | undefined): Run {
  const ended = last === 'done' || last === 'failed' ? last : undefined
  return {
    id,
    status: ended ?? (last === undefined || last === 'queued' ? 'queued' : 'running'),
    events: `/runs/${id}/events`,
    pdf: `/runs/${id}/resume.pdf`,
  }
}
