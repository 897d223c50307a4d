/**
 * Lets a span go when the span above it in this process has ended, and after it. A process that is killed takes the spans
 * that are open with it; what had ended below them would be left in the trace as orphans, telling of a parent that
 * nobody knows.
 */

import type { Context } from '@opentelemetry/api'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base'

/** Spans that wait at most; further ones go at once. A run has about ten, of which three wait. */
const MAX_HELD = 4_096

export class ParentsFirst implements SpanProcessor {
  readonly #next: SpanProcessor
  /** Open spans, each with what has ended below it. */
  readonly #open = new Map<string, ReadableSpan[]>()
  #held = 0

  constructor(next: SpanProcessor) {
    this.#next = next
  }

  onStart(span: Span, parent: Context): void {
    this.#open.set(span.spanContext().spanId, [])
    this.#next.onStart(span, parent)
  }

  onEnd(span: ReadableSpan): void {
    const { spanId } = span.spanContext()
    const below = this.#open.get(spanId) ?? []
    this.#open.delete(spanId)
    const beside = this.#open.get(span.parentSpanContext?.spanId ?? '')
    if (beside && this.#held < MAX_HELD) {
      this.#held++
      beside.push(span, ...below)
      return
    }
    this.#held -= below.length
    for (const each of [span, ...below]) this.#next.onEnd(each)
  }

  /** Of spans that are still open, what is below them goes, too: nobody will ask again. */
  async shutdown(): Promise<void> {
    for (const below of this.#open.values()) for (const each of below) this.#next.onEnd(each)
    this.#open.clear()
    await this.#next.shutdown()
  }

  forceFlush(): Promise<void> {
    return this.#next.forceFlush()
  }
}
