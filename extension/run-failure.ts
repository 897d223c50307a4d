/** A failure on its way from where it happens in the browser to the person. */

import { FAILURES, type FailureBody, type FailureCode } from '../server/contract.ts'

export class RunFailure extends Error {
  override readonly name = 'RunFailure'
  readonly body: FailureBody

  constructor(body: FailureBody, cause?: unknown) {
    super(body.message, { cause })
    this.body = body
  }

  static of(code: FailureCode, cause?: unknown): RunFailure {
    const { message, advice } = FAILURES[code]
    return new RunFailure({ code, message, advice }, cause)
  }

  /** Why the signal has aborted, where somebody said so. */
  static ofAbort(signal: AbortSignal): RunFailure | undefined {
    return signal.reason instanceof RunFailure ? signal.reason : undefined
  }

  /** The failure itself, or `internal` for what nobody foresaw. */
  static from(error: unknown): RunFailure {
    return error instanceof RunFailure ? error : RunFailure.of('internal', error)
  }
}
