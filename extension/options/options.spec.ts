import { expect, type Page } from '@playwright/test'
import { ATTR_SESSION_ID, RESOURCE_INSTALLATION_ID } from '../../names.ts'
import type { TracesData } from '../../relay/otlp.ts'
import { bundledProfile, type Journey, test } from '../journey.ts'
import { PREVIEW_REPORT } from '../messages.ts'
import type { PastRun } from '../past-runs.ts'
import type { Report } from '../traces.ts'

/** Quicker than any hand: what is typed before the page has filled itself would be lost. */
async function openOptions({ browser }: Journey): Promise<Page> {
  const page = await browser.openExtensionPage('options/options.html')
  await page.locator('body[data-ready]').waitFor()
  return page
}

test('a profile is pasted, saved, and used by the next run', async ({ journey }) => {
  await journey.settings(undefined)
  const page = await openOptions(journey)
  await page.getByTestId('profile-text').fill(JSON.stringify(await bundledProfile('diacritics'), null, 2))
  await page.getByTestId('profile-save').click()
  await expect(page.getByTestId('profile-summary')).toContainText('Zoë')
  await page.close()
  expect(await journey.generate('plain.html')).toMatchObject({ status: 'done' })
})

test('a field that is wrong is named, and nothing typed is lost', async ({ journey }) => {
  await journey.settings(undefined)
  const page = await openOptions(journey)
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
  const page = await openOptions(journey)
  await page.getByTestId('relay-url').fill('http://relay.example')
  await page.getByTestId('relay-save').click()
  await expect(page.getByTestId('relay-status')).toContainText('https')
  await page.getByTestId('relay-url').fill(journey.relayUrl)
  await page.getByTestId('relay-save').click()
  await page.getByTestId('relay-check').click()
  await expect(page.getByTestId('relay-status')).toContainText('Connected')
  await page.close()
})

test.describe('what is sent', () => {
  const stored = (journey: Journey, key: string) =>
    journey.browser.worker.evaluate(async (key) => (await chrome.storage.local.get(key))[key], key)

  /** A run on a page that holds no posting, once the list says how it ended. */
  async function failedRun(journey: Journey): Promise<string> {
    const { id } = await journey.generate('not-a-posting.html')
    const statusOf = async () => ((await stored(journey, 'runs')) as PastRun[]).find((run) => run.id === id)?.status
    await expect.poll(statusOf).toBe('failed')
    return id
  }

  /** The random IDs that a report of the run would send; none when nothing of it is held. */
  async function idsOf(page: Page, runId: string): Promise<string[]> {
    const message = { type: PREVIEW_REPORT, payload: { runId } }
    const { body } = (await page.evaluate((message) => chrome.runtime.sendMessage(message), message)) as Report
    const [resource] = body ? (JSON.parse(body) as TracesData).resourceSpans : []
    const lists = [resource?.resource?.attributes, resource?.scopeSpans?.[0]?.spans?.[0]?.attributes]
    return lists.flatMap((attributes) =>
      (attributes ?? [])
        .filter(({ key }) => key === RESOURCE_INSTALLATION_ID || key === ATTR_SESSION_ID)
        .map(({ value }) => String(value?.stringValue)),
    )
  }

  test('is the person\u2019s to say, by mouse, by keyboard and from elsewhere', async ({ journey }) => {
    const page = await openOptions(journey)
    const consent = page.getByTestId('sent-consent')
    await expect(consent).not.toBeChecked()
    await journey.consent(true)
    await expect(consent).toBeChecked()
    await consent.click()
    await expect(page.getByTestId('sent-consent-status')).toContainText('Nothing is sent by itself any more')
    expect(await stored(journey, 'consent')).toBe(false)
    await consent.press('Space')
    await expect(page.getByTestId('sent-consent-status')).toContainText('sent from now on')
    expect(await stored(journey, 'consent')).toBe(true)
    await page.close()
  })

  test('new random IDs are new, and records with the old ones are gone', async ({ journey }) => {
    await journey.settings('short')
    const before = await failedRun(journey)
    const page = await openOptions(journey)
    const old = await idsOf(page, before)
    expect(old.length).toBe(2)
    await page.getByTestId('sent-renew').click()
    await expect(page.getByTestId('sent-renew-status')).toContainText('The IDs are new')
    expect(await idsOf(page, before)).toEqual([])
    const renewed = await idsOf(page, await failedRun(journey))
    expect(renewed.length).toBe(2)
    expect(renewed.filter((id) => old.includes(id))).toEqual([])
    await page.close()
  })

  test('past runs are deleted once the question is answered: the list, the resumes, the records', async ({
    journey,
  }) => {
    await journey.settings('short')
    const { id } = await journey.generate('plain.html')
    const failed = await failedRun(journey)
    const page = await openOptions(journey)
    const resumes = () => page.evaluate(async () => (await (await caches.open('resumes')).keys()).map(({ url }) => url))
    expect(await resumes()).toContainEqual(expect.stringContaining(id))
    await page.getByTestId('sent-forget').press('Enter')
    await expect(page.getByTestId('sent-forget-no')).toBeFocused()
    await page.keyboard.press('Escape')
    await expect(page.getByTestId('sent-forget')).toBeFocused()
    expect(await stored(journey, 'runs')).toHaveLength(2)
    await page.getByTestId('sent-forget').click()
    await page.getByTestId('sent-forget-yes').click()
    await expect(page.getByTestId('sent-forget-status')).toHaveText('Deleted.')
    await expect(page.getByTestId('sent-forget')).toBeFocused()
    expect(await stored(journey, 'runs')).toEqual([])
    expect(await resumes()).toEqual([])
    expect(await idsOf(page, failed)).toEqual([])
    await page.goto('about:blank')
    const popup = await journey.browser.openPopup(page)
    expect(await popup.text('run-id'), 'the popup knows of no run').toBe('')
    await popup.click('past-runs')
    await popup.waitForText('past-runs-none')
    await popup.close()
    await page.close()
  })
})
