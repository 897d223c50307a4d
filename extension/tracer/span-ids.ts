/** Random IDs, but for a span that is taken up again: it keeps the ones it has. */

import type { IdGenerator } from '@opentelemetry/sdk-trace-web'

export class SpanIds implements IdGenerator {
  #pinned: { traceId: string; spanId: string } | undefined

  /** Gives these IDs to the span that `start` starts, and to no other. */
  pinned<T>(ids: { traceId: string; spanId: string }, start: () => T): T {
    this.#pinned = ids
    try {
      return start()
    } finally {
      this.#pinned = undefined
    }
  }

  generateTraceId = (): string => this.#pinned?.traceId ?? randomHex(16)
  generateSpanId = (): string => this.#pinned?.spanId ?? randomHex(8)
}

/** So many random bytes as hex digits, never all zero. */
function randomHex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes))
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return /^0+$/.test(hex) ? randomHex(bytes) : hex
}
