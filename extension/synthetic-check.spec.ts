import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { perform } from '../ops/synthetics/attempt.ts'
import { e2eCheck } from '../ops/synthetics/e2e.ts'
import { anotherStack } from './journey.ts'

test('e2e-check goes through the real extension, counts as no person, finds what fails, and leaves no browser behind', async () => {
  const chromium = await findChromium(new Progress(process.stderr))
  const stack = await anotherStack({})
  const before = process.env.TMPDIR
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-synthetics-'))
  process.env.TMPDIR = temporary
  try {
    const relay = { url: stack.relayUrl, key: stack.syntheticKey }
    const report = await perform(e2eCheck(relay, chromium))
    expect(report).toMatchObject({ result: 'passed', via: 'extension', attempts: 1, phase: 'validate' })
    expect(report.trace_id).not.toBe(report.run_id)
    expect(report.durations.click_to_pdf).toBeGreaterThan(0)
    const of = async (synthetic: string) => {
      const samples = [...(await scrape(stack.metricsUrls.relay)), ...(await scrape(stack.metricsUrls.server))]
      return [
        sumOf(samples, 'pass_runs_total', { synthetic }),
        sumOf(samples, 'pass_e2e_duration_seconds_count', { synthetic }),
        sumOf(samples, 'pass_stage_duration_seconds_count', { synthetic, stage: 'extract' }),
        sumOf(samples, 'pass_auth_attempts_total', { synthetic, outcome: 'accepted' }) > 1 ? 1 : 0,
      ]
    }
    expect(await of('true')).toEqual([1, 1, 1, 1])
    expect((await of('false')).slice(0, 3)).toEqual([0, 0, 0])

    await stack.killServer()
    // The one wait between its tries is none.
    const wait = async () => {}
    const down = await perform(e2eCheck(relay, chromium), { wait })
    expect(down).toMatchObject({
      result: 'failed',
      error_type: 'server_unreachable',
      phase: 'click_to_pdf',
      attempts: 2,
    })
    const blind = await perform(e2eCheck(relay, '/nonexistent/chromium'), { wait })
    expect(blind).toMatchObject({ result: 'harness_failed', error_type: 'browser_failed', phase: 'browser' })
    const slow = await perform(e2eCheck(relay, chromium), { wait, limitMs: 1 })
    expect(slow).toMatchObject({ result: 'failed', error_type: 'timeout' })
    expect((await readdir(temporary)).filter((name) => name.startsWith('pass-ats-browser-'))).toEqual([])
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    await stack.stop()
    await rm(temporary, { recursive: true, force: true })
  }
})
