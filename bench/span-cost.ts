/** What a span costs the extension: in its service worker, with its code, against a tracer that does nothing. */

import { fileURLToPath } from 'node:url'
import type { Browser } from '../ops/browser.ts'
import { builtCode } from './built-code.ts'
import { median, rounded } from './median.ts'
import type { SpanTimes } from './span-loop.ts'

/** Each with the code loaded anew, as by a worker that has just started: which is what most spans meet. */
const FIRST_SAMPLES = 60
const WARM_SAMPLES = 120
const WARM_UP = 20
/** The worker's clock ticks every 0.1 ms: 100 spans of ours and 10,000 of none are tens of ticks. */
const WARM = { traces: 10, noopTraces: 1_000 }
const FIRST = { traces: 1, noopTraces: 0 }

export interface SpanCost {
  /** Microseconds a span, medians. */
  microseconds: { first: number; warm: number; warmNoop: number; warmDifference: number }
  /** Of the warm ones, tracer to no-op. */
  ratio: number
  /** Milliseconds after the last write of 100 spans until all are acknowledged: not on the worker's thread. Median. */
  acknowledgedMs: number
}

/** Measures in `browser`, whose extension must be doing nothing else. */
export async function measureSpans({ worker }: Browser): Promise<SpanCost> {
  const code = await builtCode(fileURLToPath(new URL('span-loop.ts', import.meta.url)))
  const sample = (traces: { traces: number; noopTraces: number }): Promise<SpanTimes> =>
    worker.evaluate((given) => (globalThis as unknown as Loop).timeSpans(given), traces)
  // The comment makes it another script, for which the engine has nothing kept.
  const load = (version: number) => worker.evaluate(`${code}\n// ${version}`)

  const first: SpanTimes[] = []
  for (let version = 0; version < FIRST_SAMPLES; version++) {
    await load(version)
    first.push(await sample(FIRST))
  }
  const warm: SpanTimes[] = []
  for (let index = 0; index < WARM_UP + WARM_SAMPLES; index++) warm.push(await sample(WARM))
  const counted = warm.slice(WARM_UP)
  const [tracer, noop] = [median(counted.map((times) => times.tracer)), median(counted.map((times) => times.noop))]
  return {
    microseconds: {
      first: rounded(median(first.map((times) => times.tracer))),
      warm: rounded(tracer),
      warmNoop: rounded(noop),
      warmDifference: rounded(tracer - noop),
    },
    ratio: rounded(tracer / noop),
    acknowledgedMs: rounded(median(counted.map(({ acknowledged }) => acknowledged))),
  }
}

interface Loop {
  timeSpans(traces: { traces: number; noopTraces: number }): Promise<SpanTimes>
}
