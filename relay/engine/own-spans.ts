/**
 * The relay's own spans while the Collector is away. Everybody else is told and sends again; these have nobody behind them
 * who would, so they wait here, in memory and within bounds.
 */
import { METRICS } from '../../metric-names.ts'
import { counter } from '../../metrics.ts'
import { TRACE_BYTES } from '../scan/trace-list.ts'
import type { NewRequest } from '../store/journal.ts'
import { StoreUnavailable } from '../store/writer-thread.ts'

const MAX_BYTES = 16 * 1024 * 1024
/** Between two attempts, a quarter more or less. */
const EVERY_MS = 2_000

const spansBy = counter(METRICS.relaySpans)

/** Hands requests on, and again as long as that fails. */
export function createOwnSpans(hand: (request: NewRequest) => Promise<void>) {
  const held: NewRequest[] = []
  let heldBytes = 0
  let timer: NodeJS.Timeout | undefined
  let trying: Promise<void> | undefined

  function hold(request: NewRequest): void {
    held.push(request)
    heldBytes += request.body.length
    while (heldBytes > MAX_BYTES) drop(held.shift())
    plan()
  }

  function drop(request: NewRequest | undefined): void {
    heldBytes -= request?.body.length ?? 0
    if (request) spansBy.add({ result: 'dropped', reason: 'no_room' }, spansIn(request))
  }

  function plan(): void {
    timer ??= setTimeout(() => void tryAgain(), EVERY_MS * (0.75 + Math.random() / 2)).unref()
  }

  async function tryAll(): Promise<void> {
    for (let request = held[0]; request; request = held[0]) {
      try {
        await hand(request)
      } catch (error) {
        if (error instanceof StoreUnavailable) return plan()
        // Refused for good.
        spansBy.add({ result: 'dropped', reason: 'refused_by_backend' }, spansIn(request))
      }
      // It may have been dropped meanwhile, for want of room.
      if (held[0] !== request) continue
      held.shift()
      heldBytes -= request.body.length
    }
  }

  function tryAgain(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    trying ??= tryAll().finally(() => {
      trying = undefined
    })
    return trying
  }

  return {
    /** Resolves when the Collector has it, or it is held here: nobody has to wait for a Collector that is away. */
    async append(request: NewRequest): Promise<void> {
      try {
        if (held.length === 0) return await hand(request)
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error
      }
      hold(request)
    },
    /** Tries all that is held once more. Resolves after that, or after `graceMs`. */
    async drain(graceMs: number): Promise<void> {
      const impatience = new Promise<void>((resolve) => setTimeout(resolve, graceMs).unref())
      await Promise.race([tryAgain(), impatience])
      clearTimeout(timer)
    },
  }
}

function spansIn({ traces }: NewRequest): number {
  const packed = Buffer.from(traces.buffer, traces.byteOffset, traces.length)
  let spans = 0
  for (let at = TRACE_BYTES - 4; at < packed.length; at += TRACE_BYTES) spans += packed.readUInt32BE(at) >>> 1
  return spans
}
