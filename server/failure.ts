/** A failure with a code of the closed list: what a stage throws, and what becomes an answer at the edge, once. */

import { FAILURES, type FailureBody, type FailureCode } from './contract.ts'

const MAX_DETAIL = 300 // FailureBody's bound

export interface FailureContext {
  /** Names the field or character concerned. May quote the profile: for the person, never for telemetry. */
  detail?: string | undefined
  /** A class finer than the code, low in cardinality, for `error.type`. Quotes nothing. */
  reason?: string | undefined
  cause?: unknown
  /** Of the answer, where it says more than the code's own. */
  status?: number | undefined
  /** Line of the LaTeX error, counted from 1. */
  latexErrorLine?: number | undefined
  /** Whose line that is. */
  latexErrorPart?: LatexPart | undefined
}

/** The template's own LaTeX, what was filled in, a file that somebody sent, or one of TeX's. */
export type LatexPart = 'template' | 'body' | 'source' | 'package'

/** How a run is stopped from outside, by its person, its server or its deadline. */
export type Stop = Extract<FailureCode, 'interrupted' | 'cancelled' | 'overloaded'>
const STOPS: ReadonlySet<FailureCode> = new Set<Stop>(['interrupted', 'cancelled', 'overloaded'])

/** What Node and its SQLite add to an error. */
type SystemError = Error & { code?: string; errcode?: number }
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT'])
const SQLITE_FULL = 13
/** No file, pipe, process or connection more, here or on the whole machine. */
const NO_HANDLES = new Set(['EMFILE', 'ENFILE', 'EAGAIN'])

export class Failure extends Error {
  readonly code: FailureCode
  readonly detail: string | undefined
  readonly reason: string | undefined
  readonly latexErrorLine: number | undefined
  readonly latexErrorPart: LatexPart | undefined
  /** HTTP status of an answer that tells of it. */
  readonly status: number

  constructor(
    code: FailureCode,
    { detail, reason, cause, status, latexErrorLine, latexErrorPart }: FailureContext = {},
  ) {
    super(FAILURES[code].message, cause === undefined ? undefined : { cause })
    this.name = 'Failure'
    this.code = code
    this.detail = detail?.slice(0, MAX_DETAIL)
    this.reason = reason
    this.status = status ?? FAILURES[code].status
    this.latexErrorLine = latexErrorLine
    this.latexErrorPart = latexErrorPart
  }

  /** The failure itself, what a machine at its end means, or `internal` for anything not foreseen: its words stay in `cause`. */
  static from(error: unknown): Failure {
    if (error instanceof Failure) return error
    const { code = '', errcode = 0 } = error instanceof Error ? (error as SystemError) : {}
    if (NO_ROOM.has(code) || (errcode & 0xff) === SQLITE_FULL) {
      return new Failure('storage_full', { cause: error, reason: 'ENOSPC' })
    }
    if (NO_HANDLES.has(code)) return new Failure('overloaded', { cause: error, reason: code })
    return new Failure('internal', { cause: error })
  }

  /** Whatever worked for the run was stopped, and says nothing of how well it worked. */
  get isStop(): boolean {
    return STOPS.has(this.code)
  }

  /** Why the work was stopped, in the words of who stopped it; `interrupted` where they gave none. */
  static ofAbort(signal: AbortSignal): Failure {
    const cause: unknown = signal.reason instanceof Error ? signal.reason.cause : undefined
    return cause instanceof Failure ? cause : new Failure('interrupted')
  }

  /** What to abort a signal with: by its name, instrumentations know an intended abort from an error. */
  toAbort(): DOMException {
    return Object.assign(new DOMException(this.message, 'AbortError'), { cause: this })
  }

  toBody(): FailureBody {
    const { message, advice } = FAILURES[this.code]
    return { code: this.code, message, advice, ...(this.detail && { detail: this.detail }) }
  }
}
