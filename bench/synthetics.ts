/** Synthetic checks against a stack that works, on a machine whose cores are all busy: none may fail, nothing may stay. */

import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeOnSignal } from '../ops/closing.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import { startChecks } from '../ops/synthetics/running.ts'
import type { Measured } from './bench.ts'
import { median } from './median.ts'
import { none } from './target.ts'

const CHECK_EVERY_S = 20

export async function benchSynthetics(minutes: number): Promise<Measured> {
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-synthetics-'))
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  const busy = Array.from({ length: availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']))
  // As often as may be: an hour has as many runs as a night at the usual pace.
  const checks = startChecks(stack, { everySeconds: CHECK_EVERY_S, temporary })
  const end = async () => {
    for (const each of busy) each.kill('SIGKILL')
    await checks.stop()
  }
  const forget = closeOnSignal(end)
  try {
    const late = setTimeout(checks.stop, minutes * 60_000)
    await checks.gone
    clearTimeout(late)
    const reports = checks.reports.map(({ report }) => report)
    const failed = reports.filter(({ ok }) => !ok)
    const waited = Object.groupBy(reports, ({ check }) => check)
    const waitedMs = Object.entries(waited).map(([check, of]) => [
      check,
      median(of.map(({ durations }) => durations.waited ?? 0)),
    ])
    const left = (await readdir(temporary)).filter((name) => name.startsWith('pass-ats-'))
    return {
      results: {
        runs: reports.length,
        secondTries: reports.filter(({ attempts }) => attempts > 1).length,
        medianWaitedMs: Object.fromEntries(waitedMs),
        via: [...new Set(reports.flatMap(({ via }) => via ?? []))],
        failed,
      },
      targets: [
        none('checks of a stack that works that did not pass', failed.length),
        none('checks missing of three', 3 - Object.keys(waited).length),
        none('temporary folders left', left.length),
      ],
    }
  } finally {
    forget()
    await end()
    await stack.stop()
    await rm(temporary, { recursive: true, force: true })
  }
}
