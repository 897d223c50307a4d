/**
 * `npm run synthetics`: runs the checks again and again until it is stopped. Each run is a line of JSON; Prometheus finds
 * their metrics on a port of their own. With `-- --via http`, e2e-check uses no browser.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { serveMetrics } from '../../metrics.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { closeOnSignal, exitOnSignals } from '../closing.ts'
import { type Check, perform } from './attempt.ts'
import { compileCheck } from './compile.ts'
import { readConfig } from './config.ts'
import { count } from './count.ts'
import { e2eCheck } from './e2e.ts'
import { generateCheck } from './generate.ts'
import { keepRunning } from './schedule.ts'

exitOnSignals()
const stopping = new AbortController()
try {
  const { values: flags } = parseArgs({ options: { via: { type: 'string' } } })
  const config = readConfig()
  const metrics = await serveMetrics(config.metrics, { service: 'pass-ats-synthetics', version: packageJson.version })
  const chromium = flags.via === 'http' ? undefined : await (await import('./found-browser.ts')).builtBrowser()
  const checks = [generateCheck(config), compileCheck(config), e2eCheck(config, chromium)]
  const run = async (check: Check) => {
    const report = await perform(check, { stop: stopping.signal })
    count(report, Date.now())
    console.log(JSON.stringify(report))
  }
  const ended = keepRunning({
    checks,
    intervalMs: config.intervalMs,
    run,
    stop: stopping.signal,
    now: () => performance.now(),
    wait: (ms, signal) => delay(ms, undefined, { signal }),
    random: Math.random,
  })
  closeOnSignal(async () => {
    stopping.abort()
    await ended
    metrics.close()
  })
  const via = chromium === undefined ? 'HTTP, without a browser' : `the extension, in ${chromium}`
  console.error(
    `Checks of ${config.url}, e2e by ${via}. Metrics: http://${config.metrics.host}:${metrics.port}/metrics`,
  )
  await ended
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
