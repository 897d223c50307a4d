/** The synthetic checks beside a bench, again and again, and what each run of them said. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from '../ops/closing.ts'
import type { Stack } from '../ops/stack.ts'
import type { Report } from '../ops/synthetics/verdict.ts'

const CHECKS = fileURLToPath(new URL('../ops/synthetics/main.ts', import.meta.url))

export interface RunningChecks {
  /** `at` in epoch milliseconds, when it was told. */
  reports: { report: Report; at: number }[]
  /** Resolves when they have ended by themselves, or have been stopped. */
  gone: Promise<unknown>
  stop(): Promise<void>
}

/** From one run of a check to its next `everySeconds`; what they put down is in `temporary`. */
export function startChecks(
  stack: Stack,
  temporary: string,
  everySeconds: number,
  ...options: readonly string[]
): RunningChecks {
  const child = spawn(process.execPath, [CHECKS, ...options], {
    env: {
      ...process.env,
      PASS_ATS_URL: stack.relayUrl,
      PASS_ATS_SYNTHETIC_KEY: stack.syntheticKey,
      PASS_ATS_SYNTHETIC_SECONDS: String(everySeconds),
      SYNTHETICS_METRICS_PORT: '0',
      TMPDIR: temporary,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  const reports: RunningChecks['reports'] = []
  createInterface(child.stdout).on('line', (line) => reports.push({ report: JSON.parse(line), at: Date.now() }))
  const stop = async () => {
    forget()
    child.kill('SIGTERM')
    await gone
  }
  const forget = closeOnSignal(stop)
  return { reports, gone, stop }
}
