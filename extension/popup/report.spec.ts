import { expect } from '@playwright/test'
import { tapRelay } from '../../fixtures/relay/tap.ts'
import { endOfRun } from '../../ops/demonstration.ts'
import { urlOf } from '../../ops/postings.ts'
import type { ToolbarPopup } from '../../ops/toolbar-popup.ts'
import { type Journey, test } from '../journey.ts'
import type { PastRun } from '../past-runs.ts'

/** Takes traces and keeps them, and makes no resumes. */
let relay: Awaited<ReturnType<typeof tapRelay>>
test.beforeEach(async () => {
  relay = await tapRelay({ status: 200 })
})
test.afterEach(() => relay.close())

const FOCUSED = 'document.activeElement.dataset.testid'

/** Presses Tab until the element has the focus. */
async function tabTo(popup: ToolbarPopup, testId: string): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    if ((await popup.evaluate<string | undefined>(FOCUSED)) === testId) return
    await popup.press('Tab')
  }
  throw new Error(`Tab does not lead to ${testId}.`)
}

/** A run on a page that holds no posting; resolves when the list says how it ended. */
async function failedRun(journey: Journey): Promise<string> {
  const { id } = await journey.generate('not-a-posting.html')
  await expect.poll(async () => (await pastRun(journey, id))?.status).toBe('failed')
  return id
}

async function pastRun({ browser }: Journey, id: string): Promise<PastRun | undefined> {
  const { runs = [] } = (await browser.worker.evaluate(() => chrome.storage.local.get('runs'))) as { runs?: PastRun[] }
  return runs.find((run) => run.id === id)
}

async function openPopup(journey: Journey) {
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  const popup = await journey.browser.openPopup(page)
  const close = async () => {
    await popup.close()
    await page.close()
  }
  return { popup, close }
}

const shownJson = (popup: ToolbarPopup) =>
  popup.waitFor<string>(`document.querySelector('[data-testid=report-json]').textContent`)

test('by keyboard alone: a run that failed is reported, and what arrives is what was shown', async ({ journey }) => {
  await journey.settings('short', relay.url)
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('not-a-posting.html'))
  const popup = await journey.browser.openPopup(page)
  await tabTo(popup, 'generate')
  await popup.press('Enter')
  expect(await popup.waitForText('failure-code')).toBe('posting_not_found')
  const { id } = await endOfRun(journey.browser)
  await tabTo(popup, 'report')
  await popup.press('Enter')
  expect(await popup.waitFor(`${FOCUSED} === 'report-heading'`)).toBe(true)
  const shown = await shownJson(popup)
  expect(shown).toContain(id)
  expect(await popup.text('report-lead')).toContain('Never your profile')
  expect(await popup.text('report-about')).toContain('Random installation ID')
  expect(await popup.text('report-spans')).toContain('Read the posting')
  expect(relay.bodies, 'nothing is sent by being shown').toEqual([])
  await tabTo(popup, 'report-send')
  await popup.press('Enter')
  const answer = await popup.waitForText('report-answer')
  expect(answer).toBe(`Sent. Tell support this ID: ${id.slice(0, 8)}`)
  expect(await popup.text('announcement')).toBe(answer)
  expect(relay.bodies).toEqual([JSON.parse(shown)])
  expect(relay.kept).toEqual([`/traces/${id}/keep`])
  // The debugger's keys go to the page alone: whether the browser would close the popup, only the event can tell.
  await popup.evaluate(`addEventListener('keydown', (event) => { globalThis.escaped = event.defaultPrevented })`)
  await popup.press('Escape')
  expect(await popup.waitFor(FOCUSED)).toBe('report')
  expect(await popup.evaluate('globalThis.escaped'), 'the popup stays').toBe(true)
  await popup.press('Escape')
  expect(await popup.evaluate('globalThis.escaped'), 'the popup closes').toBe(false)
  expect(await popup.text('failure-code')).toBe('posting_not_found')
  await popup.close()
  await page.close()
})

test('a run of the past is reported from the list, and the list says so', async ({ journey }) => {
  await journey.settings('short', relay.url)
  const older = await failedRun(journey)
  const newer = await failedRun(journey)
  const { popup, close } = await openPopup(journey)
  await tabTo(popup, 'past-runs')
  await popup.press('Enter')
  await popup.waitFor(`document.querySelectorAll('[data-run]').length === 2`)
  const ids = await popup.evaluate(`[...document.querySelectorAll('[data-run]')].map((row) => row.dataset.run)`)
  expect(ids, 'the newest first').toEqual([newer, older])
  const button = `document.querySelector('[data-run="${older}"] [data-action=report]')`
  await popup.evaluate(`${button}.focus()`)
  await popup.press('Enter')
  expect(await shownJson(popup)).toContain(older)
  await tabTo(popup, 'report-send')
  await popup.press('Enter')
  await popup.waitForText('report-answer')
  expect(relay.kept).toEqual([`/traces/${older}/keep`])
  await popup.press('Escape')
  await popup.waitFor(`document.activeElement === ${button}`)
  await popup.waitFor(`document.querySelector('[data-run="${older}"]').innerText.includes('Reported')`)
  await popup.press('Escape')
  expect(await popup.waitFor(FOCUSED)).toBe('past-runs')
  await close()
})

test('the ID and the JSON are copied, and where that is not allowed the ID is shown for copying by hand', async ({
  journey,
}) => {
  await journey.settings('short', relay.url)
  const older = await failedRun(journey)
  await failedRun(journey)
  const { popup, close } = await openPopup(journey)
  // The clipboard itself belongs to the desktop, which is not there.
  await popup.evaluate(`navigator.clipboard.writeText = async (text) => { globalThis.copied = text }`)
  const copied = (text: string) => popup.waitFor(`globalThis.copied === ${JSON.stringify(text)}`)
  await popup.click('past-runs')
  const press = (action: string) =>
    popup.evaluate(`document.querySelector('[data-run="${older}"] [data-action=${action}]').click()`)
  await popup.waitFor(`document.querySelector('[data-run="${older}"]')`)
  await press('copy')
  await copied(older)
  await press('report')
  const shown = await shownJson(popup)
  await popup.evaluate(`document.querySelector('.json').open = true`)
  await popup.click('report-copy-json')
  await copied(shown)
  await popup.click('report-copy-id')
  await copied(older)
  await popup.evaluate(`navigator.clipboard.writeText = async () => { throw new Error('not allowed') }`)
  await popup.click('report-copy-id')
  await popup.waitFor(`getSelection().toString() === ${JSON.stringify(older)}`)
  await close()
})

test('a report that reaches nobody says when it is tried again, and then who has it', async ({ journey }) => {
  relay.answerWith({ status: 503 })
  await journey.settings('short', relay.url)
  const id = await failedRun(journey)
  const { popup, close } = await openPopup(journey)
  await popup.click('report')
  await shownJson(popup)
  await popup.click('report-send')
  expect(await popup.waitForText('report-answer')).toMatch(/sent by itself at \d{1,2}:\d\d/)
  relay.answerWith({ status: 200 })
  await popup.click('report-send')
  await popup.waitFor(`document.querySelector('[data-testid=report-answer]').textContent.startsWith('Sent.')`)
  expect(relay.kept).toEqual([`/traces/${id}/keep`])
  await close()
})

test('a run whose record has gone is still reported, and nothing more is sent', async ({ journey }) => {
  await journey.settings('short', relay.url)
  await journey.consent(true)
  const id = await failedRun(journey)
  await expect.poll(async () => (await pastRun(journey, id))?.trace).toBe('sent')
  expect(relay.bodies.length).toBe(1)
  const { popup, close } = await openPopup(journey)
  await popup.click('report')
  await popup.waitFor(`document.querySelector('[data-testid=report-lead]').innerText.includes('has been sent already')`)
  await popup.click('report-send')
  await popup.waitForText('report-answer')
  expect(relay.kept).toEqual([`/traces/${id}/keep`])
  expect(relay.bodies.length).toBe(1)
  await close()
})

test.describe('whether records may be sent by themselves', () => {
  const stored = (journey: Journey) => journey.browser.worker.evaluate(() => chrome.storage.local.get('consent'))

  test('is asked until there is an answer, and without one nothing is sent', async ({ journey }) => {
    await journey.settings('short', relay.url)
    const id = await failedRun(journey)
    expect((await pastRun(journey, id))?.trace).toBe('held')
    const first = await openPopup(journey)
    await first.popup.waitForText('consent-yes')
    await first.close()
    const second = await openPopup(journey)
    await second.popup.waitForText('consent-yes')
    expect(await stored(journey)).toEqual({})
    expect(relay.bodies).toEqual([])
    await second.close()
  })

  for (const [button, consent] of [
    ['consent-yes', true],
    ['consent-no', false],
  ] as const) {
    test(`is answered by ${button}, and not asked again`, async ({ journey }) => {
      await journey.settings('short', relay.url)
      const first = await openPopup(journey)
      await tabTo(first.popup, button)
      await first.popup.press('Enter')
      expect(await first.popup.waitForText('consent-note')).toContain('You can change this in Options.')
      expect(await first.popup.evaluate(FOCUSED)).toBe('consent-note')
      expect(await first.popup.text('consent-yes')).toBeUndefined()
      expect(await stored(journey)).toEqual({ consent })
      await first.close()
      const id = await failedRun(journey)
      if (consent) await expect.poll(async () => (await pastRun(journey, id))?.trace).toBe('sent')
      else expect((await pastRun(journey, id))?.trace).toBe('held')
      expect(relay.bodies.length).toBe(consent ? 1 : 0)
      const second = await openPopup(journey)
      expect(await second.popup.waitForText('failure-code')).toBe('posting_not_found')
      expect(await second.popup.text('consent-yes')).toBeUndefined()
      await second.close()
    })
  }
})
