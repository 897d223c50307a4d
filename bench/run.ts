/** From the click to the PDF, through the real extension: how long each stage takes, and how much of it is ours. */

import { readFile } from 'node:fs/promises'
import { launchBrowser } from '../ops/browser.ts'
import { generate, report, saveSettings, wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { SERVER_STAGES } from '../server/contract.ts'
import type { Measured } from './bench.ts'
import { percentile } from './percentile.ts'

const STAGES = ['generate resume', 'extract', 'generate', ...SERVER_STAGES, 'tectonic', 'deliver']
/** The first runs load programs into memory; a person's service has been running for a while. */
const WARM_UP = 2

/** Makes `runs` runs one after the other, the demonstration's posting and profile, without a model. */
export async function benchRun(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const executablePath = await findChromium(progress)
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/long.json', import.meta.url), 'utf8'))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  const browser = await launchBrowser(executablePath)
  const durations = new Map<string, number[]>(STAGES.map((stage) => [stage, []]))
  const shares: number[] = []
  try {
    await saveSettings(browser, stack.relayUrl, profile)
    for (let index = 0; index < runs + WARM_UP; index++) {
      const run = await generate(browser, 'json-ld-graph.html')
      if (run.status !== 'done') throw new Error(`A run failed: ${run.failure?.code}`)
      await report(browser, run.id)
      const { rows } = await wholeTrace(stack.relayUrl, run.id)
      if (index < WARM_UP) continue
      const took = (name: string) => rows.find((row) => row.name === name)?.durationMs ?? 0
      for (const stage of STAGES) durations.get(stage)?.push(took(stage))
      const work = SERVER_STAGES.reduce((sum, stage) => sum + took(stage), took('extract'))
      shares.push((took('generate resume') - work) / took('generate resume'))
    }
  } finally {
    await browser.close()
    await stack.stop()
  }
  const byStage = Object.fromEntries(
    [...durations].map(([stage, ms]) => [stage, { p50: percentile(ms, 0.5), p95: percentile(ms, 0.95) }]),
  )
  const share = percentile(shares, 0.5)
  const claim = 'share of click-to-PDF that is neither extracting, tailoring, typesetting nor checking (median)'
  return { results: { runs, milliseconds: byStage }, targets: [{ claim, value: share, limit: 0.5, ok: share <= 0.5 }] }
}
