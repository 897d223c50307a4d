/** What tracing costs who is traced: a span in the worker, an extraction in the page, and a run with all its spans. */

import { readFile } from 'node:fs/promises'
import { RPC_EXTRACT_POSTING, SERVICE_EXTENSION } from '../names.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { generate, report, saveSettings, wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { bundledPostings, pageAt, urlOf } from '../ops/postings.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import type { Measured } from './bench.ts'
import { measureExtraction } from './extraction-cost.ts'
import { median, rounded } from './median.ts'
import { measureSpans } from './span-cost.ts'
import { atMost } from './target.ts'

/** The first runs load programs into memory. */
const WARM_UP = 2
const MAX_RATIO = 1.03

/** Measures spans and extractions, and then makes `runs` runs, to hold the spans' cost against. */
export async function benchTracer(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const browser = await launchBrowser(await findChromium(progress))
  try {
    const span = await measureSpans(browser)
    const extraction = await measureExtraction(browser, largestPosting())
    const run = await measureRuns(browser, runs)
    const ratio = extraction.warm.ratio.median
    const claim = 'extraction of the largest posting, with tracing to without, warm (median of ratios)'
    const shareOfClickToPdf = {
      // As if each were among a worker's first, started and ended there, and waited for: more than happens.
      spansAtMost: rounded((run.spansOfExtension * span.microseconds.first) / 1_000 / run.clickToPdfMs),
      extraction: rounded(extraction.first.addedMs.median / run.clickToPdfMs),
    }
    return {
      results: { span, extraction, run: { ...run, shareOfClickToPdf } },
      targets: [atMost(claim, ratio, MAX_RATIO)],
    }
  } finally {
    await browser.close()
  }
}

interface RunCost {
  runs: number
  spansOfExtension: number
  /** Without a model. */
  clickToPdfMs: number
  /** Of that, from asking the page for its posting to its answer: the content script's loading, and its work. */
  extractPostingMs: number
}

/** What the tracer's cost is held against, as medians. */
async function measureRuns(browser: Browser, runs: number): Promise<RunCost> {
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/long.json', import.meta.url), 'utf8'))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  try {
    await saveSettings(browser, stack.relayUrl, profile)
    const spans: number[] = []
    const durations: number[] = []
    const calls: number[] = []
    for (let index = 0; index < runs + WARM_UP; index++) {
      const run = await generate(browser, largestPosting())
      if (run.status !== 'done') throw new Error(`A run failed: ${run.failure?.code}`)
      await report(browser, run.id)
      const { rows, root } = await wholeTrace(stack.relayUrl, run.id)
      if (index < WARM_UP) continue
      spans.push(rows.filter(({ service }) => service === SERVICE_EXTENSION).length)
      durations.push(root?.durationMs ?? Number.NaN)
      const call = rows.find(({ name, kind }) => name === RPC_EXTRACT_POSTING && kind === 'client')
      calls.push(call?.durationMs ?? Number.NaN)
    }
    return {
      runs,
      spansOfExtension: median(spans),
      clickToPdfMs: rounded(median(durations)),
      extractPostingMs: rounded(median(calls)),
    }
  } finally {
    await stack.stop()
  }
}

/** The bundled page with the most in it. */
export function largestPosting(): string {
  const size = (file: string) => pageAt(urlOf(file))?.byteLength ?? 0
  const postings = Object.entries(bundledPostings()).filter(([, { notAPosting }]) => !notAPosting)
  const [largest = ''] = postings.map(([file]) => file).toSorted((a, b) => size(b) - size(a))
  return largest
}
