/**
 * `npm run test:distributed`: the tests that need the engines of more than one machine, after setting up those that it can. With
 * `--at-hand` it builds none: what is not there already is missed.
 */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { closeOnSignal, exitOnSignals, isClosing } from './closing.ts'
import { buildExtension } from './extension-build.ts'
import { findChromium } from './setup/chromium.ts'
import { findNginx } from './setup/nginx.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { findRedis } from './setup/redis.ts'
import { setUpToolchain } from './setup/toolchain.ts'
import { findCollector, findJaeger, findTelemetrygen } from './setup/tracing-engines.ts'
import { runTool } from './tool.ts'

/** What the tests need, by the name under which it is missed. */
const ENGINES: Record<string, (progress: Progress, atHand?: boolean) => Promise<unknown>> = {
  Redis: findRedis,
  nginx: findNginx,
  telemetrygen: findTelemetrygen,
  Collector: findCollector,
  Jaeger: findJaeger,
  Chromium: findChromium,
}
/** What the browser's journeys need of them: everything in `ops/deploy`. */
const JOURNEY = ['Redis', 'nginx', 'Collector', 'Jaeger', 'Chromium']

exitOnSignals()

const scratch = await mkdtemp(join(tmpdir(), 'pass-ats-distributed-'))
await chmod(scratch, 0o711)
const forget = closeOnSignal(() => rm(scratch, { recursive: true, force: true, maxRetries: 5 }))
try {
  console.log('\nPASS ATS: tests with the engines of more than one machine\n')
  const progress = new Progress()
  // Named files are Vitest's: whoever asks for one does not wait for a browser.
  const { values, positionals: files } = parseArgs({
    options: { 'at-hand': { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  await setUpToolchain(progress)
  const missing: string[] = []
  for (const [name, find] of Object.entries(ENGINES)) {
    await find(progress, values['at-hand']).catch((error) => {
      if (!(error instanceof SetupError)) throw error
      console.log(`\n  ${error}\n`)
      missing.push(name)
    })
  }
  const env = { TMPDIR: scratch, MISSING_ENGINES: missing.join(',') }
  let code = await runTool(['vitest', 'run', '--config', 'vitest.distributed.config.ts', ...files], env)
  if (files.length === 0 && !JOURNEY.some((name) => missing.includes(name))) {
    await buildExtension(progress)
    const CHROMIUM_PATH = await findChromium(progress)
    const journeys = ['playwright', 'test', '--config', 'playwright.distributed.config.ts']
    code = Math.max(code, await runTool(journeys, { ...env, CHROMIUM_PATH }))
  }
  if (missing.length > 0) console.log(`\nNot tested, for want of it: ${missing.join(', ')}.`)
  process.exitCode = code
} catch (error) {
  if (isClosing()) await new Promise(() => {})
  console.error(`\n  ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  forget()
  await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
}
