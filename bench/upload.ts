/** What the browser sends by itself, with consent: how many requests runs that work cause, and how soon failed ones are in the relay. */

import { readFile } from 'node:fs/promises'
import { isSampled } from '../extension/tracer/sampling.ts'
import { tapRelay } from '../fixtures/relay/tap.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { generate, report, saveSettings, wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain, toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import type { Measured } from './bench.ts'
import { percentile } from './percentile.ts'
import { none } from './target.ts'

/** Failed and reported runs, one for every so many that work. */
const SHARE = 10
const WITHIN_MS = 10_000

/** Makes `runs` runs that work, and a tenth as many that fail, and as many that are reported. */
export async function benchUpload(runs: number): Promise<Measured> {
  const progress = new Progress(process.stderr)
  await setUpToolchain(progress)
  await buildExtension(progress)
  const executablePath = await findChromium(progress)
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8'))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  const relay = await tapRelay({ to: stack.relayUrl }, stack.relayUrl)
  const browser = await launchBrowser(executablePath)
  try {
    await saveSettings(browser, relay.url, profile)
    await browser.worker.evaluate(() => chrome.storage.local.set({ consent: true }))
    let sampled = 0
    for (let index = 0; index < runs; index++) {
      const run = await generate(browser, 'lever.html')
      if (run.status !== 'done') throw new Error(`A run failed: ${run.failure?.code}`)
      if (isSampled(run.id)) sampled += 1
      process.stderr.write(`\r  ${index + 1} of ${runs} `)
    }
    await settled(browser)
    const requests = relay.bodies.length
    const failedMs = await measure(runs, async () => {
      const run = await generate(browser, 'not-a-posting.html')
      await wholeTrace(stack.relayUrl, run.id)
      return Date.now() - (run.endedAt ?? 0)
    })
    const reportedMs = await measure(runs, async () => {
      const run = await generate(browser, 'lever.html')
      const askedAt = Date.now()
      await report(browser, run.id)
      await wholeTrace(stack.relayUrl, run.id)
      return Date.now() - askedAt
    })
    const late = [...failedMs, ...reportedMs].filter((ms) => ms > WITHIN_MS).length
    return {
      results: {
        worked: { runs, ofTheHundredth: sampled, telemetryRequests: requests },
        failed: { runs: failedMs.length, wholeAfterMs: spread(failedMs) },
        reported: { runs: reportedMs.length, wholeAfterMs: spread(reportedMs) },
      },
      targets: [
        none('telemetry requests of runs that work and are not of the hundredth part', Math.max(0, requests - sampled)),
        none('failed or reported runs not whole in the relay within 10 s', late),
      ],
    }
  } finally {
    process.stderr.write('\n')
    await browser.close()
    await relay.close()
    await stack.stop()
  }
}

async function measure(runs: number, run: () => Promise<number>): Promise<number[]> {
  const measured: number[] = []
  for (let index = 0; index < Math.ceil(runs / SHARE); index++) measured.push(await run())
  return measured
}

/** Waits until the list of past runs says of each what becomes of its trace. */
async function settled(browser: Browser): Promise<void> {
  for (;;) {
    const { runs } = await browser.worker.evaluate(() => chrome.storage.local.get('runs'))
    const open = (runs as { status: string; trace: string }[]).filter(
      ({ status, trace }) => status === 'running' || trace === 'due',
    )
    if (open.length === 0) return
  }
}

function spread(ms: readonly number[]) {
  return { p50: percentile(ms, 0.5), p99: percentile(ms, 0.99) }
}
