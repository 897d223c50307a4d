/** How soon a run goes on after the death of its worker, from what its trace says. */

import { EVENT_WORKER_RESUMED, EVENT_WORKER_TERMINATED } from '../names.ts'
import type { OtlpSpan } from '../relay/otlp.ts'

export interface Recovery {
  /** From the last sign of life to the next worker's first, milliseconds; undefined when the run had ended before. */
  recoveryMs: number | undefined
  /** The part of that which is the extension's own: from the start of the next worker to the same moment. */
  bootMs: number | undefined
}

/**
 * Of the run with this root; `startedAt` is the next worker's start, epoch milliseconds. That first sign of life is the
 * event of the root's going on and its first write to the journal, both of one turn of the worker's loop.
 */
export function recoveryOf(root: OtlpSpan | undefined, startedAt: number | undefined): Recovery {
  const at = (name: string) => {
    const event = root?.events?.find((event) => event.name === name)
    return event && Number(event.timeUnixNano) / 1e6
  }
  const [died, resumed] = [at(EVENT_WORKER_TERMINATED), at(EVENT_WORKER_RESUMED)]
  if (died === undefined || resumed === undefined) return { recoveryMs: undefined, bootMs: undefined }
  return { recoveryMs: resumed - died, bootMs: startedAt === undefined ? undefined : resumed - startedAt }
}
