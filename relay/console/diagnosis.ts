/** What a trace says, in one sentence, to someone who helps a person. */
import { ATTR_STAGE, SPAN_RUN, SPAN_VALIDATE } from '../../names.ts'
import { FAILURES, type FailureCode } from '../../server/contract.ts'
import type { Row, Waterfall } from './waterfall.ts'

export interface Diagnosis {
  state: 'done' | 'failed' | 'cancelled' | 'open'
  sentence: string
  /** What to do, in the words the person was told. */
  advice?: string
  code?: string
  /** The span where it broke. */
  failed?: Row
}

/** Tells how a run ended, or that its end is not here. */
export function diagnose({ rows, root }: Waterfall): Diagnosis {
  if (root?.failureCode === 'cancelled') {
    return {
      state: 'cancelled',
      sentence: `Cancelled by the person after ${formatMs(root.durationMs)}.`,
      code: 'cancelled',
    }
  }
  const failed = failedRow(rows, root)
  // A child may fail and the run succeed (a retry): where there is a root, its word counts.
  if (failed && (!root || root.status === 'error' || root.failureCode)) return failure(failed, root, rows)
  if (root) {
    const what = root.name === SPAN_RUN ? 'The resume reached the browser' : `“${root.name}” finished`
    return { state: 'done', sentence: `Done: ${lowerFirst(what)} after ${formatMs(root.durationMs)}.` }
  }
  const made = rows.some(({ name, status }) => name === SPAN_VALIDATE && status !== 'error')
  return {
    state: 'open',
    sentence: made
      ? 'The resume was made. The browser’s part of the trace is not here.'
      : 'In progress, or the browser’s part of the trace is not here.',
    advice: 'The browser sends its part after the run has ended, as soon as it is online.',
  }
}

/** The deepest failed span with the run's code: where it broke, not where it was noticed. */
function failedRow(rows: Row[], root: Row | undefined): Row | undefined {
  const failures = rows.filter(({ status, failureCode }) => status === 'error' || failureCode !== undefined)
  const code = root?.failureCode ?? failures.find(({ failureCode }) => failureCode)?.failureCode
  const candidates = failures.filter(({ failureCode }) => failureCode === code)
  return (candidates.length > 0 ? candidates : failures).reduce<Row | undefined>(
    (deepest, row) => (deepest === undefined || row.depth >= deepest.depth ? row : deepest),
    undefined,
  )
}

function failure(failed: Row, root: Row | undefined, rows: Row[]): Diagnosis {
  const code = root?.failureCode ?? failed.failureCode
  const known = FAILURES[isFailureCode(code) ? code : 'internal']
  return {
    state: 'failed',
    sentence: `Failed at “${stepOf(failed, rows)}”: ${lowerFirst(known.message)}`,
    advice: known.advice,
    code: code ?? 'no code recorded',
    failed,
  }
}

/** The stage a span belongs to: its own or that of the nearest span above; without one, the span's name. */
function stepOf(row: Row, rows: Row[]): string {
  const byId = new Map(rows.map((other) => [other.spanId, other]))
  let above: Row | undefined = row
  for (let steps = 0; above && steps < rows.length; steps++) {
    const stage = above.attributes[ATTR_STAGE]
    if (stage !== undefined) return String(stage)
    above = above.parentSpanId === undefined ? undefined : byId.get(above.parentSpanId)
  }
  return row.name
}

function isFailureCode(code: string | undefined): code is FailureCode {
  return code !== undefined && Object.hasOwn(FAILURES, code)
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}

/** A duration with a fitting unit: `0.4 ms`, `82 ms`, `3.4 s`, `2 min 5 s`. */
export function formatMs(ms: number): string {
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
