import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { makeSleepyExtension, openedPdf, reportRun, runUntilModel, setAlarms } from '../ops/idle-death.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { launchUnwatchedBrowser } from '../ops/unwatched-browser.ts'
import { anotherStack, bundledProfile, rowsNamed, soundTrace, test } from './journey.ts'

/** More than the browser lets a worker be idle, and than an answer takes that waits for the worker's death. */
const PATIENCE_MS = '300000'
const HOUR_S = 3_600

test('a worker that dies of idleness while the model is silent is followed by one that brings the PDF', async () => {
  const executablePath = await findChromium(new Progress(process.stderr))
  const endpoint = await startOpenAiEndpoint('held')
  const stack = await anotherStack({
    LLM_BASE_URL: endpoint.baseUrl,
    LLM_MODEL: 'm-1',
    LLM_TIMEOUT_MS: PATIENCE_MS,
    LLM_IDLE_TIMEOUT_MS: PATIENCE_MS,
  })
  const extension = await makeSleepyExtension()
  const browser = await launchUnwatchedBrowser(executablePath, extension.folder)
  try {
    const settings = { relayUrl: stack.relayUrl, profile: await bundledProfile('short') }
    const { id, tab, popup } = await runUntilModel(browser, settings)
    // It rings every half minute, just before the browser would take the worker for idle.
    await setAlarms(popup, HOUR_S)
    await popup.close()
    expect(await browser.isWorkerWatched()).toBe(false)
    await browser.ended(1)
    expect(browser.lives).toHaveLength(1)

    const options = await browser.openExtensionPage('options/options.html')
    await setAlarms(options, 0)
    await browser.begun(2)
    await options.close()
    endpoint.release()

    expect(await openedPdf(browser, await browser.openPopup(tab), id)).toBe('%PDF-')
    expect(endpoint.requests, 'the run was made once').toHaveLength(1)
    await reportRun(browser, id)
    const waterfall = await soundTrace(stack.relayUrl, id)
    expect(rowsNamed(waterfall, 'generate resume')).toHaveLength(1)
    expect(waterfall.root?.attributes['pass_ats.service_worker.resumes']).toBe(1)
    expect(waterfall.root?.status).toBe('unset')
    const terminated = rowsNamed(waterfall, 'GET', 'pass-ats-extension').filter(({ status }) => status === 'error')
    expect(terminated.map(({ attributes }) => attributes['error.type'])).toEqual(['service_worker_terminated'])
  } finally {
    await browser.close()
    await extension.remove()
    await stack.stop()
    await endpoint.close()
  }
})
