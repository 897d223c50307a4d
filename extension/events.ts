/** A run's events, followed to the end across lost connections. */

import type { Span } from '@opentelemetry/api'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { RunEvent } from '../server/contract.ts'
import type { RelayClient } from './relay-client.ts'
import { RunFailure } from './run-failure.ts'

/** Connections lost in a row before we give up: about ten seconds at the server's `retry: 2000`. */
const MAX_LOST = 5
/** The server sends at least a comment every 15 s; three missed ones mean that nobody is there. */
const SILENCE_MS = 45_000
const MAX_RETRY_MS = 10_000

/**
 * Calls `onEvent` for each event after `lastEventId`, once and in order, and returns after the run's last one. Continues with
 * `Last-Event-ID` after a lost connection. Throws RunFailure server_unreachable when it cannot, interrupted when
 * `deadline` aborts first, or the failure that the relay or server answers with.
 */
export async function followEvents(
  relay: RelayClient,
  parent: Span,
  lastEventId: number,
  deadline: AbortSignal,
  onEvent: (event: RunEvent, id: number) => Promise<void>,
): Promise<void> {
  const path = `/runs/${parent.spanContext().traceId}/events`
  const progress = { lastEventId, retryMs: 2_000, ended: false }
  for (let lost = 0; ; lost++) {
    const before = progress.lastEventId
    const silence = new SilenceWatch()
    if (deadline.aborted) throw RunFailure.ofAbort(deadline) ?? RunFailure.of('interrupted')
    try {
      await relay.request(
        parent,
        {
          method: 'GET',
          path,
          signal: AbortSignal.any([silence.signal, deadline]),
          headers: {
            accept: 'text/event-stream',
            ...(before > 0 ? { 'last-event-id': String(before) } : {}),
          },
        },
        (response) => readStream(response, progress, silence, onEvent),
      )
      if (progress.ended) return
    } catch (error) {
      if (deadline.aborted) throw RunFailure.ofAbort(deadline) ?? RunFailure.of('interrupted', error)
      const failure = RunFailure.from(error)
      // Only a broken connection is worth another try; an answer is an answer.
      if (failure.body.code !== 'relay_unreachable' && failure.body.code !== 'server_unreachable') throw failure
      if (lost >= MAX_LOST) throw failure
    } finally {
      silence.end()
    }
    if (progress.lastEventId > before) lost = 0
    if (lost >= MAX_LOST) throw RunFailure.of('server_unreachable')
    await pause(progress.retryMs, deadline)
  }
}

/** Waits, or less long when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise.finally(() => clearTimeout(timer))
}

async function readStream(
  response: Response,
  progress: { lastEventId: number; retryMs: number; ended: boolean },
  silence: SilenceWatch,
  onEvent: (event: RunEvent, id: number) => Promise<void>,
): Promise<void> {
  if (!response.body) throw RunFailure.of('server_unreachable')
  const onRetry = (ms: number) => {
    progress.retryMs = Math.min(ms, MAX_RETRY_MS)
  }
  const events = response.body
    .pipeThrough(silence.watch())
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array<ArrayBuffer>, string>)
    .pipeThrough(new EventSourceParserStream({ onRetry }))
  const reader = events.getReader()
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      const id = Number(value.id)
      if (!Number.isInteger(id) || id <= progress.lastEventId) continue
      progress.lastEventId = id
      const event = RunEvent.parse(JSON.parse(value.data))
      progress.ended = event.type === 'done' || event.type === 'failed'
      await onEvent(event, id)
      if (progress.ended) return
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Aborts a connection on which nothing, not even a comment, has come for too long. */
class SilenceWatch {
  readonly #abort = new AbortController()
  #timer = this.#wait()

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  #wait(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#abort.abort(), SILENCE_MS)
  }

  watch(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    return new TransformStream({
      transform: (chunk, controller) => {
        clearTimeout(this.#timer)
        this.#timer = this.#wait()
        controller.enqueue(chunk)
      },
    })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
