/** `npm run test:distributed`: the tests that need the engines of more than one machine, after setting up those that it can. */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeOnSignal, exitOnSignals, isClosing } from './closing.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { findRedis } from './setup/redis.ts'
import { setUpToolchain } from './setup/toolchain.ts'
import { findCollector, findJaeger, findTelemetrygen } from './setup/tracing-engines.ts'
import { runTool } from './tool.ts'

/** What the tests need, by the name under which it is missed. */
const ENGINES: Record<string, (progress: Progress) => Promise<unknown>> = {
  Redis: findRedis,
  telemetrygen: findTelemetrygen,
  Collector: findCollector,
  Jaeger: findJaeger,
}

exitOnSignals()

const scratch = await mkdtemp(join(tmpdir(), 'pass-ats-distributed-'))
await chmod(scratch, 0o711)
const forget = closeOnSignal(() => rm(scratch, { recursive: true, force: true, maxRetries: 5 }))
try {
  console.log('\nPASS ATS: tests with the engines of more than one machine\n')
  const progress = new Progress()
  await setUpToolchain(progress)
  const missing: string[] = []
  for (const [name, find] of Object.entries(ENGINES)) {
    await find(progress).catch((error) => {
      if (!(error instanceof SetupError)) throw error
      console.log(`\n  ${error}\n`)
      missing.push(name)
    })
  }
  const command = ['vitest', 'run', '--config', 'vitest.distributed.config.ts', ...process.argv.slice(2)]
  const code = await runTool(command, { TMPDIR: scratch, MISSING_ENGINES: missing.join(',') })
  if (missing.length > 0) console.log(`\nNot tested, for want of an engine: ${missing.join(', ')}.`)
  process.exitCode = code
} catch (error) {
  if (isClosing()) await new Promise(() => {})
  console.error(`\n  ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  forget()
  await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
}
