/** `npm test`: sets up what is missing, runs every check, and ends with a summary. */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
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
import { type Report, readPlaywrightReport, readVitestReport } from './test-report.ts'
import { runTool } from './tool.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Outcome extends Report {
  name: string
  ok: boolean
  ms: number
}

exitOnSignals()

// Every test's temporary files too: a test that Ctrl-C cuts off cannot remove them itself.
const scratch = await mkdtemp(join(tmpdir(), 'pass-ats-test-'))
// Passable, not readable: one test compiles as another user, in a folder of its own.
await chmod(scratch, 0o711)
// Some hundred relays and servers are started, all of the same code: from what the first has compiled in half of the CPU's time.
const compiled = join(scratch, 'compiled')
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
  const ledger = join(scratch, 'ledger')
  const outcomes = [
    await check('Lint', ['biome', 'ci', '.']),
    await check('Types', ['tsc', '-p', '.']),
    await check(
      'Unit and integration',
      ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile=${unit}`],
      { TRACE_LEDGER: ledger },
      () => readVitestReport(unit, ROOT),
    ),
    await check(
      'Browser',
      ['playwright', 'test'],
      { CHROMIUM_PATH: chromium, FIREFOX_PATH: firefox, TEST_SUMMARY: browser, TRACE_LEDGER: ledger },
      () => readPlaywrightReport(browser),
    ),
    await check('Traces', ['node', 'ops/trace-ledger.ts', ledger]),
  ]
  console.log('\nSummary\n')
  for (const { name, ok, passed, failed, ms } of outcomes) {
    const counts = `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}`
    console.log(`  ${ok ? '✓' : '✗'} ${name.padEnd(24)}${counts.padEnd(28)}${duration(ms).padStart(8)}`)
  }
  // Once more and last: what went wrong is a thousand lines further up, and may be cut from a log.
  const failures = outcomes.flatMap(({ failures }) => failures)
  if (failures.length > 0) console.log(`\nFailed\n\n${failures.map((failure) => `  ✗ ${failure}`).join('\n')}`)
  const total = (key: 'passed' | 'failed') => outcomes.reduce((sum, outcome) => sum + outcome[key], 0)
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`)
  if (outcomes.some(({ ok }) => !ok)) process.exitCode = 1
}

/** Runs one tool in the person's terminal. Without `report` it counts as one test. */
async function check(
  name: string,
  command: string[],
  env: Record<string, string> = {},
  report?: () => Promise<Report>,
): Promise<Outcome> {
  console.log(`\n${name}\n`)
  const started = performance.now()
  const code = await runTool(command, { TMPDIR: scratch, NODE_COMPILE_CACHE: compiled, ...env })
  const { passed, failed, failures } = (await report?.()) ?? {
    passed: Number(code === 0),
    failed: Number(code !== 0),
    failures: [],
  }
  // A tool that fails without a failed test, or runs none, has failed all the same.
  const ok = code === 0 && failed === 0 && passed > 0
  return { name, ok, passed, failed: Math.max(failed, Number(!ok)), failures, ms: performance.now() - started }
}
