/** Which runs the first page lists: the newest, or those that a question in the URL asks for. */
import type { Traces } from '../store/traces.ts'
import type { State } from './diagnosis.ts'
import type { Summaries, Summary } from './summaries.ts'

/** Everything is in the URL; what is empty or makes no sense there asks for nothing. */
export interface Question {
  outcome: State | undefined
  step: string
  code: string
  version: string
  /** Milliseconds since 1970: not older than, older than. */
  from: number | undefined
  to: number | undefined
}
export interface ListedRun {
  traceId: string
  /** When it was last heard of, or failed, by the relay's clock. */
  at: number
  /** Undefined when there was no time to read it. */
  summary: Summary | undefined
}
export interface Answer {
  runs: ListedRun[]
  /** How many runs were looked at, and whether older ones are here: those before this, milliseconds since 1970. */
  examined: number
  olderThan: number | undefined
}

const OUTCOMES: readonly string[] = ['done', 'failed', 'cancelled', 'running', 'open'] satisfies State[]
const MAX_TEXT = 60
/** Runs on a page, runs looked at for it, and the time that reading them may take. */
const SHOWN = 30
const EXAMINED = 200
const BUDGET_MS = 150
/** The last moment that a Date can be. */
const LAST_MS = 8.64e15

/** Reads a question from the URL's query. Times as `2026-01-31T12:00`, which are UTC, or with a zone. */
export function questionIn(query: Record<string, string>): Question {
  const text = (name: string) => (query[name] ?? '').trim().slice(0, MAX_TEXT)
  const outcome = text('outcome')
  return {
    outcome: OUTCOMES.includes(outcome) ? (outcome as State) : undefined,
    step: text('step'),
    code: text('code'),
    version: text('version'),
    from: timeIn(text('from')),
    to: timeIn(text('to')),
  }
}

function timeIn(text: string): number | undefined {
  const at = Date.parse(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) ? `${text}Z` : text)
  return Number.isNaN(at) ? undefined : at
}

/**
 * What failed is found by the marks that failures leave; everything else by going through the newest requests. Both stop
 * after so many runs, and say so.
 */
export async function findRuns(store: Traces, summaries: Summaries, question: Question): Promise<Answer> {
  const { outcome, step, code, version, from = 0, to = LAST_MS } = question
  const onlyFailed = outcome === 'failed' || (outcome === undefined && (step !== '' || code !== ''))
  const found = onlyFailed
    ? await store.failed(from, to, EXAMINED)
    : (await store.recent(EXAMINED, to))
        .filter(({ lastSeen }) => lastSeen >= from)
        .map(({ traceId, lastSeen }) => ({ traceId, at: lastSeen }))
  const ids = found.map(({ traceId }) => traceId)
  const read = new Map((await summaries.some(ids, BUDGET_MS)).map((summary) => [summary.traceId, summary]))
  const asks = outcome !== undefined || step !== '' || code !== '' || version !== ''
  const runs: ListedRun[] = []
  let examined = 0
  for (const { traceId, at } of found) {
    const summary = read.get(traceId)
    // Of what could not be read in time, nobody knows whether it is asked for.
    if (asks && !summary) break
    examined += 1
    if (
      (outcome === undefined || summary?.state === outcome) &&
      (step === '' || summary?.step === step) &&
      (code === '' || summary?.code === code) &&
      (version === '' || summary?.versions.includes(version))
    ) {
      runs.push({ traceId, at, summary })
    }
    if (runs.length === SHOWN) break
  }
  const last = found[examined - 1] ?? found[0]
  const more = examined < found.length || found.length === EXAMINED
  return { runs, examined, olderThan: more ? last?.at : undefined }
}
