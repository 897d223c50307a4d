import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../../fixtures/llm/openai-endpoint.ts'
import { endOfRun } from '../../ops/demonstration.ts'
import { urlOf } from '../../ops/postings.ts'
import { anotherStack, test } from '../journey.ts'

test('by keyboard alone: Generate, then the PDF in a tab', async ({ journey }) => {
  await journey.settings('short')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  const popup = await journey.browser.openPopup(page)
  await popup.evaluate(`document.querySelector('[data-testid=generate]').focus()`)
  await popup.press('Enter')
  await popup.waitForText('open-pdf')
  expect(await popup.text('posting-title')).toBeTruthy()
  expect(await popup.text('status')).toBe('Your resume is ready')
  const opened = journey.browser.context.waitForEvent('page')
  await popup.evaluate(`document.querySelector('[data-testid=open-pdf]').focus()`)
  await popup.press('Enter')
  const tab = await opened
  await expect(tab).toHaveTitle(/\.pdf/)
  const src = await tab.locator('iframe, embed').getAttribute('src')
  expect(src).toMatch(/^blob:chrome-extension:/)
  await tab.close()
  await page.close()
})

test('a popup that is closed and opened again shows the same run', async ({ journey }) => {
  await journey.settings('short')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('workday.html'))
  const first = await journey.browser.openPopup(page)
  await first.click('generate')
  const id = await first.waitForText('run-id')
  await first.close()
  const second = await journey.browser.openPopup(page)
  await second.waitForText('open-pdf')
  expect(await second.text('run-id')).toBe(id)
  await second.close()
  await page.close()
})

test('Copy puts the whole ID on the clipboard, and where that is not allowed shows it for copying by hand', async ({
  journey,
}) => {
  await journey.settings(undefined)
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  const popup = await journey.browser.openPopup(page)
  await popup.click('generate')
  await popup.waitForText('failure-code')
  const { id } = await endOfRun(journey.browser)
  // The clipboard itself belongs to the desktop, which is not there.
  await popup.evaluate(`navigator.clipboard.writeText = async (text) => { globalThis.copied = text }`)
  await popup.click('copy-id')
  expect(await popup.waitFor('globalThis.copied')).toBe(id)
  await popup.evaluate(`navigator.clipboard.writeText = async () => { throw new Error('not allowed') }`)
  await popup.click('copy-id')
  await popup.waitFor(`getSelection().toString() === ${JSON.stringify(id)}`)
  await popup.close()
  await page.close()
})

test('a run whose worker has died is said to be interrupted, and the next can start', async ({ journey }) => {
  await journey.settings('short')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  const lost = { id: 'a'.repeat(32), status: 'running', startedAt: Date.now(), step: 'llm' }
  await journey.browser.worker.evaluate((run) => chrome.storage.local.set({ run }), lost)
  const popup = await journey.browser.openPopup(page)
  await popup.waitFor(`document.body.dataset.status === 'running'`)
  await journey.browser.stopWorker()
  expect(await popup.waitForText('failure-code')).toBe('interrupted')
  await popup.click('generate')
  await popup.waitForText('open-pdf')
  await popup.close()
  await page.close()
})

test('a model that invents is told of, the posting\u2019s terms are shown, and its share of the day is, too', async ({
  journey,
}) => {
  const endpoint = await startOpenAiEndpoint('invents_facts')
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_DAILY_TOKENS_INSTALL: '12000' })
  try {
    await journey.settings('long', stack.relayUrl)
    const told: string[] = []
    while (!told.at(-1)?.includes('used up') && told.length < 8) {
      expect(await journey.generate('json-ld-graph.html')).toMatchObject({ status: 'done' })
      const page = await journey.browser.openExtensionPage('popup/popup.html')
      await expect(page.getByTestId('terms-covered').getByText('PostgreSQL', { exact: true })).toBeVisible()
      await expect(page.getByTestId('terms-missing').locator('li').first()).toBeVisible()
      told.push((await page.getByTestId('notes').textContent()) ?? '')
      await page.close()
    }
    expect(told[0]).toMatch(/^\d+ rewordings were dropped because they said more than your profile does\./)
    expect(told.at(-2), 'before it happens').toContain('This was today’s last resume with rewordings. More at ')
    expect(told.at(-1)).toMatch(/^Today’s rewordings are used up, so your own words were kept\. More at /)
  } finally {
    await stack.stop()
    await endpoint.close()
  }
})
