/**
 * What becomes of the browser's part of a trace once its run has ended: it is held here for a day, and most are never
 * asked for. Sent are those with an error and one in a hundred of the others, both with the person's consent only, and
 * those that the person reports.
 */

import { readConsent } from './consent.ts'
import { changePastRuns, type PastRun, readPastRuns, recordPastRun } from './past-runs.ts'
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
      const trace = (await this.#held()).find(({ traceId }) => traceId === run.id)
      const chosen = trace?.failed || isSampled(run.id)
      const { id, status, startedAt, endedAt = Date.now(), posting, failure } = run
      await recordPastRun({
        ...{ id, status, startedAt, endedAt, trace: chosen && (await readConsent()) ? 'due' : 'held' },
        ...(posting ? { posting } : {}),
        ...(failure ? { code: failure.code } : {}),
      })
    })
  }

  /**
   * Sends what is due and what is reported, unless it is too early. Resolves with the epoch milliseconds at which there
   * is something to do again, undefined when nothing is held. Rejects only when storage fails; then nothing is lost.
   */
  upload(urgent = false): Promise<number | undefined> {
    // Two uploads at once would send everything twice.
    return exclusively(async () => {
      const held = await this.#held()
      const consent = await readConsent()
      const runs = (await readPastRuns()).filter(({ status }) => status !== 'running')
      const reported = runs.filter(({ report }) => report === 'waiting')
      const wanted = new Set((consent ? runs.filter(({ trace }) => trace === 'due') : []).concat(reported).map(idOf))
      const due = held.filter(({ traceId }) => wanted.has(traceId))
      const expiry = held[0] && held[0].endedAt + HELD_MS
      if (due.length + reported.length === 0) return expiry
      const early = await openUntil(urgent)
      if (early !== undefined) return early
      const { relayUrl } = await readSettings()
      const failed = (await this.#send(relayUrl, due)) ?? (await this.#keep(relayUrl, reported))
      if (failed) return trip(failed.retryAfterMs)
      await reset()
      return expiry
    })
  }

  /** Sends the run's trace and has it kept, now or as soon as the relay can be reached. */
  async report(id: string): Promise<Report> {
    await changePastRuns((runs) => runs.map((run) => (run.id === id ? { ...run, report: 'waiting' } : run)))
    const again = await this.upload(true)
    const { report } = (await find(id)) ?? {}
    return { state: report ?? 'gone', ...(report === 'waiting' && again !== undefined ? { again } : {}) }
  }

  /** Exactly what a report of the run would send. */
  async preview(id: string): Promise<Report> {
    const { report } = (await find(id)) ?? {}
    const trace = await this.#journal.trace(id)
    if (!trace) return { state: report ?? 'new' }
    const body = new TextDecoder().decode(requestBody(trace.spans, await this.#resource()))
    return { state: report ?? 'new', body }
  }

  /** Deletes every trace that is held. */
  async forget(): Promise<void> {
    await exclusively(async () => {
      const held = await this.#held()
      await this.#journal.remove(held.flatMap(({ spans }) => spans))
      await mark(held.map(traceIdOf), { trace: 'dropped' })
    })
  }

  /** What is held, within bounds: what has gone is counted, and the list says so. */
  async #held(): Promise<EndedTrace[]> {
    const { traces, gone, dropped } = await this.#journal.ended()
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

  async #send(relayUrl: string, due: readonly EndedTrace[]): Promise<Failed | undefined> {
    const spans = due.flatMap((trace) => trace.spans)
    const [taken, refused] = [new Set<EndedSpan>(), new Set<EndedSpan>()]
    let failed: Failed | undefined
    for (let from = 0; from < spans.length; from += BATCH) {
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
    const whole = due.filter((trace) => trace.spans.every((span) => taken.has(span)))
    const broken = due.filter((trace) => trace.spans.some((span) => refused.has(span)))
    await mark(whole.map(traceIdOf), { trace: 'sent' })
    await mark(broken.map(traceIdOf), { trace: 'dropped' })
    return failed
  }

  async #keep(relayUrl: string, reported: readonly PastRun[]): Promise<Failed | undefined> {
    for (const { id } of reported) {
      const outcome = await askToKeep(relayUrl, id)
      if (outcome.kind === 'failed') return outcome
      if (outcome.kind === 'taken') await mark([id], { report: 'sent' })
      // The relay has nothing of it, and neither has this browser: what there was has been sent just now.
      else await changePastRuns((runs) => runs.map((run) => (run.id === id ? without(run) : run)))
    }
    return undefined
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

function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request('traces', work)
}

async function find(id: string): Promise<PastRun | undefined> {
  return (await readPastRuns()).find((run) => run.id === id)
}

async function mark(ids: readonly string[], change: Partial<PastRun>): Promise<void> {
  if (ids.length === 0) return
  await changePastRuns((runs) => runs.map((run) => (ids.includes(run.id) ? { ...run, ...change } : run)))
}
