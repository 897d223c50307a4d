/**
 * What became of many runs, in a line each. Nothing is counted when spans arrive: a run is read when somebody looks, and
 * remembered. So a page has a budget of time, and says how far it came; the next one goes on from there.
 */
import type { Traces } from '../store/traces.ts'
import { type Diagnosis, diagnose, type State } from './diagnosis.ts'
import { layOut, type Row } from './waterfall.ts'

export interface Summary {
  traceId: string
  /** By the clock of the run's first service, milliseconds since 1970. */
  startedAt: number
  durationMs: number
  state: State
  sentence: string
  code?: string
  /** The stage that failed. */
  step?: string
  /** Of any of its services. */
  versions: string[]
  /** Whether there was more than a summary reads, so that the rest of it may be wrong. */
  truncated: boolean
  /** How long the longest span of each {@link stepKey} took, of those that worked. */
  steps: Map<string, number>
}

/** How often a failure code occurred within the last hour. */
export interface Occurrences {
  times: number
  /** The first of them, milliseconds since 1970. */
  since: number | undefined
  /** Failed runs of the hour, and how many of them were read. */
  failed: number
  read: number
}

/** Of a run that is only summed up. A real one is half of that at most. */
const MOST = { requests: 100, bytes: 8 * 1024 * 1024, marks: 100_000, spans: 500 }
const MAX_REMEMBERED = 5_000
/** A run that had not ended is read again after this. */
const OPEN_MS = 5_000
const HOUR_MS = 3_600_000
const MAX_FAILED = 1_000
/** Runs that the usual durations are taken from, and how many of them must have a step. */
const USUAL_RUNS = 60
const MIN_USUAL = 3
/** What is usual changes slowly, and every page asks. */
const USUAL_MS = 10_000

/** By what steps of different runs are the same. */
export function stepKey({ service, name }: Pick<Row, 'service' | 'name'>): string {
  return `${service}\n${name}`
}

export function createSummaries(store: Traces, now: () => number) {
  /** The one that was not asked for longest comes first. */
  const known = new Map<string, { summary: Summary; readAt: number }>()

  let lately: { at: number; usual: ReadonlyMap<string, number> } = { at: Number.NEGATIVE_INFINITY, usual: new Map() }

  async function of(traceId: string): Promise<Summary> {
    const before = remembered(traceId)
    if (before) return before
    const trace = await store.trace(traceId, MOST)
    const waterfall = layOut(trace)
    const diagnosis = diagnose(waterfall, { arriving: false, truncated: trace.truncated })
    const steps = new Map<string, number>()
    for (const row of waterfall.rows) {
      if (row.status !== 'error') steps.set(stepKey(row), Math.max(steps.get(stepKey(row)) ?? 0, row.durationMs))
    }
    const summary: Summary = {
      traceId,
      startedAt: Number(waterfall.originNs / 1_000_000n),
      durationMs: waterfall.root?.durationMs ?? waterfall.totalMs,
      ...said(diagnosis),
      versions: [...new Set(waterfall.versions.values())],
      truncated: trace.truncated,
      steps,
    }
    known.set(traceId, { summary, readAt: now() })
    const [oldest] = known.keys()
    if (known.size > MAX_REMEMBERED && oldest !== undefined) known.delete(oldest)
    return summary
  }

  function remembered(traceId: string): Summary | undefined {
    const entry = known.get(traceId)
    if (!entry) return undefined
    const { summary, readAt } = entry
    known.delete(traceId)
    if ((summary.state === 'open' || summary.state === 'running') && now() - readAt > OPEN_MS) return undefined
    known.set(traceId, entry)
    return summary
  }

  /** Summaries in the same order until `budgetMs` of work is done; those that are remembered cost nothing. */
  async function some(traceIds: readonly string[], budgetMs: number): Promise<Summary[]> {
    const until = performance.now() + budgetMs
    const summaries: Summary[] = []
    for (const id of traceIds) {
      const summary = remembered(id) ?? (performance.now() < until ? await of(id) : undefined)
      if (summary) summaries.push(summary)
    }
    return summaries
  }

  return {
    some,

    /** Of the failed runs of the last hour, the newest first, as many as `budgetMs` allows. */
    async occurrences(code: string, budgetMs: number): Promise<Occurrences> {
      const failed = await store.failed(now() - HOUR_MS, now() + HOUR_MS, MAX_FAILED)
      const times = new Map(failed.map(({ traceId, at }) => [traceId, at]))
      const read = await some([...times.keys()], budgetMs)
      const same = read.filter((summary) => summary.code === code).map(({ traceId }) => times.get(traceId) ?? 0)
      const since = same.length > 0 ? Math.min(...same) : undefined
      return { times: same.length, since, failed: failed.length, read: read.length }
    },

    /** How long each step usually takes: the median of recent runs that did not fail, as of some seconds ago. */
    async usual(budgetMs: number): Promise<ReadonlyMap<string, number>> {
      if (now() - lately.at < USUAL_MS) return lately.usual
      const ids = (await store.recent(USUAL_RUNS)).map(({ traceId }) => traceId)
      const times = new Map<string, number[]>()
      for (const { state, truncated, steps } of await some(ids, budgetMs)) {
        if (truncated || (state !== 'done' && state !== 'open')) continue
        for (const [key, ms] of steps) times.set(key, [...(times.get(key) ?? []), ms])
      }
      const usual = new Map([...times].filter(([, ms]) => ms.length >= MIN_USUAL).map(([key, ms]) => [key, median(ms)]))
      lately = { at: now(), usual }
      return usual
    },
  }
}

export type Summaries = ReturnType<typeof createSummaries>

function said({ state, sentence, code, step }: Diagnosis): Pick<Summary, 'state' | 'sentence' | 'code' | 'step'> {
  return { state, sentence, ...(code ? { code } : {}), ...(step ? { step } : {}) }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
