import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { scrape, sumOf } from '../../fixtures/metrics/scraped.ts'
import { toolchainPath } from '../setup/toolchain.ts'
import { startTemporaryStack } from '../stack.ts'
import type { Report } from './verdict.ts'

test('npm run synthetics runs every check, counts what becomes of each, and stops cleanly', async () => {
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath() })
  onTestFinished(() => stack.stop())
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-synthetics-'))
  onTestFinished(() => rm(temporary, { recursive: true, force: true }))
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url)), '--via', 'http'], {
    env: {
      PASS_ATS_URL: stack.relayUrl,
      PASS_ATS_SYNTHETIC_KEY: stack.syntheticKey,
      PASS_ATS_SYNTHETIC_SECONDS: '10',
      SYNTHETICS_METRICS_PORT: '0',
      TMPDIR: temporary,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const said = createInterface(child.stderr)[Symbol.asyncIterator]()
  const first = String((await said.next()).value)
  const metricsUrl = /Metrics: (\S+)$/.exec(first)?.[1] ?? ''
  expect(first).toContain('e2e by HTTP')

  const reports: Report[] = []
  for await (const line of createInterface(child.stdout)) {
    reports.push(JSON.parse(line))
    if (reports.length === 3) break
  }
  expect(reports.map(({ check, result }) => `${check} ${result}`)).toEqual([
    'generate passed',
    'compile passed',
    'e2e passed',
  ])
  const samples = await scrape(metricsUrl)
  for (const check of ['generate', 'compile', 'e2e']) {
    expect(sumOf(samples, 'pass_synthetic_runs_total', { check, result: 'passed' })).toBe(1)
    expect(sumOf(samples, 'pass_synthetic_runs_total', { check })).toBe(1)
    expect(sumOf(samples, 'pass_synthetic_success', { check })).toBe(1)
    expect(sumOf(samples, 'pass_synthetic_duration_seconds', { check })).toBeGreaterThan(0)
    // Since 1970, on the machine that runs this.
    const age = Date.now() / 1_000 - sumOf(samples, 'pass_synthetic_last_run_timestamp_seconds', { check })
    expect(Math.abs(age)).toBeLessThan(600)
  }
  expect(sumOf(samples, 'pass_ats_build_info') + sumOf(samples, 'pass_build_info')).toBe(1)

  await stack.killServer()
  for await (const line of createInterface(child.stdout)) {
    const report: Report = JSON.parse(line)
    if (report.ok) continue
    expect(report).toMatchObject({ result: 'failed', error_type: 'server_unreachable' })
    const { check } = report
    const now = await scrape(metricsUrl)
    expect(sumOf(now, 'pass_synthetic_runs_total', { check, result: 'failed' })).toBe(1)
    expect(sumOf(now, 'pass_synthetic_success', { check })).toBe(0)
    break
  }
  child.kill('SIGTERM')
  expect((await exited)[0]).toBe(143)
  expect(await readdir(temporary)).toEqual([])
})
