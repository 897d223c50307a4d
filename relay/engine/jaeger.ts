/**
 * Traces in Jaeger 2, by the API that its own pages are moving to: `GET /api/v3/traces/{id}` and `GET /api/v3/traces`.
 *
 * Source: jaeger-idl `proto/api_v3/query_service.proto` and the gateway of the query service. Answers are OTLP JSON within
 * `{"result": …}`; nothing found is 404. A search answers with whole traces, one after another without a mark between
 * them, wants a service and both ends of the time, and knows no beginning of an ID.
 */

import {
  ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  ATTR_PDF_CHECKS_FAILED,
  ATTR_PDF_CHECKS_PASSED,
  ATTR_SAMPLING_KEEP,
  RESOURCE_BROWSER_BRANDS,
  SERVICE_EXTENSION,
  SERVICE_RELAY,
  SERVICE_SERVER,
} from '../../names.ts'
import { BodyTooLarge } from '../bounded-body.ts'
import { asTraces, type KeyValue, spansOf, type TracesData } from '../otlp.ts'
import { weigh } from '../weight.ts'
import { ask, type Endpoint } from './ask.ts'
import { beganAt, byTrace, hasFailed, isReported } from './facts.ts'
import { type Found, MAX_ANSWER_BYTES, type Reader, type Search } from './reader.ts'

/**
 * Attributes that are lists. Badger, Cassandra and Elasticsearch keep Jaeger's older model, which has none and makes them text
 * in JSON. It has no flags of spans either, and those are gone.
 */
const LISTS = new Set<string>([
  ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  ATTR_PDF_CHECKS_PASSED,
  ATTR_PDF_CHECKS_FAILED,
  RESOURCE_BROWSER_BRANDS,
])
/** What that model adds to links. */
const REFERENCE_TYPE = 'opentracing.ref_type'
const SERVICES = [SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER]
/** A search that answers with too much is asked again for so many times fewer. */
const FEWER = 4

/** Jaeger's query service. */
export function createJaeger(endpoint: Endpoint): Reader {
  /** Without Jaeger's adjustments: the console has its own, and says what it adjusts. */
  async function get(path: string): Promise<TracesData | undefined> {
    const body = await ask(endpoint, path, 'application/json', MAX_ANSWER_BYTES)
    if (!body) return undefined
    weigh(body, 'json')
    const { result } = JSON.parse(new TextDecoder().decode(body))
    return restored(asTraces(result))
  }

  async function searchService(
    service: string,
    wanted: Search,
    tag: string | undefined,
  ): Promise<Map<string, TracesData>> {
    const { from, to, limit } = wanted
    const query = new URLSearchParams({
      'query.service_name': service,
      'query.start_time_min': new Date(from).toISOString(),
      'query.start_time_max': new Date(to).toISOString(),
      'query.num_traces': String(limit),
      'query.raw_traces': 'true',
    })
    // 2.13 does not look at it and answers with the newest of all: what is not wanted is left out below.
    if (tag !== undefined) query.set('query.attributes', JSON.stringify({ [tag]: 'true' }))
    try {
      const data = await get(`/api/v3/traces?${query}`)
      return data ? byTrace(data) : new Map()
    } catch (error) {
      if (!(error instanceof BodyTooLarge) || limit < FEWER) throw error
      return searchService(service, { ...wanted, limit: Math.floor(limit / FEWER) }, tag)
    }
  }

  return {
    name: 'Jaeger',

    trace: (traceId) => get(`/api/v3/traces/${traceId}?raw_traces=true`),

    async search(wanted) {
      const { only, to, limit } = wanted
      const tags = only === undefined ? [undefined] : only === 'failed' ? ['error'] : ['error', ATTR_SAMPLING_KEEP]
      const answers = await Promise.all(
        SERVICES.flatMap((service) => tags.map((tag) => searchService(service, wanted, tag))),
      )
      const found = new Map<string, Found>()
      for (const answer of answers) {
        for (const [traceId, data] of answer) {
          const spans = [...spansOf(data)]
          const isWanted =
            only === undefined || spans.some(hasFailed) || (only === 'failed or reported' && spans.some(isReported))
          if (isWanted) found.set(traceId, { traceId, startedAt: beganAt(spans), data })
        }
      }
      return [...found.values()]
        .filter(({ startedAt }) => startedAt < to)
        .sort((a, b) => b.startedAt - a.startedAt)
        .slice(0, limit)
    },
  }
}

/** As it was before Jaeger's older model, in place. */
function restored(data: TracesData): TracesData {
  for (const { resource } of data.resourceSpans) resource?.attributes?.forEach(restoreList)
  for (const span of spansOf(data)) {
    span.attributes?.forEach(restoreList)
    for (const link of span.links ?? []) {
      if (link.attributes) link.attributes = link.attributes.filter(({ key }) => key !== REFERENCE_TYPE)
    }
  }
  return data
}

function restoreList(attribute: KeyValue): void {
  const { key, value } = attribute
  if (!LISTS.has(key) || !value?.stringValue?.startsWith('[')) return
  try {
    const values: unknown[] = JSON.parse(value.stringValue)
    attribute.value = { arrayValue: { values: values.map((item) => ({ stringValue: String(item) })) } }
  } catch {
    // A text that only begins like one.
  }
}
