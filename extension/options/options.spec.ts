import { expect } from '@playwright/test'
import { bundledProfile, test } from '../journey.ts'

test('a profile is pasted, saved, and used by the next run', async ({ journey }) => {
  await journey.settings(undefined)
  const page = await journey.browser.openExtensionPage('options/options.html')
  await page.getByTestId('profile-text').fill(JSON.stringify(await bundledProfile('diacritics'), null, 2))
  await page.getByTestId('profile-save').click()
  await expect(page.getByTestId('profile-summary')).toContainText('Zoë')
  await page.close()
  expect(await journey.generate('plain.html')).toMatchObject({ status: 'done' })
})

test('a field that is wrong is named, and nothing typed is lost', async ({ journey }) => {
  await journey.settings(undefined)
  const page = await journey.browser.openExtensionPage('options/options.html')
  const text = JSON.stringify({ basics: { name: 'Ada' }, work: [{ name: 'A' }, { name: 'B', startDate: 'May' }] })
  await page.getByTestId('profile-text').fill(text)
  await page.getByTestId('profile-save').click()
  await expect(page.getByTestId('profile-problems')).toContainText('work[1].startDate')
  await page.reload()
  await expect(page.getByTestId('profile-text')).toHaveValue(text)
  expect(await journey.browser.worker.evaluate(() => chrome.storage.local.get('profile'))).toEqual({})
  await page.close()
})

test('the relay\u2019s address is checked before anybody depends on it', async ({ journey }) => {
  const page = await journey.browser.openExtensionPage('options/options.html')
  await page.getByTestId('relay-url').fill('http://relay.example')
  await page.getByTestId('relay-save').click()
  await expect(page.getByTestId('relay-status')).toContainText('https')
  await page.getByTestId('relay-url').fill(journey.relayUrl)
  await page.getByTestId('relay-save').click()
  await page.getByTestId('relay-check').click()
  await expect(page.getByTestId('relay-status')).toContainText('Connected')
  await page.close()
})
