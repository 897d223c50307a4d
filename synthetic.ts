/**
 * Whose work this is: a person's, or that of a check of ours which plays one. What is done for a check is told apart in
 * every metric and span, and counts for no objective.
 *
 * Told by the asynchronous context, because each stage would have to hand on what none of them needs. Not by that of
 * OpenTelemetry: the work is a check's with telemetry switched off, too.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { ATTR_SYNTHETIC_TYPE } from './names.ts'

const context = new AsyncLocalStorage<boolean>()
/** The convention's word for a check, as against a crawler. */
const TEST = 'test'

/** Does the work as a check's, or as a person's. */
export function doneFor<T>({ synthetic }: { synthetic: boolean }, work: () => T): T {
  return context.run(synthetic, work)
}

/** Whether what is being done is a check's. */
export const isSynthetic = (): boolean => context.getStore() === true

/** What a span has that began before it was known whose it is. */
export const SYNTHETIC_ATTRIBUTES = { [ATTR_SYNTHETIC_TYPE]: TEST }

/** Marks every span that is begun for a check. */
export class SyntheticProcessor implements SpanProcessor {
  onStart(span: Span): void {
    if (isSynthetic()) span.setAttributes(SYNTHETIC_ATTRIBUTES)
  }
  onEnd(_: ReadableSpan): void {}
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}
