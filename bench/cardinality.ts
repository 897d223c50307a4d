/** How many series relay and server have after very many requests with anything in them. */

import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { createRandom, sendRandom } from '../fixtures/metrics/random-requests.ts'
import { type Sample, scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import { newRunClient } from '../ops/run-client.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { startTemporaryStack } from '../ops/stack.ts'
import type { Measured } from './bench.ts'
import { atMost } from './target.ts'

const MOST_SERIES = 5_000
const POSTING = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const PROFILE = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

/** `thousands` of requests: to the relay, through it to the server, and to the server past it. */
export async function benchCardinality(thousands: number): Promise<Measured> {
  const endpoint = await startOpenAiEndpoint()
  const env = { LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'fixture-model', LOG_LEVEL: 'silent' }
  const stack = await startTemporaryStack({ toolchainPath: toolchainPath(), env })
  try {
    const install = async (key?: string) => {
      const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
      const { token, refresh } = await (await fetch(`${stack.relayUrl}/installs`, { method: 'POST', headers })).json()
      return [`Bearer ${token}`, `Bearer ${refresh}`]
    }
    const shown = [...(await install()), ...(await install(stack.syntheticKey)), `Bearer ${stack.serviceKey}`]
    const random = createRandom(Date.now())
    await sendRandom(stack.relayUrl, thousands * 800, random, shown)
    await sendRandom(stack.serverUrl, thousands * 200, random, shown)
    const client = await newRunClient(stack.relayUrl)
    for (let run = 0; run < 5; run++) {
      const { id } = await client.run({ profile: PROFILE, posting: POSTING })
      await client.pdfBytes(id)
    }
    const [relay, server] = [await scrape(stack.metricsUrls.relay), await scrape(stack.metricsUrls.server)]
    const requests = (samples: Sample[]) => sumOf(samples, 'http_server_request_duration_seconds_count')
    return {
      results: {
        requests: { relay: requests(relay), server: requests(server) },
        series: { relay: relay.length, server: server.length },
        largest: { relay: largest(relay), server: largest(server) },
        replaced: { relay: sumOf(relay, REPLACED), server: sumOf(server, REPLACED) },
      },
      targets: [
        atMost('series of the relay', relay.length, MOST_SERIES),
        atMost('series of the server', server.length, MOST_SERIES),
      ],
    }
  } finally {
    await stack.stop()
    await endpoint.close()
  }
}

const REPLACED = 'pass_metric_labels_replaced_total'

/** The metrics with the most series. */
function largest(samples: Sample[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { name } of samples) {
    const metric = name.replace(/_(bucket|sum|count)$/, '')
    counts.set(metric, (counts.get(metric) ?? 0) + 1)
  }
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a).slice(0, 5))
}
