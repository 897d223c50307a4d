/** Makes the README's picture: a run as a person makes it, in the console, as it looks now. */

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'
import { exitOnSignals } from './closing.ts'
import { demonstrate } from './demonstration.ts'
import { buildExtension } from './extension-build.ts'
import { findChromium } from './setup/chromium.ts'
import { Progress } from './setup/progress.ts'
import { setUpToolchain, toolchainPath } from './setup/toolchain.ts'
import { startTemporaryStack } from './stack.ts'
import { signInLink } from './support.ts'

const PICTURE = fileURLToPath(new URL('../relay/console/trace.png', import.meta.url))
/** Runs before the one that is shown: the first is slow, and the others say how long a step usually takes. */
const BEFORE = 3

exitOnSignals()
const progress = new Progress()
await setUpToolchain(progress)
await buildExtension(progress)
const executablePath = await findChromium(progress)
const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
try {
  const run = { relayUrl: stack.relayUrl, chromium: executablePath, distDir: join(dirname(stack.logs.relay), 'pdfs') }
  for (let n = 0; n < BEFORE; n++) await demonstrate(run)
  const { demonstration } = await demonstrate(run)
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' })
    await page.goto(await signInLink(stack.relayUrl, `/support/${demonstration.traceId}`))
    await page.screenshot({ path: PICTURE, fullPage: true })
  } finally {
    await browser.close()
  }
  console.log(`\n  ${PICTURE}\n`)
} finally {
  await stack.stop()
}
