import { expect, type Page } from '@playwright/test'
import { resourceOf, tapRelay } from '../fixtures/relay/tap.ts'
import * as names from '../names.ts'
import { report } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { layOut } from '../relay/console/waterfall.ts'
import { pastRuns, stored, test } from './journey.ts'

test('a journal with anything in it is read, bounded and counted: 10,000 spans, and entries that are none', async ({
  journey,
}) => {
  const { browser } = journey
  const relay = await tapRelay({ status: 200 }, journey.relayUrl)
  await browser.worker.evaluate(async () => {
    const entries: Record<string, unknown> = {}
    const now = Math.floor(Date.now() / 1000)
    for (let index = 0; index < 10_000; index++) {
      const traceId = (Math.floor(index / 20) + 1).toString(16).padStart(32, '0')
      const spanId = (index + 1).toString(16).padStart(16, '0')
      // The first 2,000 are older than a day.
      const time = [now - 20_000 + index - (index < 2_000 ? 86_400 : 0), 0]
      const rest = { kind: 0, status: { code: 0 }, attributes: {}, links: [], events: [], boot: 'earlier' }
      entries[`s:${spanId}`] = JSON.stringify({
        ...{ name: 'extract', traceId, spanId, startTime: time, endTime: time },
        ...rest,
      })
    }
    Object.assign(entries, {
      's:broken': '{"name":',
      's:number': 42,
      's:null': 'null',
      's:list': '[]',
      heartbeat: 'what',
      runs: 'what',
      dropped: 'what',
    })
    await chrome.storage.local.set(entries)
  })
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    expect(await journey.generate('not-a-posting.html')).toMatchObject({ status: 'failed' })
    await expect.poll(() => relay.bodies.length, { timeout: 20_000 }).toBe(1)
    // 49 old traces and the new one are within bounds; the new one is sent, and tells what became of the rest.
    await expect.poll(() => browser.worker.evaluate<number>(stored('s:'))).toBe(49 * 20)
    expect(resourceOf(relay.bodies[0])).toMatchObject({
      [names.RESOURCE_DROPPED_EXPIRED]: 2_000,
      [names.RESOURCE_DROPPED_EVICTED]: 8_000 - 49 * 20,
      [names.RESOURCE_DROPPED_UNREADABLE]: 4,
    })
    expect(await browser.worker.evaluate(stored('dropped'))).toBe(0)
    const alarm = await browser.worker.evaluate(() => chrome.alarms.get('upload'))
    expect(alarm?.scheduledTime, 'the next look is when the day of the oldest is over').toBeGreaterThan(Date.now())
  } finally {
    await relay.close()
  }
})

test('with storage full, the person sees their run and gets their PDF; what could not be written is counted', async ({
  journey,
}) => {
  const { browser } = journey
  const relay = await tapRelay({ status: 200 }, journey.relayUrl)
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    await browser.worker.evaluate(async () => {
      const { QUOTA_BYTES } = chrome.storage.local
      const left = QUOTA_BYTES - (await chrome.storage.local.getBytesInUse(null))
      // Chromium counts the key, and the value as JSON.
      await chrome.storage.local.set({ filler: 'x'.repeat(left - 'filler'.length - 2) })
    })
    const page = await browser.context.newPage()
    await page.goto(urlOf('lever.html'))
    const popup = await browser.openPopup(page)
    await popup.click('generate')
    await popup.waitForText('open-pdf')
    const id = await popup.evaluate<string>(`document.querySelector('[data-testid=run-id]').title`)
    await popup.close()
    const later = await browser.openPopup(page)
    await later.waitFor(`document.querySelector('[data-testid=run-id]').title === ${JSON.stringify(id)}`)
    await later.close()
    await page.close()
    expect(await browser.worker.evaluate(stored('s:'))).toBe(0)
    await report(browser, id)
    expect(relay.kept, 'it can be reported all the same').toEqual([`/traces/${id}/keep`])
    await browser.worker.evaluate(() => chrome.storage.local.remove('filler'))
    await journey.generate('not-a-posting.html')
    await expect.poll(() => relay.bodies.length).toBe(1)
    expect(resourceOf(relay.bodies[0])[names.RESOURCE_DROPPED_UNWRITTEN]).toBeGreaterThan(10)
  } finally {
    await relay.close()
  }
})

test('with the clock set back an hour, runs are made, held and sent as ever', async ({ journey }) => {
  const { browser } = journey
  const relay = await tapRelay({ status: 503 }, journey.relayUrl)
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    await journey.generate('not-a-posting.html')
    await expect.poll(() => browser.worker.evaluate(stored('breaker'))).toBe(1)
    await browser.worker.evaluate(() => {
      const { now } = Date
      Date.now = () => now() - 3_600_000
    })
    relay.answerWith({ status: 200 })
    expect(await journey.generate('lever.html')).toMatchObject({ status: 'done' })
    const failed = await journey.generate('not-a-posting.html')
    expect(failed).toMatchObject({ status: 'failed' })
    // The wait that was to end in an hour from now, by this clock, is not waited for.
    await expect.poll(() => browser.worker.evaluate(stored('breaker'))).toBe(0)
    const sent = new Set(relay.bodies.flatMap((body) => layOut(body).rows.map(({ name }) => name)))
    expect(sent).toContain(names.SPAN_RUN)
    await expect
      .poll(async () => (await browser.worker.evaluate(pastRuns)).map(({ trace }) => trace))
      .toEqual(['sent', 'held', 'sent'])
  } finally {
    await journey.anotherWorker()
    await relay.close()
  }
})

test('two windows at once make one run, and both show it', async ({ journey }) => {
  const { browser } = journey
  await journey.settings('short')
  const first = await browser.context.newPage()
  await first.goto(urlOf('lever.html'))
  const opened = browser.context.waitForEvent('page')
  await browser.worker.evaluate((url) => chrome.windows.create({ url, focused: false }), urlOf('workday.html'))
  const second = await opened
  await second.waitForLoadState()
  // Two popups cannot be open by hand; two of our pages asking at once can.
  const pages = await Promise.all([0, 1].map(() => browser.openExtensionPage('popup/popup.html')))
  const [asking] = pages as [Page]
  // From one of them, in one turn: a run that cannot read its page is over before another process has asked.
  const ids = await asking.evaluate(async () => {
    const tabs = await chrome.tabs.query({ active: true })
    const payload = {
      tabId: tabs.find(({ url }) => url?.startsWith('chrome-extension'))?.id ?? 0,
      clickedAt: Date.now(),
    }
    const ask = async () =>
      (await chrome.runtime.sendMessage({ type: 'background/start_run', payload })).run.id as string
    return Promise.all([ask(), ask()])
  })
  expect(new Set(ids).size).toBe(1)
  for (const page of pages) await expect(page.getByTestId('run-id')).toHaveAttribute('title', ids[0] as string)
  await expect
    .poll(async () => (await browser.worker.evaluate(pastRuns)).map(({ id, status }) => `${id} ${status}`))
    .toEqual([`${ids[0]} failed`])
  for (const page of [...pages, first, second]) await page.close()
})
