import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { wireTo } from '../fixtures/relay/wire.ts'
import { endOfRun, newestRun } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { asSupport } from '../ops/support.ts'
import { anotherStack, pastRuns, rowsNamed, test } from './journey.ts'

test('a run is cancelled from the popup, by keyboard: the model is left, the trace is whole, and nothing is an error', async ({
  journey,
}) => {
  const endpoint = await startOpenAiEndpoint('held')
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
  try {
    await journey.settings('short', stack.relayUrl)
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf('lever.html'))
    const popup = await journey.browser.openPopup(page)
    expect(await popup.text('cancel')).toBeUndefined()
    await popup.click('generate')
    await endpoint.asked
    expect(await popup.text('cancel')).toBeTruthy()
    await popup.evaluate(`document.querySelector('[data-testid=cancel]').focus()`)
    await popup.press('Enter')
    const run = await endOfRun(journey.browser)
    expect(run).toMatchObject({ status: 'failed', failure: { code: 'cancelled' } })
    await expect.poll(() => popup.text('status')).toBe('Cancelled')
    expect(await popup.text('failure')).toBeUndefined()
    expect(await popup.text('cancel')).toBeUndefined()
    // The next thing to do has the focus, and can be done.
    expect(await popup.evaluate('document.activeElement.dataset.testid')).toBe('generate')
    expect(await popup.evaluate('document.activeElement.ariaDisabled')).toBe('false')
    // The server has let go of the model.
    await endpoint.left
    await expect
      .poll(async () => (await journey.browser.worker.evaluate(pastRuns))[0])
      .toMatchObject({ id: run.id, code: 'cancelled', trace: 'held' })

    // Cancelled is the end of that run only.
    endpoint.release()
    await popup.click('generate')
    const next = await endOfRun(journey.browser, run.id)
    expect(next).toMatchObject({ status: 'done' })
    await popup.close()
    await page.close()

    const waterfall = await journey.trace(run, stack.relayUrl)
    expect(waterfall.rows.filter(({ status }) => status === 'error')).toEqual([])
    expect(waterfall.root).toMatchObject({ failureCode: 'cancelled', status: 'unset' })
    for (const [name, service] of [
      ['background/cancel_run', 'pass-ats-extension'],
      ['POST /runs/{id}/cancel', 'pass-ats-relay'],
      ['POST /runs/{id}/cancel', 'pass-ats-server'],
      ['llm', 'pass-ats-server'],
    ] as const) {
      expect(rowsNamed(waterfall, name, service).length, name).toBeGreaterThan(0)
    }
    expect(rowsNamed(waterfall, 'llm')[0]).toMatchObject({ failureCode: 'cancelled', status: 'unset' })
    const told = await (
      await fetch(`${stack.relayUrl}/support/${run.id}`, { headers: asSupport(stack.relayUrl) })
    ).text()
    expect(told).toContain('Cancelled by the person')
  } finally {
    await stack.stop()
    await endpoint.close()
  }
})

test('a run is cancelled at once while nobody answers', async ({ journey }) => {
  const endpoint = await startOpenAiEndpoint('held')
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
  try {
    await journey.settings('short', stack.relayUrl)
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf('lever.html'))
    const popup = await journey.browser.openPopup(page)
    await popup.click('generate')
    await endpoint.asked
    // Stopped, not killed: the relay takes connections and says nothing.
    stack.relay.kill('SIGSTOP')
    await popup.click('cancel')
    await popup.waitFor(`document.body.dataset.status === 'cancelled'`)
    expect((await newestRun(journey.browser))?.failure?.code).toBe('cancelled')
    stack.relay.kill('SIGCONT')
    await endpoint.left
    await popup.close()
    await page.close()
  } finally {
    stack.relay.kill('SIGCONT')
    await stack.stop()
    await endpoint.close()
  }
})

test('a run that is cancelled offline has ended, and its server is told when the browser is online again', async ({
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
    await endpoint.asked
    await wire.close()
    await popup.click('cancel')
    const { id } = await endOfRun(journey.browser)
    // Its trace has ended as well, and waits for nothing.
    await expect
      .poll(async () => (await journey.browser.worker.evaluate(pastRuns))[0])
      .toMatchObject({ id, status: 'failed', code: 'cancelled' })
    await wire.reopen()
    await endpoint.left
    await popup.close()
    await page.close()
  } finally {
    await wire.close()
    await stack.stop()
    await endpoint.close()
  }
})
