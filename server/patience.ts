/** How long a model may take: all it says for one run, and every silence in it. The client's own time-out sees neither. */

import { Failure } from './failure.ts'

/** AbortSignal.timeout's reason has a number for a code, and that would be the request's error.type. */
class DeadlineExceeded extends Error {
  override name = 'DeadlineExceeded'
  code = 'deadline_exceeded'
}

export class Patience {
  /** Aborts with the caller, at the deadline, and after too long a silence. */
  readonly signal: AbortSignal
  readonly #silence = new AbortController()
  readonly #deadline = new AbortController()
  readonly #late: NodeJS.Timeout
  readonly #caller: AbortSignal
  readonly #idleTimeoutMs: number
  #timer: NodeJS.Timeout | undefined

  constructor({ timeoutMs, idleTimeoutMs }: { timeoutMs: number; idleTimeoutMs: number }, caller: AbortSignal) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#caller = caller
    this.#late = setTimeout(() => this.#deadline.abort(new DeadlineExceeded('No answer in time.')), timeoutMs)
    this.signal = AbortSignal.any([caller, this.#deadline.signal, this.#silence.signal])
  }

  /** Silence counts from now. */
  heard(): void {
    this.rest()
    this.#timer = setTimeout(() => this.#silence.abort(), this.#idleTimeoutMs)
  }

  /** Nobody is expected to speak. */
  rest(): void {
    clearTimeout(this.#timer)
  }

  /** Nobody is asked any more. */
  end(): void {
    this.rest()
    clearTimeout(this.#late)
  }

  /** Why it was cut short, if it was. */
  verdict(): Failure | undefined {
    if (this.#caller.aborted) return Failure.ofAbort(this.#caller)
    if (this.#silence.signal.aborted) return new Failure('llm_timeout', { reason: 'silence' })
    if (this.#deadline.signal.aborted) return new Failure('llm_timeout', { reason: 'deadline' })
    return undefined
  }
}
