import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from '@playwright/test'
import { layOut } from '../relay/console/waterfall.ts'
import type { TracesData } from '../relay/otlp.ts'
import { test } from './journey.ts'

/** A relay that is there and takes no spans. */
async function unwillingRelay(status: number, headers: Record<string, string> = {}) {
  let asked = 0
  const server = createServer((request, response) => {
    if (request.url === '/v1/traces') asked++
    response.writeHead(request.url === '/v1/traces' ? status : 503, headers).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const stored = (key: string) =>
  `chrome.storage.local.get(null).then((all) => Object.keys(all).filter((k) => k.startsWith(${JSON.stringify(key)})).length)`

test('spans that a relay would not take stay, are not pressed on it, and arrive later, also with another worker', async ({
  journey,
}) => {
  const relay = await unwillingRelay(503, { 'retry-after': '600' })
  const { browser } = journey
  try {
    await journey.settings('short', relay.url)
    const failed = await journey.generate('lever.html')
    expect(failed).toMatchObject({ status: 'failed', failure: { code: 'server_unreachable' } })
    await expect.poll(() => browser.worker.evaluate(stored('flush'))).toBe(1)
    const kept = await browser.worker.evaluate<number>(stored('s:'))
    expect(kept).toBeGreaterThan(5)
    expect(relay.asked()).toBe(1)
    // Told to come back in ten minutes, it does not come back with the next run.
    await journey.generate('lever.html')
    await expect.poll(() => browser.worker.evaluate<number>(stored('s:'))).toBeGreaterThan(kept)
    expect(relay.asked()).toBe(1)
    const { notBefore } = (await browser.worker.evaluate(() => chrome.storage.local.get('flush'))).flush as {
      notBefore: number
    }
    expect(notBefore).toBeGreaterThan(Date.now() + 500_000)
    const alarm = await browser.worker.evaluate(() => chrome.alarms.get('upload'))
    expect(alarm?.scheduledTime).toBe(notBefore)

    // Ten minutes later, in a worker that knows of this only from storage.
    await journey.settings('short')
    await browser.worker.evaluate((state) => chrome.storage.local.set({ flush: state }), { failures: 1, notBefore: 0 })
    const page = await browser.openExtensionPage('resume/resume.html')
    await browser.stopWorker()
    await page.evaluate(() => chrome.runtime.connect())
    await page.close()
    const lookUp = async () => {
      const response = await fetch(`${journey.relayUrl}/api/traces/${failed.id}`)
      return response.ok ? layOut((await response.json()) as TracesData) : undefined
    }
    await expect.poll(async () => (await lookUp())?.root?.failureCode).toBe('server_unreachable')
    expect((await lookUp())?.missingParents).toEqual([])
    await expect.poll(() => browser.worker.evaluate(stored('s:'))).toBe(0)
    expect(await browser.worker.evaluate(stored('flush'))).toBe(0)
  } finally {
    await relay.close()
  }
})

test('spans that a relay refuses for good do not stand in the way', async ({ journey }) => {
  const relay = await unwillingRelay(400)
  try {
    await journey.settings('short', relay.url)
    await journey.generate('lever.html')
    await expect.poll(() => journey.browser.worker.evaluate(stored('s:'))).toBe(0)
    expect(relay.asked()).toBe(1)
  } finally {
    await relay.close()
  }
})

test('a journal with anything in it is read, bounded, and emptied: 10,000 spans, and entries that are none', async ({
  journey,
}) => {
  const { browser } = journey
  await browser.worker.evaluate(async () => {
    const entries: Record<string, unknown> = {}
    for (let index = 0; index < 10_000; index++) {
      const traceId = (Math.floor(index / 20) + 1).toString(16).padStart(32, '0')
      const spanId = (index + 1).toString(16).padStart(16, '0')
      const time = [1_700_000_000 + index, 0]
      const rest = { kind: 0, status: { code: 0 }, attributes: {}, links: [], events: [], boot: 'earlier' }
      entries[`s:${spanId}`] = JSON.stringify({
        name: 'extract',
        traceId,
        spanId,
        startTime: time,
        endTime: time,
        ...rest,
      })
    }
    Object.assign(entries, {
      's:broken': '{"name":',
      's:number': 42,
      's:null': 'null',
      's:list': '[]',
      heartbeat: 'what',
    })
    await chrome.storage.local.set(entries)
  })
  await journey.settings('short')
  expect(await journey.generate('lever.html')).toMatchObject({ status: 'done' })
  await expect.poll(() => browser.worker.evaluate(stored('s:0')), { timeout: 20_000 }).toBe(0)
  // The newest 2,000 were sent, whole traces of them; the oldest went.
  const trace = (n: number) => fetch(`${journey.relayUrl}/api/traces/${n.toString(16).padStart(32, '0')}`)
  expect((await trace(1)).status).toBe(404)
  expect((await trace(500)).status).toBe(200)
})
