/** How a synthetic check can end, and what tells it. */

export const EXIT_CODES = { passed: 0, failed: 1, harness_failed: 2, slow: 3 } as const
export type Result = keyof typeof EXIT_CODES

/** The product does not do what it should: people can't either. */
export class CheckFailed extends Error {
  override name = 'CheckFailed'
  /** A failure's code, or what was wrong with what came; of low cardinality. */
  readonly errorType: string

  constructor(errorType: string, options?: ErrorOptions) {
    super(errorType, options)
    this.errorType = errorType
  }
}

/** The check could not find out: its key, its network or its browser is broken. */
export class HarnessFailed extends Error {
  override name = 'HarnessFailed'
  readonly errorType: string
  /** Whether another try could end otherwise. */
  readonly again: boolean

  constructor(errorType: string, { again = true, cause }: { again?: boolean; cause?: unknown } = {}) {
    super(errorType, { cause })
    this.errorType = errorType
    this.again = again
  }
}

/** One run of a check, as it is told on one line. */
export interface Report {
  check: CheckName
  run_id: string
  ok: boolean
  result: Result
  /** The last one that was begun: where it failed, if it did. */
  phase: string
  /** Milliseconds of each phase of the last attempt; `waited` is what a person would have waited. */
  durations: Record<string, number>
  /** Of the last attempt. */
  trace_id: string
  error_type: string | null
  attempts: number
  /** Of e2e: through the real extension, or playing its part. */
  via?: Via
}

export type CheckName = 'generate' | 'compile' | 'e2e'
export type Via = 'extension' | 'http'
