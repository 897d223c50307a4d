/** From the click to the PDF, through the real extension: where every millisecond goes, and how much of it is ours. */

import { readFile } from 'node:fs/promises'
import { launchBrowser } from '../ops/browser.ts'
import { generate, report, saveSettings, wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import type { Measured } from './bench.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'

/** The parts of a run, in order: each stage, and what lies between them. Together they are all of it. */
const PARTS = [
  'click to reading the page',
  'extract',
  'page read to request',
  'request to first stage',
  'llm',
  'latex',
  'compile: waiting, starting, reading the PDF',
  'compile: tectonic',
  'validate',
  'between the server\u2019s stages',
  'last stage to last event',
  'last event to asking for the PDF',
  'deliver',
  'PDF to end',
] as const
type Part = (typeof PARTS)[number]
const WORK: Part[] = [
  'extract',
  'llm',
  'latex',
  'compile: waiting, starting, reading the PDF',
  'compile: tectonic',
  'validate',
]
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
  const times = new Map<Part | 'click to PDF', number[]>(['click to PDF' as const, ...PARTS].map((part) => [part, []]))
  const shares: number[] = []
  try {
    await saveSettings(browser, stack.relayUrl, profile)
    for (let index = 0; index < runs + WARM_UP; index++) {
      const run = await generate(browser, 'json-ld-graph.html')
      if (run.status !== 'done') throw new Error(`A run failed: ${run.failure?.code}`)
      await report(browser, run.id)
      const { rows } = await wholeTrace(stack.relayUrl, run.id)
      if (index < WARM_UP) continue
      const { whole, parts } = takenApart(rows)
      times.get('click to PDF')?.push(whole)
      for (const part of PARTS) times.get(part)?.push(parts[part])
      const work = WORK.reduce((sum, part) => sum + parts[part], 0)
      shares.push((whole - work) / whole)
    }
  } finally {
    await browser.close()
    await stack.stop()
  }
  const byStage = Object.fromEntries(
    [...times].map(([part, ms]) => [
      part,
      { p50: percentile(ms, 0.5), p95: percentile(ms, 0.95), p99: percentile(ms, 0.99) },
    ]),
  )
  const share = percentile(shares, 0.5)
  const claim = 'share of click-to-PDF that is neither extracting, tailoring, typesetting nor checking (median)'
  return { results: { runs, milliseconds: byStage }, targets: [atMost(claim, share, 0.5)] }
}

function takenApart(rows: readonly { name: string; startMs: number; durationMs: number }[]) {
  const of = (name: string) => {
    const row = rows.find((each) => each.name === name)
    if (!row) throw new Error(`The trace has no ${name}.`)
    return { from: row.startMs, to: row.startMs + row.durationMs, ms: row.durationMs }
  }
  const [root, extract, generate, deliver] = [of('generate resume'), of('extract'), of('generate'), of('deliver')]
  const [llm, latex, compile, validate] = [of('llm'), of('latex'), of('compile'), of('validate')]
  const tectonic = of('tectonic')
  const parts: Record<Part, number> = {
    'click to reading the page': extract.from - root.from,
    extract: extract.ms,
    'page read to request': generate.from - extract.to,
    'request to first stage': llm.from - generate.from,
    llm: llm.ms,
    latex: latex.ms,
    'compile: waiting, starting, reading the PDF': compile.ms - tectonic.ms,
    'compile: tectonic': tectonic.ms,
    validate: validate.ms,
    'between the server\u2019s stages': latex.from - llm.to + compile.from - latex.to + validate.from - compile.to,
    'last stage to last event': generate.to - validate.to,
    'last event to asking for the PDF': deliver.from - generate.to,
    deliver: deliver.ms,
    'PDF to end': root.to - deliver.to,
  }
  return { whole: root.ms, parts }
}
