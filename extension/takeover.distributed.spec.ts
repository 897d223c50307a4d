import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { RESOURCE_SERVICE_INSTANCE_ID, RESOURCE_SERVICE_NAME, SERVICE_RELAY, SERVICE_SERVER } from '../names.ts'
import { endOfRun, report } from '../ops/demonstration.ts'
import { startDeployed } from '../ops/deployed.ts'
import { urlOf } from '../ops/postings.ts'
import { asSupport } from '../ops/support.ts'
import { layOut, type Waterfall } from '../relay/console/waterfall.ts'
import type { KeyValue, TracesData } from '../relay/otlp.ts'
import { expectSound, rowsNamed, test } from './journey.ts'

test('requests of one run meet different relays and different servers, and nobody notices', async ({ journey }) => {
  await journey.settings('short')
  const met: string[] = []
  // nginx has two workers, each of which takes turns by itself: of one run all may meet the same.
  for (let runs = 0; runs < 5 && !met.includes('2 relays, 2 servers'); runs++) {
    const run = await journey.generate('lever.html')
    expect(run).toMatchObject({ status: 'done' })
    await journey.trace(run)
    const response = await fetch(`${journey.relayUrl}/api/traces/${run.id}`, { headers: asSupport(journey.relayUrl) })
    const { resourceSpans } = (await response.json()) as TracesData
    const instances = (service: string) => {
      const own = resourceSpans.map(({ resource }) => resource?.attributes ?? []).filter((of) => textIn(of) === service)
      return new Set(own.map((of) => textIn(of, RESOURCE_SERVICE_INSTANCE_ID))).size
    }
    met.push(`${instances(SERVICE_RELAY)} relays, ${instances(SERVICE_SERVER)} servers`)
  }
  expect(met).toContain('2 relays, 2 servers')
})

async function traceOf(relayUrl: string, id: string): Promise<Waterfall> {
  const response = await fetch(`${relayUrl}/api/traces/${id}`, { headers: asSupport(relayUrl) })
  return layOut({ resourceSpans: [], ...(await response.json()) })
}

const textIn = (attributes: KeyValue[], name: string = RESOURCE_SERVICE_NAME) =>
  attributes.find(({ key }) => key === name)?.value?.stringValue

test('a run whose server is killed is finished by the other one: the browser gets its PDF, and the trace has one run', async ({
  journey,
}) => {
  const endpoint = await startOpenAiEndpoint('held')
  const { stack, pairs, stop } = await startDeployed({
    env: { LLM_BASE_URL: endpoint.baseUrl, LLM_API_KEY: 'secret-key', LLM_MODEL: 'm-1' },
  })
  try {
    await journey.settings('long', stack.relayUrl)
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf('json-ld-graph.html'))
    const popup = await journey.browser.openPopup(page)
    await popup.click('generate')
    await endpoint.asked
    const busy = await Promise.all(
      pairs.map(async ({ metricsUrls }) => sumOf(await scrape(metricsUrls.server), 'pass_runs_active')),
    )
    expect(busy.toSorted()).toEqual([0, 1])
    await pairs[busy.indexOf(1)]?.killServer()
    endpoint.behaviour = 'ok'
    endpoint.release()
    await popup.waitForText('open-pdf')
    const run = await endOfRun(journey.browser)
    expect(run).toMatchObject({ status: 'done' })
    await popup.close()
    await page.close()
    expect(endpoint.requests.length, 'both servers have asked the model').toBe(2)

    await report(journey.browser, run.id)
    // What the dead server had not sent is missing, also of requests that it had begun to answer: nothing waits for it.
    let waterfall = await traceOf(stack.relayUrl, run.id)
    const look = async () => {
      waterfall = await traceOf(stack.relayUrl, run.id)
      const { root, missingParents } = waterfall
      return [
        root?.name,
        missingParents.length,
        rowsNamed(waterfall, 'validate').length,
        rowsNamed(waterfall, 'deliver').length,
      ]
    }
    await expect.poll(look, { timeout: 60_000 }).toEqual(['generate resume', 0, 1, 1])
    expectSound(waterfall)
    expect(rowsNamed(waterfall, 'generate resume')).toMatchObject([{ status: 'unset' }])
    // Of the server that is dead only what it had sent is there; what the other did is there once.
    for (const stage of ['latex', 'compile', 'validate', 'deliver']) expect(rowsNamed(waterfall, stage)).toHaveLength(1)
    expect(rowsNamed(waterfall, 'llm').at(-1)?.attributes).toMatchObject({
      'pass_ats.run.attempt': 2,
      'pass_ats.tailor.mode': 'llm',
    })
    expect(rowsNamed(waterfall, 'validate')[0]?.attributes['pass_ats.run.attempt']).toBe(2)
  } finally {
    await stop()
    await endpoint.close()
  }
})
