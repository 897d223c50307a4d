/**
 * `npm run demo`: one run against the relay at RELAY_URL or its usual address, or, when none answers, against a stack
 * of its own that is gone afterwards. `--json` prints it on one line, and nothing else.
 */

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { exitOnSignals } from './closing.ts'
import { demonstrate } from './demonstration.ts'
import { buildExtension } from './extension-build.ts'
import { findChromium } from './setup/chromium.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { setUpToolchain, toolchainPath } from './setup/toolchain.ts'
import { startTemporaryStack } from './stack.ts'
import { drawWaterfall, duration } from './terminal-waterfall.ts'

const DIST_DIR = fileURLToPath(new URL('../dist', import.meta.url))
const { values: flags } = parseArgs({ options: { json: { type: 'boolean', default: false } } })
// With --json standard output is for the one line.
exitOnSignals()
const progress = new Progress(flags.json ? process.stderr : process.stdout)

try {
  await setUpToolchain(progress)
  await buildExtension(progress)
  const chromium = await findChromium(progress)
  const running = process.env.RELAY_URL ?? 'http://127.0.0.1:4318'
  await ((await answers(running)) ? demo(running, chromium) : demoAlone(chromium))
} catch (error) {
  console.error(`\n  ${error instanceof SetupError ? error : error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}

async function demoAlone(chromium: string) {
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), distDir: DIST_DIR })
  try {
    await demo(stack.relayUrl, chromium)
  } finally {
    await stack.stop()
  }
}

async function demo(relayUrl: string, chromium: string) {
  const { demonstration, waterfall } = await demonstrate({ relayUrl, chromium, distDir: DIST_DIR })
  if (flags.json) {
    console.log(JSON.stringify(demonstration))
    return
  }
  console.log(`\n${drawWaterfall(waterfall, process.stdout)}\n`)
  console.log(`  Click to PDF in ${duration(demonstration.durationMs)}. The PDF: ${demonstration.pdfPath}`)
}

/** Whether a relay of ours answers there. */
async function answers(relayUrl: string): Promise<boolean> {
  try {
    return (await fetch(`${relayUrl}/readyz`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}
