import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { wireTo } from '../fixtures/relay/wire.ts'
import { endOfRun } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { anotherStack, rowsNamed, test } from './journey.ts'
import type { RunRecord } from './run-record.ts'

test('a connection that is cut in the middle of a run is taken up where it was, and the run is one trace', async ({
  journey,
}) => {
  const endpoint = await startOpenAiEndpoint('held')
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
  const wire = await wireTo(stack.relayUrl)
  try {
    await journey.settings('short', wire.url)
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf('lever.html'))
    const popup = await journey.browser.openPopup(page)
    await popup.click('generate')
    // Once the stage and the question to the model have been told, the stream stands.
    const seen = () => journey.browser.worker.evaluate(() => chrome.storage.local.get('active'))
    await expect
      .poll(async () => ((await seen()).active as RunRecord | undefined)?.lastEventId)
      .toBeGreaterThanOrEqual(2)
    await expect.poll(() => endpoint.requests.length).toBe(1)
    wire.cut()
    endpoint.release()
    const run = await endOfRun(journey.browser)
    expect(run).toMatchObject({ status: 'done' })
    expect(endpoint.requests, 'the run was made once').toHaveLength(1)
    await popup.close()
    await page.close()
    const waterfall = await journey.trace(run, stack.relayUrl)
    const streams = rowsNamed(waterfall, 'GET /runs/{id}/events', 'pass-ats-server')
    expect(streams.at(-1)?.attributes).toMatchObject({
      'pass_ats.sse.close_reason': 'finished',
      'pass_ats.sse.resumed': true,
    })
    expect(streams.length).toBeGreaterThanOrEqual(2)
    expect(streams[0]?.attributes['pass_ats.sse.close_reason']).toBe('client_disconnected')
  } finally {
    await wire.close()
    await stack.stop()
    await endpoint.close()
  }
})

test('a page that never finishes loading is read all the same', async ({ journey }) => {
  await journey.settings('short')
  const { context } = journey.browser
  const page = await context.newPage()
  const held = Promise.withResolvers<void>()
  await context.route('https://slow.example/**', async (route) => {
    await held.promise
    await route.abort()
  })
  const address = urlOf('lever.html')
  await page.goto(address, { waitUntil: 'commit' })
  await page.evaluate(() => {
    const script = document.createElement('script')
    script.src = 'https://slow.example/never.js'
    document.head.append(script)
  })
  const popup = await journey.browser.openPopup(page)
  await popup.click('generate')
  expect(await endOfRun(journey.browser)).toMatchObject({ status: 'done' })
  held.resolve()
  await popup.close()
  await page.close()
  await context.unroute('https://slow.example/**')
})

test('two presses at once are one run', async ({ journey }) => {
  await journey.settings('short')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  const popup = await journey.browser.openPopup(page)
  const ids = await popup.evaluate<string[]>(`(async () => {
    const [tab] = await chrome.tabs.query({ active: true, currentWindow: true })
    const payload = { tabId: tab.id, clickedAt: Date.now() }
    const ask = () => chrome.runtime.sendMessage({ type: 'background/start_run', payload })
    return (await Promise.all([ask(), ask(), ask()])).map(({ run }) => run.id)
  })()`)
  expect(new Set(ids).size).toBe(1)
  expect(await endOfRun(journey.browser)).toMatchObject({ id: ids[0], status: 'done' })
  await popup.close()
  await page.close()
})
