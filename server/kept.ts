/** What a server keeps beyond a request, and where: in a file of its own, or in a Redis that it shares. */

import type { UseStore } from './quota.ts'
import type { Runs } from './runs.ts'
import type { Outbox } from './webhooks/outbox.ts'
import type { Webhooks } from './webhooks/webhooks.ts'

export interface Kept {
  runs: Runs
  webhooks: Webhooks
  outbox: Outbox
  /** What the model has cost today. */
  use: UseStore
  /** Lets go of what ended before, epoch milliseconds. */
  forgetBefore(time: number): void
  /** Last of all. */
  close(): Promise<void>
}
