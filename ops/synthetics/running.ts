/** `npm run synthetics` as a process of whoever needs checks beside what they do, and what each check said. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { closeOnSignal } from '../closing.ts'
import type { Report } from './verdict.ts'

const CHECKS = fileURLToPath(new URL('main.ts', import.meta.url))

export interface Checked {
  relayUrl: string
  /** Registers as a synthetic check. */
  syntheticKey: string
}
export interface Pace {
  /** From one run of a check to its next. */
  everySeconds: number
  /** Of their metrics; the operating system picks one, unless it is given. */
  port?: number
  /** Where they put down what they need for a time. */
  temporary?: string
}
export interface RunningChecks {
  /** `at` in epoch milliseconds, when it was told. */
  reports: { report: Report; at: number }[]
  /** Resolves when they have ended by themselves, or have been stopped. */
  gone: Promise<unknown>
  stop(): Promise<void>
}

/** `options` are those of the command. */
export function startChecks(
  { relayUrl, syntheticKey }: Checked,
  { everySeconds, port = 0, temporary = tmpdir() }: Pace,
  ...options: readonly string[]
): RunningChecks {
  const child = spawn(process.execPath, [CHECKS, ...options], {
    env: {
      ...process.env,
      PASS_ATS_URL: relayUrl,
      PASS_ATS_SYNTHETIC_KEY: syntheticKey,
      PASS_ATS_SYNTHETIC_SECONDS: String(everySeconds),
      SYNTHETICS_METRICS_PORT: String(port),
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
