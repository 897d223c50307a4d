/**
 * axe finds nothing wrong in any state of popup and options, light and dark. The popup's page is opened as a tab of the
 * popup's size: what it shows is what is in storage, and axe is at home in a tab.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, type Page } from '@playwright/test'
import type { AxeResults } from 'axe-core'
import { tapRelay } from '../fixtures/relay/tap.ts'
import type { Browser } from '../ops/browser.ts'
import { FAILURES } from '../server/contract.ts'
import { type Journey, test } from './journey.ts'
import type { PastRun } from './past-runs.ts'
import type { RunState } from './run-state.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const startedAt = Date.now() - 60_000
const run: RunState = {
  ...{ id: '4bf92f35'.repeat(4), status: 'running', step: 'compile', startedAt },
  posting: { title: 'Senior Line Cook, Evenings', company: 'Harbour Kitchen' },
}
const done: RunState = {
  ...{ ...run, status: 'done', step: 'deliver', endedAt: startedAt + 8_000 },
  pdf: { fileName: 'Ada-Harbour-Kitchen.pdf', pages: 1, sizeBytes: 48_211 },
  keywords: { matched: 9, total: 14 },
}
const words =
  'Kitchen,HACCP,Grill,Knife skills,Inventory,Food safety,Evenings,Sauces,Plating,Ordering,Pastry,Gluten-free,Wine'
const told: RunState = {
  ...done,
  terms: words.split(',').map((text, index) => ({ text, covered: index < 8 })),
  keywords: { matched: 8, total: 13 },
  wording: { by: 'model', reworded: 6, dropped: 2, left: 3, resetsAt: startedAt + 86_400_000 },
}
const writing: RunState = { ...run, step: 'llm', writing: { statements: 7, correcting: false } }
const failed: RunState = {
  ...{ ...run, status: 'failed', endedAt: startedAt + 8_000 },
  failure: { code: 'relay_unreachable', ...FAILURES.relay_unreachable },
}
const detailed: RunState = {
  ...failed,
  failure: { code: 'latex_invalid', ...FAILURES.latex_invalid, detail: 'one line of many '.repeat(18) },
}
const long = 'A title that goes on, and on, and on, and is far too long for one line of the list'
const runs: PastRun[] = Array.from({ length: 50 }, (_, index) => ({
  ...{ id: index.toString(16).padStart(8, '0').repeat(4), startedAt: startedAt - index * 3_600_000, trace: 'held' },
  ...(index === 0 ? { status: 'running' } : index % 2 ? { status: 'failed', code: 'internal' } : { status: 'done' }),
  ...(index === 3 ? {} : { posting: { title: index % 5 ? 'Cook' : long, company: 'Harbour Kitchen' } }),
  ...(index === 1 ? { report: 'sent' } : {}),
}))
const profile = { basics: { name: 'Ada' } }

/** What is in storage, and what is pressed then, in turn. */
const POPUP: Record<string, { stored: object; pressed?: string; seen: string }> = {
  'before the profile is there': { stored: {}, seen: 'open-options' },
  'before the first run': { stored: { profile, consent: false }, seen: 'hint' },
  'asking for consent': { stored: { profile }, seen: 'consent-yes' },
  'with consent given': { stored: { profile }, pressed: 'consent-yes', seen: 'consent-note' },
  'while a run is under way': { stored: { profile, run }, seen: 'elapsed' },
  'while a model writes': { stored: { profile, run: writing }, seen: 'elapsed' },
  'with a resume and much to say of it': { stored: { profile, run: told }, seen: 'terms-missing' },
  'with a resume': { stored: { profile, run: done }, seen: 'open-pdf' },
  'after a failure': { stored: { profile, run: failed, consent: false }, seen: 'failure-code' },
  'after a failure that has much to say': { stored: { profile, run: detailed }, seen: 'failure-detail' },
  'asking for consent after a failure': { stored: { profile, run: failed }, seen: 'consent-yes' },
  'with past runs': { stored: { profile, runs }, pressed: 'past-runs', seen: 'past-runs-list' },
  'with no past runs': { stored: { profile }, pressed: 'past-runs', seen: 'past-runs-none' },
  'with a report of which nothing is left': { stored: { profile, run: done }, pressed: 'report', seen: 'report-lead' },
}

async function openPopupAsTab({ browser }: Journey): Promise<Page> {
  const page = await openPage(browser, 'popup/popup.html')
  await page.setViewportSize({ width: 360, height: 560 })
  await page.waitForSelector('body[data-status]')
  return page
}

async function openPage(browser: Browser, path: string): Promise<Page> {
  const page = await browser.openExtensionPage(path)
  // Halfway through a transition a colour is neither the one nor the other.
  await page.emulateMedia({ reducedMotion: 'reduce' })
  return page
}

/** In both colour schemes, and nothing may be wider than the page. */
async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    const { violations } = (await page.evaluate('axe.run()')) as AxeResults
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
    expect(found, colorScheme).toEqual([])
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
}

for (const [state, { stored, pressed, seen }] of Object.entries(POPUP)) {
  test(`the popup ${state}`, async ({ journey }) => {
    await journey.browser.worker.evaluate((stored) => chrome.storage.local.set(stored), stored)
    const page = await openPopupAsTab(journey)
    if (pressed) await page.getByTestId(pressed).click()
    await expect(page.getByTestId(seen)).toBeVisible()
    await expectAccessible(page)
    await page.close()
  })
}

test('the popup with a report, all of it open, and with the report sent', async ({ journey }) => {
  const relay = await tapRelay({ status: 200 })
  try {
    await journey.settings('short', relay.url)
    await journey.generate('not-a-posting.html')
    const page = await openPopupAsTab(journey)
    await page.getByTestId('report').click()
    await expect(page.getByTestId('report-spans').locator('li')).not.toHaveCount(0)
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true
    })
    await expectAccessible(page)
    await page.getByTestId('report-send').click()
    await expect(page.getByTestId('report-answer')).toContainText('Sent')
    await expectAccessible(page)
    await page.close()
  } finally {
    await relay.close()
  }
})

test('the options, with something to correct and a question open, wide and narrow', async ({ journey }) => {
  await journey.settings('short')
  const page = await openPage(journey.browser, 'options/options.html')
  await page.getByTestId('profile-text').fill('{"basics": {}, "work": [{"startDate": "May"}]}')
  await page.getByTestId('profile-save').click()
  await page.getByTestId('sent-consent').click()
  await expect(page.getByTestId('sent-consent-status')).not.toBeEmpty()
  await page.getByTestId('sent-forget').click()
  await expect(page.getByTestId('profile-problems')).toBeVisible()
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 })
    await expectAccessible(page)
  }
  await page.close()
})
