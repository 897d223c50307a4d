/**
 * What becomes of the browser's part of a trace once its run has ended: it is held here for a day, and most are never
 * asked for. Sent are those with an error and one in a hundred of the others, both with the person's consent only, and
 * those that the person reports.
 */

import { readConsent } from './consent.ts'
import { changePastRuns, isWanted, type PastRun, readPastRuns, withPastRun } from './past-runs.ts'
import type { RunState } from './run-state.ts'
import { readSettings } from './settings.ts'
import { openUntil, reset, trip } from './tracer/breaker.ts'
import { type Dropped, droppedAttributes, plus, readDropped, writeDropped } from './tracer/dropped.ts'
import { resourceAttributes } from './tracer/identity.ts'
import { type EndedSpan, type EndedTrace, HELD_MS, type Journal } from './tracer/journal.ts'
import { askToKeep, type Failed, requestBody, sendSpans } from './tracer/relay-intake.ts'
import { isSampled } from './tracer/sampling.ts'

/** Spans a request. */
const BATCH = 200
/** Until the relay is asked again to keep a trace, when it has not said itself; and the longest that is believed. */
const KEEP_AGAIN_MS = 60_000
const KEEP_AGAIN_AT_MOST_MS = 60 * 60_000

/** What a report would send, or why there is nothing to send. */
export interface Report {
  /** `gone` when neither this browser nor the relay has anything of it any more. */
  state: 'new' | 'waiting' | 'sent' | 'gone'
  /** The body of the request, OTLP JSON; absent when nothing of the run is here (any more). */
  body?: string
  /** Epoch milliseconds of the next try while it waits. */
  again?: number
}

export class Traces {
  readonly #journal: Journal
  /** Counted, and not yet in storage. */
  #dropped: Dropped = {}

  constructor(journal: Journal) {
    this.#journal = journal
  }

  /** Lists the ended run, and decides whether its trace is held or due. */
  async settle(run: RunState): Promise<void> {
    await exclusively(async () => {
      const { id, status, startedAt, endedAt = Date.now(), posting, failure } = run
      const chosen = (await this.#journal.trace(id))?.failed || isSampled(id)
      // The consent is read where the list is changed: taken back just now, it is not overlooked.
      await changePastRuns(async (runs) =>
        withPastRun(runs, {
          ...{ id, status, startedAt, endedAt, trace: chosen && (await readConsent()) ? 'due' : 'held' },
          ...(posting ? { posting } : {}),
          ...(failure ? { code: failure.code } : {}),
        }),
      )
    })
  }

  /**
   * Sends what is due and what is reported, unless it is too early. Resolves with the epoch milliseconds at which there
   * is something to do again, undefined when nothing is held. Rejects when storage cannot be read; nothing is lost then,
   * and at worst sent twice.
   */
  async upload(): Promise<number | undefined> {
    return (await this.#upload(undefined)).again
  }

  /** Sends the run's trace and has it kept, now or as soon as the relay can be reached. */
  async report(id: string): Promise<Report> {
    await mark([id], { report: 'waiting', keepNotBefore: 0 })
    const isRunning = (await readPastRuns()).some((run) => run.id === id && run.status === 'running')
    // One that is under way is sent when it has ended.
    if (isRunning) return { state: 'waiting' }
    const { again, kept } = await this.#upload(id)
    if (kept) return { state: kept }
    return { state: 'waiting', ...(again === undefined ? {} : { again }) }
  }

  /** Exactly what a report of the run would send. */
  async preview(id: string): Promise<Report> {
    const { report } = (await readPastRuns()).find((run) => run.id === id) ?? {}
    const trace = await this.#journal.trace(id)
    if (!trace) return { state: report ?? 'new' }
    const body = new TextDecoder().decode(requestBody(trace.spans, await this.#resource()))
    return { state: report ?? 'new', body }
  }

  /** Deletes every trace that is held. */
  async forget(): Promise<void> {
    await exclusively(async () => {
      const held = await this.#held([])
      await this.#journal.remove(held.flatMap(({ spans }) => spans))
      await changePastRuns((runs) => runs.map((run) => (run.trace === 'sent' ? run : { ...run, trace: 'dropped' })))
    })
  }

  /** `asked` is the run that a person reports right now: it waits for nothing but the relay's word. */
  #upload(asked: string | undefined): Promise<{ again: number | undefined; kept?: 'sent' | 'gone' | undefined }> {
    // Two uploads at once would send everything twice.
    return exclusively(async () => {
      const consent = await readConsent()
      const runs = (await readPastRuns()).filter((run) => isWanted(run, consent) || run.id === asked)
      const held = await this.#held(runs.map(idOf))
      // By its ID also where storage did not take that it is reported.
      const reported = new Set(runs.filter(({ report }) => report === 'waiting').map(idOf))
      if (asked) reported.add(asked)
      const due = new Set(runs.map(idOf)).difference(reported)
      const next = async (failed?: Failed) => ({ again: failed ? await trip(failed.retryAfterMs) : expiryOf(held) })
      if (due.size + reported.size === 0) return next()
      const early = await openUntil(asked !== undefined)
      if (early !== undefined) return { again: early }

      const { relayUrl } = await readSettings()
      const those = (ids: ReadonlySet<string>) => held.filter(({ traceId }) => ids.has(traceId))
      const mayGo = async () => (await readConsent()) === true
      const failed =
        (await this.#send(relayUrl, those(reported), async () => true)) ??
        (await this.#send(relayUrl, those(due), mayGo))
      if (failed) return next(failed)
      await reset()
      const kept = await this.#keep(relayUrl, [...reported], runs)
      const left = await this.#held(runs.map(idOf))
      return { again: earliest(kept.again, expiryOf(left)), kept: asked ? kept.of.get(asked) : undefined }
    })
  }

  /** What is held, within bounds: what has gone is counted, and the list says so. */
  async #held(wanted: readonly string[]): Promise<EndedTrace[]> {
    const { traces, gone, dropped } = await this.#journal.ended(new Set(wanted))
    await mark(gone.map(traceIdOf), { trace: 'dropped' })
    await this.#count(dropped)
    return traces
  }

  async #count(dropped: Dropped): Promise<void> {
    this.#dropped = plus(this.#dropped, dropped)
    if (Object.keys(this.#dropped).length === 0) return
    try {
      await writeDropped(plus(await readDropped(), this.#dropped))
      this.#dropped = {}
    } catch {
      // Storage takes no write: they are told all the same, by this worker or not at all.
    }
  }

  /** Batch by batch, for as long as each `mayGo`. */
  async #send(
    relayUrl: string,
    traces: readonly EndedTrace[],
    mayGo: () => Promise<boolean>,
  ): Promise<Failed | undefined> {
    const spans = traces.flatMap((trace) => trace.spans)
    const [taken, refused] = [new Set<EndedSpan>(), new Set<EndedSpan>()]
    let failed: Failed | undefined
    for (let from = 0; from < spans.length && (await mayGo()); from += BATCH) {
      const batch = spans.slice(from, from + BATCH)
      const outcome = await sendSpans(relayUrl, batch, await this.#resource())
      if (outcome.kind === 'failed') {
        failed = outcome
        break
      }
      // Refused for good: sent again it would be refused again, and stand in the way of what comes after it.
      await this.#journal.remove(batch)
      for (const span of batch) (outcome.kind === 'taken' ? taken : refused).add(span)
      if (outcome.kind === 'taken') await this.#told()
      else await this.#count({ refused: batch.length })
    }
    const whole = traces.filter((trace) => trace.spans.every((span) => taken.has(span)))
    const broken = traces.filter((trace) => trace.spans.some((span) => refused.has(span)))
    await mark(whole.map(traceIdOf), { trace: 'sent' })
    await mark(broken.map(traceIdOf), { trace: 'dropped' })
    return failed
  }

  /**
   * Asks for each reported trace. What fails waits by itself, without the breaker: a relay that keeps no more traces
   * this hour still takes spans.
   */
  async #keep(relayUrl: string, ids: readonly string[], runs: readonly PastRun[]) {
    const of = new Map<string, 'sent' | 'gone'>()
    let again: number | undefined
    for (const id of ids) {
      const { keepNotBefore = 0 } = runs.find((run) => run.id === id) ?? {}
      const patient = keepNotBefore > Date.now() && keepNotBefore < Date.now() + KEEP_AGAIN_AT_MOST_MS
      const outcome = patient ? undefined : await askToKeep(relayUrl, id)
      if (outcome?.kind === 'taken') {
        of.set(id, 'sent')
        await mark([id], { report: 'sent' })
      } else if (outcome?.kind === 'refused') {
        // The relay has nothing of it, and neither has this browser: what there was has been sent just now.
        of.set(id, 'gone')
        await changePastRuns((runs) => runs.map((run) => (run.id === id ? without(run) : run)))
      } else {
        const wait = Math.min(outcome?.retryAfterMs ?? KEEP_AGAIN_MS, KEEP_AGAIN_AT_MOST_MS)
        const notBefore = outcome ? Date.now() + wait : keepNotBefore
        again = earliest(again, notBefore)
        if (outcome) await mark([id], { keepNotBefore: notBefore })
      }
    }
    return { of, again }
  }

  async #resource() {
    return { ...(await resourceAttributes()), ...droppedAttributes(plus(await readDropped(), this.#dropped)) }
  }

  async #told(): Promise<void> {
    this.#dropped = {}
    await writeDropped({})
  }
}

const traceIdOf = ({ traceId }: EndedTrace) => traceId
const idOf = ({ id }: PastRun) => id
const without = ({ report: _, ...run }: PastRun): PastRun => run

/** When the day of the first of them is over; they are oldest first. */
function expiryOf([oldest]: readonly EndedTrace[]): number | undefined {
  return oldest && oldest.endedAt + HELD_MS
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request('traces', work)
}

async function mark(ids: readonly string[], change: Partial<PastRun>): Promise<void> {
  if (ids.length === 0) return
  await changePastRuns((runs) => runs.map((run) => (ids.includes(run.id) ? { ...run, ...change } : run)))
}
