import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { EVENT_WORKER_RESUMED, EVENT_WORKER_TERMINATED } from '../names.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { newestRun, report, saveSettings } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { asSupport } from '../ops/support.ts'
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
      await expect
        .poll(async () => ((await seen()).active as RunRecord | undefined)?.lastEventId)
        .toBeGreaterThanOrEqual(2)
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
      const trace = await (
        await fetch(`${stack.relayUrl}/api/traces/${id}`, { headers: asSupport(stack.relayUrl) })
      ).text()
      expect(trace).toContain(EVENT_WORKER_TERMINATED)
      expect(trace).toContain(EVENT_WORKER_RESUMED)
    } finally {
      await browser.close()
      await stack.stop()
      await endpoint.close()
    }
  })
}

test('of a run that had ended but for its last words the next worker says no other', async ({ journey }) => {
  const { browser } = journey
  await journey.settings('short')
  const run = await journey.generate('lever.html')
  // What a worker leaves that dies between the PDF and the end of the root span.
  await browser.worker.evaluate(async (id) => {
    const all = await chrome.storage.local.get(null)
    const [key, root] = Object.entries(all).find(
      ([key, value]) => key.startsWith('s:') && String(value).includes('generate resume'),
    ) as [string, string]
    const { endTime: _, ...open } = JSON.parse(root)
    const active = { id, tabId: 1, clickedAt: Date.now(), accepted: true, lastEventId: 9 }
    const runs = (all.runs as object[]).map((run) => ({ ...run, status: 'running' }))
    await chrome.storage.local.set({ [key]: JSON.stringify(open), active, runs })
  }, run.id)
  await journey.anotherWorker()
  const listed = () => browser.worker.evaluate(() => chrome.storage.local.get(['runs', 'active']))
  await expect.poll(listed).toMatchObject({ runs: [{ id: run.id, status: 'done', trace: 'held' }] })
  expect(await listed()).not.toHaveProperty('active')
  await expect
    .poll(() => browser.worker.evaluate(async () => (await chrome.alarms.getAll()).map(({ name }) => name)))
    .toEqual(['upload'])
})
