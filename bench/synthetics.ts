/** Synthetic checks against a stack that works, on a machine whose cores are all busy: none may fail, nothing may stay. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from '../ops/closing.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import type { Report } from '../ops/synthetics/verdict.ts'
import type { Measured } from './bench.ts'
import { median } from './median.ts'

const CHECKS = fileURLToPath(new URL('../ops/synthetics/main.ts', import.meta.url))

export async function benchSynthetics(minutes: number): Promise<Measured> {
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-synthetics-'))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  const busy = Array.from({ length: availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']))
  const checks = spawn(process.execPath, [CHECKS], {
    env: {
      ...process.env,
      PASS_ATS_URL: stack.relayUrl,
      PASS_ATS_SYNTHETIC_KEY: stack.syntheticKey,
      // As often as may be: an hour has as many runs as a night at the usual pace.
      PASS_ATS_SYNTHETIC_SECONDS: '20',
      SYNTHETICS_METRICS_PORT: '0',
      TMPDIR: temporary,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(checks, 'exit')
  const end = async () => {
    for (const each of busy) each.kill('SIGKILL')
    checks.kill('SIGTERM')
    await gone
  }
  const forget = closeOnSignal(end)
  try {
    const reports: Report[] = []
    createInterface(checks.stdout).on('line', (line) => reports.push(JSON.parse(line)))
    const late = setTimeout(() => checks.kill('SIGTERM'), minutes * 60_000)
    await gone
    clearTimeout(late)
    const failed = reports.filter(({ ok }) => !ok)
    const waited = Object.groupBy(reports, ({ check }) => check)
    const waitedMs = Object.entries(waited).map(([check, of]) => [
      check,
      median(of.map(({ durations }) => durations.waited ?? 0)),
    ])
    const left = (await readdir(temporary)).filter((name) => name.startsWith('pass-ats-'))
    const limit = (claim: string, value: number, limit: number) => ({ claim, value, limit, ok: value <= limit })
    return {
      results: {
        runs: reports.length,
        secondTries: reports.filter(({ attempts }) => attempts > 1).length,
        medianWaitedMs: Object.fromEntries(waitedMs),
        via: [...new Set(reports.flatMap(({ via }) => via ?? []))],
        failed,
      },
      targets: [
        limit('checks of a stack that works that did not pass', failed.length, 0),
        limit('checks missing of three', 3 - Object.keys(waited).length, 0),
        limit('temporary folders left', left.length, 0),
      ],
    }
  } finally {
    forget()
    await end()
    await stack.stop()
    await rm(temporary, { recursive: true, force: true })
  }
}
