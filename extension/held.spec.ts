import { expect, type Page } from '@playwright/test'
import { startBackend, TAKEN } from '../fixtures/relay/backend.ts'
import { SERVICE_EXTENSION } from '../names.ts'
import { report } from '../ops/demonstration.ts'
import { asSupport, signInLink } from '../ops/support.ts'
import { layOut } from '../relay/console/waterfall.ts'
import { SHAPES } from '../relay/diagnosis.ts'
import { anotherStack, soundTrace, test } from './journey.ts'
import type { RunState } from './run-state.ts'
import { isSampled } from './tracer/sampling.ts'

test('A run that worked and was not sent is found by the others’ spans; once it is reported it is whole, kept and forwarded', async ({
  journey,
}) => {
  const backend = await startBackend(() => TAKEN)
  const stack = await anotherStack({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${backend.url}/v1/traces` })
  const { relayUrl } = stack
  try {
    await journey.settings('short', relayUrl)
    const run = await unsampledRun(() => journey.generate('lever.html'))
    const page = await journey.browser.context.newPage()
    await page.goto(await signInLink(relayUrl))
    const [heading, diagnosis] = [page.locator('h1'), page.locator('.diagnosis')]
    // Looked up as a person reads it out: its first eight digits.
    await openUntil(page, `${relayUrl}/support/${run.id.slice(0, 8)}`, 'The resume was made.')
    await expect(heading).toContainText('The browser’s part of the trace is not here.')
    await expect(diagnosis).toContainText(SHAPES.browser_missing.meaning)
    await expect(page.locator('#tell')).toHaveText(SHAPES.browser_missing.tell)
    await expect(page.locator('.stay')).toContainText('unless somebody reports it')
    await expect(page.locator('.waterfall .label', { hasText: /^validate$/ })).toHaveCount(1)
    await expect(page.locator('.waterfall .swatch.s-extension')).toHaveCount(0)
    const before = await fetch(`${relayUrl}/api/traces/${run.id}`, { headers: asSupport(relayUrl) })
    const held = layOut(await before.json()).rows.map(({ spanId }) => spanId)
    expect(held.length).toBeGreaterThan(5)
    expect(
      held.filter((spanId) => backend.arrived.has(spanId)),
      'nothing of it is due',
    ).toEqual([])

    await report(journey.browser, run.id)
    const whole = await soundTrace(relayUrl, run.id)
    expect(whole.services).toContain(SERVICE_EXTENSION)
    const ids = whole.rows.map(({ spanId }) => spanId)
    expect(held.filter((spanId) => !ids.includes(spanId))).toEqual([])
    await openUntil(page, `${relayUrl}/support/${run.id}`, 'Done: the resume reached the browser')
    await expect(page.locator('.stay')).toContainText('Kept until')
    await expect(page.locator('.stay')).toContainText('because somebody reported it')
    await expect(diagnosis).not.toContainText(SHAPES.browser_missing.meaning)
    expect(await backend.missing(ids), 'what was held, and what came with the report').toEqual(new Set())
    await page.close()
  } finally {
    await stack.stop()
    await backend.close()
  }
})

/** One in a hundred is forwarded without being asked for. */
async function unsampledRun(generate: () => Promise<RunState>): Promise<RunState> {
  for (;;) {
    const run = await generate()
    expect(run.status).toBe('done')
    if (!isSampled(run.id)) return run
  }
}

/** Opens the page, again and again while spans are still on their way. */
async function openUntil(page: Page, url: string, heading: string): Promise<void> {
  await expect(async () => {
    await page.goto(url)
    await expect(page.locator('h1')).toContainText(heading, { timeout: 100 })
  }).toPass()
}
