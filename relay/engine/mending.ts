/**
 * What must be in the archive and is not, put there from the store that has everything for a time.
 *
 * The Collector's sampler has the traces of the last seconds in memory and forgets them when it dies; it has decided
 * before a report comes; and what it left out once, it leaves out later. The store has all of it, so now and then it is asked
 * for what failed or was reported. Every relay does this: what is sent twice appears once.
 */
import type { Log } from '../log.ts'
import { spansOf, type TracesData } from '../otlp.ts'
import { missingIn } from './facts.ts'
import type { Reader } from './reader.ts'

const EVERY_MS = 30_000
/** The sampler has decided and sent by then. */
const SETTLED_MS = 60_000
/** How far it looks back every time, and at how many. */
const BACK_MS = 15 * 60_000
const MAX_TRACES = 200
const MAX_REMEMBERED = 5_000

export interface MendingParts {
  store: Reader
  archive: Reader
  /** Puts spans into the archive. */
  copy: (data: TracesData) => Promise<void>
  /** How long the store has a trace, milliseconds. */
  retentionMs: number
  log: Log
  now: () => number
}

export function createMending({ store, archive, copy, retentionMs, log, now }: MendingParts) {
  /** How many spans of a trace the archive is known to have; the one seen longest ago comes first. */
  const whole = new Map<string, number>()
  // At first all that is there: nobody may have looked for a while.
  let from = now() - retentionMs
  let last = Number.NEGATIVE_INFINITY

  async function mendTrace(traceId: string, data: TracesData): Promise<number> {
    const spans = [...spansOf(data)].length
    if (whole.get(traceId) === spans) return 0
    const missing = missingIn(await archive.trace(traceId), data)
    if (missing) await copy(missing)
    whole.delete(traceId)
    whole.set(traceId, spans)
    const [oldest] = whole.keys()
    if (whole.size > MAX_REMEMBERED && oldest !== undefined) whole.delete(oldest)
    return missing ? [...spansOf(missing)].length : 0
  }

  return {
    /** Puts into the archive what of a trace is not there. Throws StoreUnavailable. */
    mendTrace,

    /** Does its round when it is time. Throws StoreUnavailable; then it is done again. */
    async tend(): Promise<void> {
      const at = now()
      if (at - last < EVERY_MS) return
      last = at
      const found = await store.search({ from, to: at - SETTLED_MS, limit: MAX_TRACES, only: 'failed or reported' })
      let spans = 0
      for (const { traceId } of found) {
        // Not what came with the search: that need not be all of it.
        const data = await store.trace(traceId)
        if (data) spans += await mendTrace(traceId, data)
      }
      from = at - BACK_MS
      if (spans > 0) log.info({ spans }, 'the archive lacked spans, copied')
    },
  }
}
