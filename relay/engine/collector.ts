/**
 * Requests on their way to the Collector, each as it came. A sender is answered when the Collector has answered, so that
 * from then on it is the Collector's not to lose them; nothing of them stays here.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { METRICS } from '../../metric-names.ts'
import { counter } from '../../metrics.ts'
import type { ForwardConfig } from '../config.ts'
import { createSend, type Outcome } from '../forward/destination.ts'
import type { Log } from '../log.ts'
import { decode, encode, Undecodable } from '../otlp.ts'
import { createPlaces } from '../room.ts'
import type { NewRequest } from '../store/journal.ts'
import { StoreUnavailable } from '../store/writer-thread.ts'

/** Requests under way at once, and of those that wait how many, and their bytes: as many as wait for a disk elsewhere. */
const AT_ONCE = 64
export const MAX_WAITING = 1_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** A connection that breaks is made anew once, about so much later: of several Collectors another may take it. */
const AGAIN_MS = 100
const TOO_MANY_REQUESTS = 429

const spansBy = counter(METRICS.relaySpans)

export interface Collector {
  /**
   * Resolves when the Collector has taken it. Rejects with StoreUnavailable when it has not, which may be tried again, and
   * with Undecodable when it never will.
   */
  hand(request: NewRequest): Promise<void>
  /** Rejects with StoreUnavailable when it does not take anything now. */
  check(): Promise<void>
  /** Requests that wait for an answer. */
  waiting(): number
}

/** `name` is what it is called in the log, `instanceId` who sends. */
export function createCollector(name: string, config: ForwardConfig, instanceId: string, log: Log): Collector {
  const send = createSend(config, instanceId, new AbortController().signal)
  const inPlace = createPlaces(AT_ONCE)
  let waiting = 0
  let waitingBytes = 0
  let failing = false

  async function attempt(request: NewRequest): Promise<Outcome> {
    const { body, encoding } = inProtocol(request)
    const outcome = await send(body, encoding, true)
    if (outcome.kind !== 'failed' || outcome.status !== undefined) return outcome
    await delay(AGAIN_MS * (0.5 + Math.random()))
    return send(body, encoding, true)
  }

  function inProtocol({ body, encoding }: NewRequest): Pick<NewRequest, 'body' | 'encoding'> {
    const wanted = config.protocol ?? encoding
    if (wanted === encoding) return { body, encoding }
    return { body: gzipSync(encode(decode(gunzipSync(body), encoding), wanted)), encoding: wanted }
  }

  function settle(outcome: Outcome): void {
    if (outcome.kind === 'failed') {
      // Once for a time of failures: it comes with every request.
      if (!failing) log.error({ why: outcome.why }, `${name} does not take spans`)
      failing = true
      const { why: cause, status, afterMs } = outcome
      const options = { cause, afterMs, tooMuch: status === TOO_MANY_REQUESTS }
      throw new StoreUnavailable(`${name} does not take spans now.`, options)
    }
    if (failing) log.info(`${name} takes spans again`)
    failing = false
    if (outcome.kind === 'refused') {
      const { status, reason } = outcome
      log.error({ status, reason }, `${name} refused spans for good`)
      throw new Undecodable('The trace store refuses this request.')
    }
    if (outcome.rejected > 0) {
      spansBy.add({ result: 'dropped', reason: 'refused_by_backend' }, outcome.rejected)
      log.error({ rejected_spans: outcome.rejected }, `${name} refused spans for good`)
    }
  }

  async function hand(request: NewRequest): Promise<void> {
    const bytes = request.body.length
    if (waiting >= MAX_WAITING || waitingBytes + bytes > MAX_WAITING_BYTES) {
      throw new StoreUnavailable('Too many requests are waiting.')
    }
    waiting += 1
    waitingBytes += bytes
    try {
      settle(await inPlace(() => attempt(request)))
    } finally {
      waiting -= 1
      waitingBytes -= bytes
    }
  }

  return {
    hand,
    waiting: () => waiting,
    // An empty request is one: it is answered like any other, and leaves nothing behind.
    check: async () => settle(await send(encode({ resourceSpans: [] }, 'protobuf'), 'protobuf')),
  }
}
