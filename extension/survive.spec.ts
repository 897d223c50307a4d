import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { newestRun, report, saveSettings } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { DEATHS, die, survivedRun } from '../ops/survivor.ts'
import { anotherStack, bundledProfile, rowsNamed, soundTrace, test } from './journey.ts'
import type { RunRecord } from './run-record.ts'

for (const death of DEATHS) {
  test(`a run goes on after the ${death} in its middle, and its trace is whole and says so`, async () => {
    const executablePath = await findChromium(new Progress(process.stderr))
    const endpoint = await startOpenAiEndpoint('held')
    const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
    let browser: Browser = await launchBrowser(executablePath)
    try {
      await saveSettings(browser, stack.relayUrl, await bundledProfile('short'))
      const page = await browser.context.newPage()
      await page.goto(urlOf('lever.html'))
      const popup = await browser.openPopup(page)
      await popup.click('generate')
      const seen = () => browser.worker.evaluate(() => chrome.storage.local.get('active'))
      await expect.poll(async () => ((await seen()).active as RunRecord | undefined)?.lastEventId).toBe(1)
      const { id } = (await newestRun(browser)) ?? { id: '' }
      // An open popup wakes the next worker at once. Closed, it is the recovery alarm that does.
      if (death !== 'worker stop') await popup.close()

      browser = await die(browser, death, (profile) => launchBrowser(executablePath, profile))
      endpoint.release()

      if (death === 'worker stop') await popup.waitForText('open-pdf')
      const run = await survivedRun(browser, id)
      expect(run).toMatchObject({ status: 'done' })
      expect(endpoint.requests, 'the run was made once').toHaveLength(1)
      await report(browser, id)
      const waterfall = await soundTrace(stack.relayUrl, id)
      expect(rowsNamed(waterfall, 'generate resume')).toHaveLength(1)
      expect(waterfall.root?.attributes['pass_ats.service_worker.resumes']).toBeGreaterThanOrEqual(1)
      expect(waterfall.root?.status).toBe('unset')
      const terminated = waterfall.rows.filter(
        ({ attributes }) => attributes['error.type'] === 'service_worker_terminated',
      )
      expect(terminated.map(({ name, service }) => `${service} ${name}`)).toEqual(['pass-ats-extension GET'])
      const trace = await (await fetch(`${stack.relayUrl}/api/traces/${id}`)).text()
      expect(trace).toContain('service_worker.terminated')
      expect(trace).toContain('service_worker.resumed')
    } finally {
      await browser.close()
      await stack.stop()
      await endpoint.close()
    }
  })
}
