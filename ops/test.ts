/** `npm test`: sets up what is missing, runs every check, and ends with a summary. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeOnSignal, exitOnSignals, isClosing } from './closing.ts'
import { buildExtension } from './extension-build.ts'
import { findChromium } from './setup/chromium.ts'
import { findFirefox } from './setup/firefox.ts'
import { findNginx } from './setup/nginx.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { findPrometheus } from './setup/prometheus.ts'
import { findRedis } from './setup/redis.ts'
import { findPdftotext, setUpToolchain } from './setup/toolchain.ts'
import { duration } from './terminal-waterfall.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Outcome {
  name: string
  ok: boolean
  passed: number
  failed: number
  ms: number
}

exitOnSignals()

// Every test's temporary files too: a test that Ctrl-C cuts off cannot remove them itself.
const scratch = await mkdtemp(join(tmpdir(), 'pass-ats-test-'))
// Passable, not readable: one test compiles as another user, in a folder of its own.
await chmod(scratch, 0o711)
const forget = closeOnSignal(() => rm(scratch, { recursive: true, force: true, maxRetries: 5 }))
try {
  await test()
} catch (error) {
  if (isClosing()) await new Promise(() => {})
  console.error(`\n  ${error instanceof SetupError ? error : error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  forget()
  await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
}

async function test() {
  console.log('\nPASS ATS: tests\n')
  const progress = new Progress()
  await setUpToolchain(progress)
  await findPdftotext(progress)
  await findPrometheus(progress)
  await findNginx(progress)
  await findRedis(progress)
  const chromium = await findChromium(progress)
  const firefox = await findFirefox(progress)
  await buildExtension(progress)

  const unit = join(scratch, 'unit.json')
  const browser = join(scratch, 'browser.json')
  const outcomes = [
    await check('Lint', ['biome', 'ci', '.']),
    await check('Types', ['tsc', '-p', '.']),
    await check(
      'Unit and integration',
      ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile=${unit}`],
      {},
      () => countVitest(unit),
    ),
    await check(
      'Browser',
      ['playwright', 'test'],
      { CHROMIUM_PATH: chromium, FIREFOX_PATH: firefox, TEST_SUMMARY: browser },
      () => countPlaywright(browser),
    ),
  ]
  console.log('\nSummary\n')
  for (const { name, ok, passed, failed, ms } of outcomes) {
    const counts = `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}`
    console.log(`  ${ok ? '✓' : '✗'} ${name.padEnd(24)}${counts.padEnd(28)}${duration(ms).padStart(8)}`)
  }
  const total = (key: 'passed' | 'failed') => outcomes.reduce((sum, outcome) => sum + outcome[key], 0)
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`)
  if (outcomes.some(({ ok }) => !ok)) process.exitCode = 1
}

/** Runs one tool in the person's terminal. Without `count` it counts as one test. */
async function check(
  name: string,
  [tool = '', ...args]: string[],
  env: Record<string, string> = {},
  count?: () => Promise<{ passed: number; failed: number }>,
): Promise<Outcome> {
  console.log(`\n${name}\n`)
  const started = performance.now()
  const running = spawn(join(ROOT, 'node_modules', '.bin', tool), args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, TMPDIR: scratch, ...env },
  })
  const exited = once(running, 'exit')
  const forget = closeOnSignal(() => {
    // A terminal's Ctrl-C has reached it already; it cleans up after itself.
    running.kill('SIGTERM')
    return exited
  })
  const [code] = (await exited) as [number | null]
  forget()
  if (isClosing()) await new Promise(() => {}) // no summary: the process is about to end
  const counted = await (count?.() ?? { passed: Number(code === 0), failed: Number(code !== 0) })
  // A tool that fails without a failed test, or runs none, has failed all the same.
  const ok = code === 0 && counted.failed === 0 && counted.passed > 0
  return {
    name,
    ok,
    passed: counted.passed,
    failed: Math.max(counted.failed, Number(!ok)),
    ms: performance.now() - started,
  }
}

async function countVitest(path: string) {
  const report = await readReport<{ numPassedTests: number; numFailedTests: number }>(path)
  return { passed: report?.numPassedTests ?? 0, failed: report?.numFailedTests ?? 0 }
}

async function countPlaywright(path: string) {
  const report = await readReport<{ stats: { expected: number; unexpected: number; flaky: number } }>(path)
  const { expected = 0, unexpected = 0, flaky = 0 } = report?.stats ?? {}
  return { passed: expected, failed: unexpected + flaky }
}

/** Undefined when the tool died before it could write one. */
async function readReport<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch {
    return undefined
  }
}
