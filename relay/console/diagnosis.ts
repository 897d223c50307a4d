/** What a trace says, in one sentence and what stands behind it, to someone who helps a person. */
import {
  ATTR_STAGE,
  ATTR_WORKER_RESUMES,
  EVENT_WORKER_TERMINATED,
  SERVICE_EXTENSION,
  SERVICE_RELAY,
  SERVICE_SERVER,
  SPAN_GENERATE,
  SPAN_RUN,
  SPAN_VALIDATE,
} from '../../names.ts'
import { FAILURES, type FailureCode } from '../../server/contract.ts'
import { type Entry, entryOf, SHAPES } from '../diagnosis.ts'
import type { Row, Waterfall } from './waterfall.ts'

export type State = 'done' | 'failed' | 'cancelled' | 'running' | 'open'

export interface Diagnosis {
  state: State
  sentence: string
  /** What stands behind the sentence, and what to do. */
  entry: Entry
  /** What to do, in the words the person was shown. */
  advice?: string
  code?: string
  /** The stage that failed; without one, the failed span's name. */
  step?: string
  /** The span where it broke. */
  failed?: Row
  /** What is unusual about the trace, or missing from it, a sentence each. */
  findings: string[]
}

/** What is known of a trace besides its spans. */
export interface Circumstances {
  /** Whether spans came a moment ago. */
  arriving: boolean
  /** Whether the store has more of it than was read. */
  truncated: boolean
}

/** Tells how a run ended, or that its end is not here. */
export function diagnose(waterfall: Waterfall, { arriving, truncated }: Circumstances): Diagnosis {
  const findings = findingsIn(waterfall, truncated)
  const { rows, root } = waterfall
  const died = root?.events.some(({ name }) => name === EVENT_WORKER_TERMINATED) ?? false
  const resumes = Number(root?.attributes[ATTR_WORKER_RESUMES] ?? 0)
  if (died && resumes > 0) findings.unshift(SHAPES.worker_resumed.meaning)
  const told = outcome(rows, root, { arriving, died: died && resumes === 0 })
  return { ...told, findings: told.state === 'running' ? findings.filter((finding) => !isToCome(finding)) : findings }
}

/** What is not here while a run goes on is not missing. */
function isToCome(finding: string): boolean {
  return finding === SHAPES.browser_missing.meaning || finding.startsWith(SHAPES.partial.meaning.slice(0, -1))
}

function outcome(
  rows: Row[],
  root: Row | undefined,
  { arriving, died }: { arriving: boolean; died: boolean },
): Omit<Diagnosis, 'findings'> {
  if (root?.failureCode === 'cancelled') {
    const sentence = `Cancelled by the person after ${formatMs(root.durationMs)}.`
    return { state: 'cancelled', sentence, code: 'cancelled', entry: entryOf('cancelled') }
  }
  const failed = failedRow(rows, root)
  // A child may fail and the run succeed (a retry): where there is a root, its word counts.
  if (failed && (!root || root.status === 'error' || root.failureCode)) {
    return failure(failed, root, rows, died ? SHAPES.worker_died : undefined)
  }
  if (root?.hasEnd) {
    const what = root.name === SPAN_RUN ? 'The resume reached the browser' : `“${root.name}” finished`
    return {
      state: 'done',
      sentence: `Done: ${lowerFirst(what)} after ${formatMs(root.durationMs)}.`,
      entry: SHAPES.done,
    }
  }
  if (root) {
    const state = arriving ? 'running' : 'open'
    return { state, sentence: SHAPES.root_without_end.meaning, entry: SHAPES.root_without_end }
  }
  if (rows.some(({ name, status }) => name === SPAN_VALIDATE && status !== 'error')) {
    return {
      state: 'open',
      sentence: 'The resume was made. The browser’s part of the trace is not here.',
      entry: SHAPES.browser_missing,
    }
  }
  if (arriving) return { state: 'running', sentence: SHAPES.running.meaning, entry: SHAPES.running }
  return {
    state: 'open',
    sentence: 'It is not known how the run ended: the browser’s part of the trace is not here.',
    entry: SHAPES.browser_missing,
  }
}

/** Failures after which nothing of the server can be here. */
const BEFORE_THE_SERVER: readonly string[] = [
  'relay_unreachable',
  'server_unreachable',
  'rate_limited',
  'request_too_large',
  'not_allowed',
  'cancelled',
] satisfies (FailureCode | 'cancelled')[]

function findingsIn(waterfall: Waterfall, truncated: boolean): string[] {
  const { rows, root, missingParents, furtherRoots, inCircles, dropped, shifts, gaps } = waterfall
  const findings: string[] = []
  const has = (service: string) => rows.some((row) => row.service === service)
  const asked = rows.some(({ name, service }) => service === SERVICE_EXTENSION && name === SPAN_GENERATE)
  // What a program has asked for has a root that is no browser's, and is whole.
  if (rows.length > 0 && !root && !has(SERVICE_EXTENSION)) findings.push(SHAPES.browser_missing.meaning)
  else if (!root) findings.push('The first span, from the click, is missing.')
  if (asked && !has(SERVICE_SERVER) && !BEFORE_THE_SERVER.includes(root?.failureCode ?? '')) {
    findings.push(SHAPES.server_missing.meaning)
  }
  if (has(SERVICE_EXTENSION) && has(SERVICE_SERVER) && !has(SERVICE_RELAY))
    findings.push('Nothing of the relay is here.')
  const partly = [
    truncated
      ? `it is too large to be read as a whole, and only the ${rows.length} spans that arrived first are here`
      : '',
    missingParents.length > 0
      ? `${count(missingParents.length, 'span is', 'spans are')} named as a parent but not here`
      : '',
    dropped > 0 ? `the browser let go ${count(dropped, 'span', 'spans')} unsent` : '',
  ].filter(Boolean)
  if (partly.length > 0) findings.push(`${SHAPES.partial.meaning.slice(0, -1)}: ${partly.join('; ')}.`)
  if (furtherRoots > 0) findings.push(`${count(furtherRoots, 'more span has', 'more spans have')} no parent either.`)
  if (inCircles > 0) findings.push(`${count(inCircles, 'span calls itself', 'spans call one another')} in a circle.`)
  for (const [service, ms] of shifts) {
    const direction = ms < 0 ? 'ahead of' : 'behind'
    findings.push(
      `The clock of ${service} is ${formatMs(Math.abs(ms))} ${direction} the others; its times are corrected.`,
    )
  }
  for (const { durationMs, after, before } of gaps) {
    const where = [after && `after “${after}”`, before && `before “${before}”`].filter(Boolean).join(' and ')
    findings.push(`Of ${formatMs(durationMs)}${where ? ` ${where}` : ''} nothing is recorded.`)
  }
  return findings
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
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

function failure(
  failed: Row,
  root: Row | undefined,
  rows: Row[],
  shape: Entry | undefined,
): Omit<Diagnosis, 'findings'> {
  const code = root?.failureCode ?? failed.failureCode
  const known = isFailureCode(code) ? FAILURES[code] : undefined
  const step = stepOf(failed, rows)
  const said = known ?? FAILURES.internal
  return {
    state: 'failed',
    sentence: `Failed at “${step}”: ${lowerFirst(said.message)}`,
    ...(root ? { advice: said.advice } : {}),
    code: code ?? 'no code recorded',
    entry: known ? entryOf(code) : (shape ?? entryOf(code)),
    step,
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

/** A duration with a fitting unit: `0.4 ms`, `82 ms`, `3.4 s`, `2 min 5 s`, `1 h 0 min`. */
export function formatMs(ms: number): string {
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds >= 3_600) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
