import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { tapRelay } from '../fixtures/relay/tap.ts'
import { endOfRun } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { FAILURES } from '../server/contract.ts'
import { anotherStack, type Journey, rowsNamed, test } from './journey.ts'
import { RENEW_IDS } from './messages.ts'

interface Stored {
  relayUrl: string
  token: string
  refresh: string
  expiresAt: number
}

const access = async ({ browser }: Journey) =>
  (await browser.worker.evaluate(() => chrome.storage.local.get('access'))).access as Stored
const installOf = ({ token }: Stored): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub

/** Changes what is in storage, and has a worker that knows nothing else. */
async function change(journey: Journey, changes: Partial<Stored>): Promise<void> {
  const access_ = { ...(await access(journey)), ...changes }
  await journey.browser.worker.evaluate((access) => chrome.storage.local.set({ access }), access_)
  await journey.anotherWorker()
}

async function renewIds({ browser }: Journey): Promise<void> {
  const page = await browser.openExtensionPage('options/options.html')
  await page.evaluate((type) => chrome.runtime.sendMessage({ type }), RENEW_IDS)
  await page.close()
}

test('an install registers once, before it is needed, leaves no span of it, and is the only one that its runs open for', async ({
  journey,
}) => {
  const relay = await tapRelay({ to: journey.relayUrl }, journey.relayUrl)
  try {
    await journey.settings('short', relay.url)
    // A popup is open, and nobody has asked for a run yet.
    await journey.anotherWorker()
    await expect.poll(async () => (await access(journey))?.relayUrl).toBe(relay.url)
    expect(relay.installs).toEqual(['/installs'])
    const run = await journey.generate('lever.html')
    expect(run.status).toBe('done')
    await journey.anotherWorker()
    expect((await journey.generate('lever.html')).status).toBe('done')
    expect(relay.installs).toEqual(['/installs'])
    expect(rowsNamed(await journey.trace(run), 'POST', 'pass-ats-extension')).toHaveLength(1)

    const { token } = await (await fetch(`${journey.relayUrl}/installs`, { method: 'POST' })).json()
    const own = (await access(journey)).token
    for (const path of ['resume.pdf', 'events']) {
      const statusFor = async (headers: Record<string, string>) =>
        (await fetch(`${journey.relayUrl}/runs/${run.id}/${path}`, { headers })).status
      expect(await statusFor({}), path).toBe(401)
      expect(await statusFor({ authorization: `Bearer ${token}` }), path).toBe(404)
      expect(await statusFor({ authorization: `Bearer ${own}` }), path).toBe(200)
    }
  } finally {
    await relay.close()
  }
})

test('a token is renewed by the worker that finds it old, one that the relay refuses within the run, and one of a lost secret by registering anew', async ({
  journey,
}) => {
  const relay = await tapRelay({ to: journey.relayUrl }, journey.relayUrl)
  try {
    await journey.settings('short', relay.url)
    expect((await journey.generate('lever.html')).status).toBe('done')
    const first = await access(journey)

    await change(journey, { expiresAt: Date.now() + 300_000 })
    await expect.poll(() => relay.installs).toEqual(['/installs', '/installs/refresh'])
    await expect.poll(async () => (await access(journey)).expiresAt).toBeGreaterThan(Date.now() + 3_000_000)
    expect(installOf(await access(journey))).toBe(installOf(first))

    await change(journey, { token: `${first.token}x` })
    expect((await journey.generate('lever.html')).status).toBe('done')
    expect(relay.installs.slice(2)).toEqual(['/installs/refresh'])
    expect(installOf(await access(journey))).toBe(installOf(first))

    await change(journey, { token: 'lost', refresh: 'lost' })
    const run = await journey.generate('lever.html')
    expect(run.status).toBe('done')
    expect(relay.installs.slice(3)).toEqual(['/installs/refresh', '/installs'])
    expect(installOf(await access(journey))).not.toBe(installOf(first))
    await journey.trace(run)
  } finally {
    await relay.close()
  }
})

test('new random IDs are another install, but not for the run that is under way', async ({ journey }) => {
  const endpoint = await startOpenAiEndpoint('held')
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
  try {
    await journey.settings('short', stack.relayUrl)
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf('lever.html'))
    const popup = await journey.browser.openPopup(page)
    await popup.click('generate')
    await expect.poll(() => endpoint.requests.length).toBe(1)
    await popup.close()
    const before = await access(journey)
    // It waits: the run's PDF is for the install that asked for it.
    const renewed = renewIds(journey)
    endpoint.release()
    expect(await endOfRun(journey.browser)).toMatchObject({ status: 'done' })
    await renewed
    expect(await access(journey)).toBeUndefined()
    await page.close()
    expect((await journey.generate('lever.html')).status).toBe('done')
    const after = await access(journey)
    expect(installOf(after)).not.toBe(installOf(before))
    await renewIds(journey)
    expect(await access(journey)).toBeUndefined()
  } finally {
    await stack.stop()
    await endpoint.close()
  }
})

test('who has made too many runs is told so, and when there is one again', async ({ journey }) => {
  const stack = await anotherStack({ RELAY_QUOTA_INSTALL: 'runs=1' })
  try {
    await journey.settings('short', stack.relayUrl)
    expect((await journey.generate('lever.html')).status).toBe('done')
    const run = await journey.generate('lever.html')
    const { message } = FAILURES.rate_limited
    const advice = expect.stringMatching(/^Nothing is lost\. Try again in (59|60) minutes\.$/)
    expect(run).toMatchObject({ status: 'failed', failure: { code: 'rate_limited', message, advice } })
    const waterfall = await journey.trace(run, stack.relayUrl)
    expect(waterfall.root).toMatchObject({ status: 'error', failureCode: 'rate_limited' })
    expect(rowsNamed(waterfall, 'POST /generate', 'pass-ats-relay')).toMatchObject([
      { attributes: { 'error.type': 'quota_install', 'http.response.status_code': 429 } },
    ])
  } finally {
    await stack.stop()
  }
})
