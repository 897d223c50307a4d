import { expect } from '@playwright/test'
import { resourceOf, tapRelay } from '../fixtures/relay/tap.ts'
import * as names from '../names.ts'
import { report } from '../ops/demonstration.ts'
import { asSupport } from '../ops/support.ts'
import { layOut, type Waterfall } from '../relay/console/waterfall.ts'
import type { TracesData } from '../relay/otlp.ts'
import { expectSound, pastRuns, stored, test } from './journey.ts'
import { isSampled } from './tracer/sampling.ts'

test('a run that works causes no telemetry request, unless its ID is one of the hundredth part; one that fails is sent at its end', async ({
  journey,
}) => {
  const relay = await tapRelay({ to: journey.relayUrl }, journey.relayUrl)
  const { browser } = journey
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    const random = await browser.worker.evaluate(() => {
      // Every second trace ID is one that is chosen, so that a few runs tell both.
      const real = crypto.getRandomValues.bind(crypto)
      let traces = 0
      crypto.getRandomValues = ((array: Uint8Array<ArrayBuffer>) => {
        real(array)
        if (array.length === 16) array.fill(traces++ % 2 ? 0xff : 0x11, 9, 12)
        return array
      }) as typeof crypto.getRandomValues
      return true
    })
    expect(random).toBe(true)
    for (let index = 0; index < 6; index++) {
      const run = await journey.generate('lever.html')
      expect(run.status).toBe('done')
      await expect
        .poll(async () => (await browser.worker.evaluate(pastRuns)).find(({ id }) => id === run.id)?.trace)
        .toBe(isSampled(run.id) ? 'sent' : 'held')
      expect(relay.bodies).toHaveLength(Math.floor((index + 1) / 2))
    }
    expect(relay.kept).toEqual([])

    const failed = await journey.generate('not-a-posting.html')
    expect(failed).toMatchObject({ status: 'failed', failure: { code: 'posting_not_found' } })
    await expect.poll(() => relay.bodies.length).toBe(4)
    await expect
      .poll(
        async () =>
          (await fetch(`${journey.relayUrl}/api/traces/${failed.id}`, { headers: asSupport(journey.relayUrl) })).status,
      )
      .toBe(200)
  } finally {
    await journey.anotherWorker()
    await relay.close()
  }
})

test('without consent nothing is sent but what is reported, whole and to be kept, and that again only when asked again', async ({
  journey,
}) => {
  const relay = await tapRelay({ status: 200 }, journey.relayUrl)
  const { browser } = journey
  try {
    await journey.settings('short', relay.url)
    const failed = await journey.generate('not-a-posting.html')
    const done = await journey.generate('lever.html')
    await journey.consent(false)
    const again = await journey.generate('not-a-posting.html')
    await expect
      .poll(async () =>
        (await browser.worker.evaluate(pastRuns)).map(({ id, status, trace }) => ({ id, status, trace })),
      )
      .toEqual([
        { id: again.id, status: 'failed', trace: 'held' },
        { id: done.id, status: 'done', trace: 'held' },
        { id: failed.id, status: 'failed', trace: 'held' },
      ])
    expect(relay.bodies).toEqual([])
    await report(browser, done.id)
    expect(relay.kept).toEqual([`/traces/${done.id}/keep`])
    expect(relay.bodies).toHaveLength(1)
    const [sent] = relay.bodies
    expect(sent?.resourceSpans).toHaveLength(1)
    const { services, rows, root, missingParents } = layOut(sent as TracesData)
    expect(services).toEqual([names.SERVICE_EXTENSION])
    expect(root?.name).toBe(names.SPAN_RUN)
    expect(missingParents).toEqual([])
    expect(rows.length).toBeGreaterThan(10)
    expect(await browser.worker.evaluate(pastRuns)).toContainEqual(
      expect.objectContaining({ id: done.id, trace: 'sent', report: 'sent' }),
    )
    // There is nothing left to send of it; asking is still possible.
    await report(browser, done.id)
    expect(relay.bodies).toHaveLength(1)
    expect(relay.kept).toHaveLength(2)
  } finally {
    await relay.close()
  }
})

test('spans that a relay would not take stay, are not pressed on it, and arrive later, also with another worker', async ({
  journey,
}) => {
  const relay = await tapRelay({ status: 503, headers: { 'retry-after': '600' } })
  const { browser } = journey
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    const failed = await journey.generate('lever.html')
    expect(failed).toMatchObject({ status: 'failed', failure: { code: 'server_unreachable' } })
    await expect.poll(() => browser.worker.evaluate(stored('breaker'))).toBe(1)
    const kept = await browser.worker.evaluate<number>(stored('s:'))
    expect(kept).toBeGreaterThan(5)
    expect(relay.bodies).toHaveLength(1)
    // Told to come back in ten minutes, it comes back neither with the next run nor when the person asks.
    await journey.generate('lever.html')
    await expect.poll(() => browser.worker.evaluate<number>(stored('s:'))).toBeGreaterThan(kept)
    await report(browser, failed.id)
    expect(relay.bodies).toHaveLength(1)
    const { notBefore } = (await browser.worker.evaluate(() => chrome.storage.local.get('breaker'))).breaker as {
      notBefore: number
    }
    expect(notBefore).toBeGreaterThan(Date.now() + 500_000)
    const alarm = await browser.worker.evaluate(() => chrome.alarms.get('upload'))
    expect(alarm?.scheduledTime).toBe(notBefore)

    // Ten minutes later, in a worker that knows of this only from storage.
    await journey.settings('short')
    await browser.worker.evaluate(async () => {
      const { breaker } = (await chrome.storage.local.get('breaker')) as { breaker: object }
      await chrome.storage.local.set({ breaker: { ...breaker, notBefore: 0 } })
    })
    await journey.anotherWorker()
    const lookUp = async () => {
      const response = await fetch(`${journey.relayUrl}/api/traces/${failed.id}`, {
        headers: asSupport(journey.relayUrl),
      })
      return response.ok ? layOut((await response.json()) as TracesData) : undefined
    }
    await expect.poll(async () => (await lookUp())?.root?.failureCode).toBe('server_unreachable')
    expectSound((await lookUp()) as Waterfall)
    await expect.poll(() => browser.worker.evaluate(stored('s:'))).toBe(0)
    await expect.poll(() => browser.worker.evaluate(stored('breaker'))).toBe(0)
  } finally {
    await relay.close()
  }
})

test('spans that a relay refuses for good do not stand in the way, and are counted in what is sent next', async ({
  journey,
}) => {
  const relay = await tapRelay({ status: 400 })
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    const run = await journey.generate('lever.html')
    await expect.poll(() => journey.browser.worker.evaluate(stored('s:'))).toBe(0)
    expect(relay.bodies).toHaveLength(1)
    await expect
      .poll(() => journey.browser.worker.evaluate(pastRuns))
      .toEqual([expect.objectContaining({ id: run.id, trace: 'dropped' })])
    relay.answerWith({ status: 200 })
    await journey.generate('lever.html')
    await journey.generate('lever.html')
    await expect.poll(() => relay.bodies.length).toBe(3)
    const refused = layOut(relay.bodies[0] as TracesData).rows.length
    expect(relay.bodies.map(resourceOf).map((resource) => resource[names.RESOURCE_DROPPED_REFUSED])).toEqual([
      undefined,
      refused,
      undefined,
    ])
  } finally {
    await relay.close()
  }
})

test('a report that cannot be made now waits, whatever answers there, also beyond a day, and spans do not wait for keeping', async ({
  journey,
}) => {
  const relay = await tapRelay({ status: 404 }, journey.relayUrl)
  const { browser } = journey
  const listed = async (id: string) => (await browser.worker.evaluate(pastRuns)).find((run) => run.id === id)
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    const done = await journey.generate('lever.html')
    // Something answers at the address, but it is no relay.
    await report(browser, done.id)
    expect(await listed(done.id)).toMatchObject({ trace: 'held', report: 'waiting' })
    // The next day the relay is there, and keeps no more traces this hour.
    await browser.worker.evaluate(async () => {
      const all = await chrome.storage.local.get(null)
      const older = Object.entries(all).flatMap(([key, value]) => {
        if (!key.startsWith('s:')) return []
        const span = JSON.parse(value as string)
        for (const time of ['startTime', 'endTime']) span[time][0] -= 25 * 3_600
        return [[key, JSON.stringify(span)]]
      })
      await chrome.storage.local.set(Object.fromEntries(older))
      await chrome.storage.local.remove('breaker')
    })
    const before = relay.bodies.length
    relay.answerWith({ status: 200 }, { status: 429, headers: { 'retry-after': '1800' } })
    const failed = await journey.generate('not-a-posting.html')
    await expect.poll(async () => (await listed(failed.id))?.trace).toBe('sent')
    await expect.poll(() => listed(done.id)).toMatchObject({ trace: 'sent', report: 'waiting' })
    // Keeping is asked for after the list has it that the spans are there.
    await expect.poll(() => relay.kept.length, 'one more, and no other before half an hour is over').toBe(1)
    await expect.poll(async () => (await listed(done.id))?.keepNotBefore ?? 0).toBeGreaterThan(0)
    expect(relay.bodies.slice(before).flatMap((body) => layOut(body).rows).length).toBeGreaterThan(15)
    const again = await journey.generate('not-a-posting.html')
    await expect.poll(async () => (await listed(again.id))?.trace).toBe('sent')
    expect(relay.kept.length).toBe(1)
    // The person asks again, and by then it is possible.
    relay.answerWith({ status: 200 })
    await report(browser, done.id)
    expect(await listed(done.id)).toMatchObject({ trace: 'sent', report: 'sent' })
    expect(relay.kept.length).toBe(2)
  } finally {
    await relay.close()
  }
})

test('consent that is taken back in the middle of an upload ends it', async ({ journey }) => {
  const relay = await tapRelay({ status: 503, headers: { 'retry-after': '600' } }, journey.relayUrl)
  const { browser } = journey
  try {
    await journey.settings('short', relay.url)
    await journey.consent(true)
    const run = await journey.generate('not-a-posting.html')
    await expect.poll(() => browser.worker.evaluate(stored('breaker'))).toBe(1)
    // As many spans as make five requests.
    await browser.worker.evaluate(async (traceId) => {
      const all = await chrome.storage.local.get(null)
      const span = JSON.parse(Object.entries(all).find(([key]) => key.startsWith('s:'))?.[1] as string)
      const copies = Array.from({ length: 1_000 }, (_, index) => {
        const spanId = (index + 1).toString(16).padStart(16, '0')
        return [`s:${spanId}`, JSON.stringify({ ...span, traceId, spanId })]
      })
      await chrome.storage.local.set(Object.fromEntries(copies))
      await chrome.storage.local.remove('breaker')
    }, run.id)
    const before = relay.bodies.length
    relay.answerWith({ status: 200 })
    relay.during(() => journey.consent(false))
    await journey.generate('lever.html')
    await expect
      .poll(async () => (await browser.worker.evaluate(pastRuns)).map(({ trace }) => trace))
      .toEqual(['held', 'held'])
    expect(relay.bodies.length - before).toBe(1)
    expect(await browser.worker.evaluate<number>(stored('s:'))).toBeGreaterThan(800)
  } finally {
    await relay.close()
  }
})
