/** The run's state as it is shown: told to whoever looks, and written, at every change. */

import type { RunEvent } from '../server/contract.ts'
import { type RunState, writeRunState } from './run-state.ts'

/** Gets every state. Storage alone would not do: where it takes no write, a person still wants to see their run. */
export type Tell = (state: RunState) => void

export class RunView {
  #state: RunState
  readonly #tell: Tell

  constructor(state: RunState, tell: Tell) {
    this.#state = state
    this.#tell = tell
  }

  get state(): RunState {
    return this.#state
  }

  /** Never rejects: a disk without room must not cost the run. */
  async update(change: Partial<RunState>): Promise<void> {
    this.#state = { ...this.#state, ...change }
    this.#tell(this.#state)
    await writeRunState(this.#state).catch(() => undefined)
  }

  async show(event: RunEvent): Promise<void> {
    if (event.type === 'queued') await this.update({ queuePosition: event.ahead })
    if (event.type === 'writing') {
      await this.update({ writing: { statements: event.statements, correcting: event.correcting } })
    }
    if (event.type === 'stage' && event.state === 'started') {
      const { queuePosition: _, writing: __, ...rest } = this.#state
      this.#state = rest
      await this.update({ step: event.stage })
    }
  }

  async end(change: Partial<RunState>): Promise<void> {
    await this.update({ ...change, endedAt: Date.now() })
  }
}
