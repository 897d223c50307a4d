import { expect } from '@playwright/test'
import { urlOf } from '../../ops/postings.ts'
import { test } from '../journey.ts'

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
