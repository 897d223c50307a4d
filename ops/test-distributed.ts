/** `npm run test:distributed`: the tests that need the engines of more than one machine, after setting up those that it can. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeOnSignal, exitOnSignals, isClosing } from './closing.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { findRedis } from './setup/redis.ts'
import { setUpToolchain } from './setup/toolchain.ts'
import { findCollector, findJaeger, findTelemetrygen } from './setup/tracing-engines.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

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
  const code = await run('vitest', ['run', '--config', 'vitest.distributed.config.ts', ...process.argv.slice(2)], {
    MISSING_ENGINES: missing.join(','),
  })
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

async function run(tool: string, args: string[], env: Record<string, string>): Promise<number> {
  const running = spawn(join(ROOT, 'node_modules', '.bin', tool), args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, TMPDIR: scratch, ...env },
  })
  const exited = once(running, 'exit')
  const forget = closeOnSignal(() => {
    running.kill('SIGTERM')
    return exited
  })
  const [code] = (await exited) as [number | null]
  forget()
  if (isClosing()) await new Promise(() => {}) // no verdict: the process is about to end
  return code ?? 1
}
