/** The run's state as it is shown, written at every change. */

import type { RunEvent } from '../server/contract.ts'
import { type RunState, writeRunState } from './run-state.ts'

export class RunView {
  #state: RunState

  constructor(state: RunState) {
    this.#state = state
  }

  get state(): RunState {
    return this.#state
  }

  /** Never rejects: a disk without room may blind the popup, but must not cost the run. */
  async update(change: Partial<RunState>): Promise<void> {
    this.#state = { ...this.#state, ...change }
    await writeRunState(this.#state).catch(() => undefined)
  }

  async show(event: RunEvent): Promise<void> {
    if (event.type === 'queued') await this.update({ queuePosition: event.ahead })
    if (event.type === 'stage' && event.state === 'started') {
      const { queuePosition: _, ...rest } = this.#state
      this.#state = rest
      await this.update({ step: event.stage })
    }
  }

  async end(change: Partial<RunState>): Promise<void> {
    await this.update({ ...change, endedAt: Date.now() })
  }
}
