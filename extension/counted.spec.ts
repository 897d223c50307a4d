import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { type Sample, scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { endOfRun } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { asSupport } from '../ops/support.ts'
import { anotherStack, test } from './journey.ts'

test('every run counts, though none of them has sent a span: those that work, fail and are cancelled', async ({
  journey,
}) => {
  const endpoint = await startOpenAiEndpoint()
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
  const samples = async (): Promise<Sample[]> => [
    ...(await scrape(stack.metricsUrls.relay)),
    ...(await scrape(stack.metricsUrls.server)),
  ]
  try {
    await journey.settings('short', stack.relayUrl)
    const done = await journey.generate('lever.html')
    expect(done.status).toBe('done')
    // The worker that fetches the PDF is another one than the one that was asked.
    await journey.anotherWorker()
    expect((await journey.generate('json-ld-graph.html')).status).toBe('done')
    endpoint.behaviour = 'error_401'
    expect((await journey.generate('lever.html')).failure?.code).toBe('llm_unauthorized')
    endpoint.behaviour = 'silent'
    const before = endpoint.requests.length
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf('lever.html'))
    const popup = await journey.browser.openPopup(page)
    await popup.click('generate')
    await expect.poll(() => endpoint.requests.length).toBeGreaterThan(before)
    await popup.click('cancel')
    expect((await endOfRun(journey.browser)).failure?.code).toBe('cancelled')
    await popup.close()
    await page.close()

    const counted = async (name: string) => {
      const all = await samples()
      return ['ok', 'failed', 'cancelled'].map((outcome) => sumOf(all, name, { outcome, synthetic: 'false' }))
    }
    await expect.poll(() => counted('pass_e2e_duration_seconds_count')).toEqual([2, 1, 1])
    expect(await counted('pass_runs_total')).toEqual([2, 1, 1])
    const all = await samples()
    const stage = (stage: string) => sumOf(all, 'pass_stage_duration_seconds_count', { stage, outcome: 'ok' })
    expect([stage('extract'), stage('request'), stage('deliver')]).toEqual([4, 4, 2])
    const total = (stage: string) => sumOf(all, 'pass_stage_duration_seconds_sum', { stage })
    // From the click to the request is never shorter than the reading of the page, which is in it.
    expect(total('request')).toBeGreaterThan(total('extract'))
    expect(total('extract')).toBeGreaterThan(0)
    expect(sumOf(all, 'pass_relay_timings_total', { result: 'malformed' })).toBe(0)

    // A point in the chart opens its trace.
    const points = all.filter(
      ({ name, labels }) => name === 'pass_e2e_duration_seconds_bucket' && labels.outcome === 'ok',
    )
    const traceId = points.find(({ exemplar }) => exemplar)?.exemplar?.trace_id ?? ''
    const found = await fetch(`${stack.relayUrl}/api/traces/${traceId}`, { headers: asSupport(stack.relayUrl) })
    expect(found.status).toBe(200)
    expect(await found.text()).toContain('"compile"')
  } finally {
    await stack.stop()
    await endpoint.close()
  }
})
