import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import * as names from '../names.ts'
import { endOfRun } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import type { Waterfall } from '../relay/console/waterfall.ts'
import { anotherStack, lineage, rowsNamed, test } from './journey.ts'

const { SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER } = names

function kindsAndNames(waterfall: Waterfall, service: string): string[] {
  return waterfall.rows.filter((row) => row.service === service).map((row) => `${row.kind} ${row.name}`)
}

function expectThreeServices({ services, root }: Waterfall) {
  expect(new Set(services)).toEqual(new Set([SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER]))
  expect(root).toMatchObject({ name: names.SPAN_RUN, service: SERVICE_EXTENSION })
}

test('one trace covers the click, the page, the relay, the server, Tectonic and the PDF in the browser', async ({
  journey,
}) => {
  await journey.settings('long')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('json-ld-graph.html'))
  const popup = await journey.browser.openPopup(page)
  await popup.click('generate')
  await popup.waitForText('open-pdf')
  const shownId = await popup.waitForText('run-id')
  const run = await endOfRun(journey.browser)
  expect(run.id.slice(0, 8)).toBe(shownId)
  expect(run.status).toBe('done')
  await popup.close()
  await page.close()

  const waterfall = await journey.trace(run)
  expectThreeServices(waterfall)
  expect(kindsAndNames(waterfall, SERVICE_EXTENSION)).toEqual([
    'internal generate resume',
    'client background/start_run',
    'server background/start_run',
    'client content/extract_posting',
    'server content/extract_posting',
    'internal extract',
    'internal extract strategy',
    'internal generate',
    'client POST',
    'client GET',
    'internal deliver',
    'client GET',
  ])
  const hops = ['POST /generate', 'GET /runs/{id}/events', 'GET /runs/{id}/resume.pdf']
  for (const hop of hops) {
    const [relay] = rowsNamed(waterfall, hop, SERVICE_RELAY)
    const [server] = rowsNamed(waterfall, hop, SERVICE_SERVER)
    expect(relay, `${hop} at the relay`).toMatchObject({ kind: 'server' })
    expect(lineage(waterfall, server).map(({ service, kind }) => `${service} ${kind}`)).toEqual([
      `${SERVICE_SERVER} server`,
      `${SERVICE_RELAY} client`,
      `${SERVICE_RELAY} server`,
      `${SERVICE_EXTENSION} client`,
      `${SERVICE_EXTENSION} internal`,
      `${SERVICE_EXTENSION} internal`,
    ])
  }
  for (const stage of ['llm', 'latex', 'compile', 'validate']) {
    const [row] = rowsNamed(waterfall, stage, SERVICE_SERVER)
    expect(lineage(waterfall, row).map(({ name }) => name)).toEqual([stage, 'generate', 'generate resume'])
    expect(row?.attributes['pass_ats.stage']).toBe(stage)
  }
  expect(rowsNamed(waterfall, 'llm')[0]?.attributes['pass_ats.tailor.mode']).toBe('deterministic')
  expect(waterfall.rows.filter(({ name }) => name.startsWith('chat '))).toEqual([])

  const [tectonic] = rowsNamed(waterfall, 'tectonic')
  expect(tectonic).toMatchObject({
    kind: 'client',
    attributes: { 'process.executable.name': 'tectonic', 'process.exit.code': 0, 'pass_ats.compile.outcome': 'ok' },
  })
  expect(lineage(waterfall, tectonic)[1]?.name).toBe('compile')
  const [sse] = rowsNamed(waterfall, 'GET /runs/{id}/events', SERVICE_SERVER)
  expect(sse?.attributes).toMatchObject({ 'pass_ats.sse.resumed': false, 'pass_ats.sse.close_reason': 'finished' })
  expect(sse?.attributes['pass_ats.sse.events_sent']).toBeGreaterThanOrEqual(9)
  const sessions = new Set(waterfall.rows.map(({ attributes }) => attributes['session.id']))
  expect([...sessions], 'one session on every span of all three services').toEqual([
    expect.stringMatching(/^[0-9a-f-]{36}$/),
  ])
})

test('through a model, the trace says which, how many tokens, and when the first word came', async ({ journey }) => {
  const endpoint = await startOpenAiEndpoint()
  const stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_API_KEY: 'secret-key', LLM_MODEL: 'm-1' })
  try {
    await journey.settings('long', stack.relayUrl)
    const run = await journey.generate('json-ld-graph.html')
    expect(run).toMatchObject({ status: 'done' })
    const waterfall = await journey.trace(run, stack.relayUrl)
    expectThreeServices(waterfall)
    const [chat] = rowsNamed(waterfall, 'chat m-1')
    expect(chat).toMatchObject({
      kind: 'client',
      service: SERVICE_SERVER,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'm-1',
        'gen_ai.request.stream': true,
        'gen_ai.response.model': 'm-1-2026-01',
        'gen_ai.response.finish_reasons': ['stop'],
        'gen_ai.usage.input_tokens': 812,
        'gen_ai.usage.output_tokens': 345,
        'server.address': '127.0.0.1',
      },
    })
    expect(chat?.attributes['gen_ai.response.time_to_first_chunk']).toBeGreaterThan(0)
    expect(lineage(waterfall, chat).map(({ name }) => name)).toEqual(['chat m-1', 'llm', 'generate', 'generate resume'])
    expect(rowsNamed(waterfall, 'llm')[0]?.attributes['pass_ats.tailor.mode']).toBe('llm')
    expect(endpoint.requests[0]?.headers.traceparent, 'the provider gets the trace').toContain(run.id)
    expect(endpoint.requests[0]?.headers.baggage, 'but not the session').toBeUndefined()
  } finally {
    await stack.stop()
    await endpoint.close()
  }
})
