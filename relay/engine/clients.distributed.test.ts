import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type GatewayProcess, type SamplerProcess, startGateway, startSampler } from '../../fixtures/relay/engines.ts'
import { type Refusal, startTurnstile } from '../../fixtures/relay/turnstile.ts'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_PDF_PAGES,
  ATTR_SESSION_ID,
  SERVICE_RELAY,
  SPAN_COMPILE,
  SPAN_LATEX,
} from '../../names.ts'
import { output } from '../../ops/setup/program.ts'
import { telemetrygenProgram } from '../../ops/setup/tracing-engines.ts'
import { createApp } from '../app.ts'
import { flat } from '../compared-spans.ts'
import { encode, type OtlpSpan, spansOf, type TracesData } from '../otlp.ts'
import { startRelay } from '../running-relay.ts'
import { AS_SERVICE, listen, sampleParts, sampleRequest, sampleSpan, temporaryStore, text } from '../sample-run.ts'
import { scan } from '../scan/scan.ts'
import type { Store } from '../store/store.ts'

const missing = (process.env.MISSING_ENGINES ?? '').split(',')
const TRACES = 100
const CHILDREN = 4

/** Every third request is turned away, now with one status, now with another, to be sent again in a second. */
const troublesome = (before: number): Refusal | undefined =>
  before % 3 === 1 ? { status: before % 2 === 0 ? 429 : 503, headers: { 'retry-after': '1' } } : undefined

/** Traces as telemetrygen makes them, sent there. */
async function generate(url: string): Promise<void> {
  const { host } = new URL(url)
  await output(await telemetrygenProgram(), [
    ...['traces', '--otlp-http', '--otlp-insecure', '--otlp-endpoint', host, '--rate', '0', '--batch-size', '50'],
    ...['--traces', String(TRACES), '--child-spans', String(CHILDREN), '--span-links', '1', '--status-code', 'Error'],
    ...['--service', SERVICE_RELAY, '--timeout', '60s'],
    ...[
      '--telemetry-attributes',
      `${ATTR_HTTP_RESPONSE_STATUS_CODE}=503`,
      '--otlp-header',
      `authorization="${AS_SERVICE.authorization}"`,
    ],
  ])
}

/** A relay with its own files, in this process. */
async function relayWith(store: Store): Promise<string> {
  return listen(getRequestListener(createApp(sampleParts(store)).fetch))
}

function storedIn(store: Store, like: Readonly<TracesData>): TracesData {
  const ids = new Set([...spansOf(like as TracesData)].map(({ traceId }) => traceId))
  return { resourceSpans: [...ids].flatMap((traceId) => store.trace(traceId).resourceSpans) }
}

/** What of it may be kept: names and attributes are of a closed list, and nothing else changes. */
function listed(data: Readonly<TracesData>): TracesData {
  const { body } = scan(encode(data as TracesData, 'json'), 'json')
  return JSON.parse(Buffer.from(body).toString())
}

/** The same without what the closed list is about. */
const bare = (data: Readonly<TracesData>) =>
  [...new Map([...spansOf(data as TracesData)].map((span) => [span.spanId, span])).values()]
    .map(
      ({
        traceId,
        spanId,
        parentSpanId,
        traceState,
        flags,
        kind,
        startTimeUnixNano,
        endTimeUnixNano,
        status,
        links,
      }) => ({
        ...{
          traceId,
          spanId,
          parentSpanId: parentSpanId || undefined,
          traceState: traceState || undefined,
          flags,
          kind,
        },
        ...{ startTimeUnixNano, endTimeUnixNano, status: status?.code, links: links?.map(({ spanId }) => spanId) },
      }),
    )
    .sort((a, b) => (a.spanId < b.spanId ? -1 : 1))

const withoutSchemas = ({ resourceSpans }: Readonly<TracesData>): TracesData => ({
  resourceSpans: resourceSpans.map(({ schemaUrl: _, scopeSpans = [], ...resource }) => ({
    ...resource,
    scopeSpans: scopeSpans.map(({ schemaUrl: _, ...scope }) => scope),
  })),
})

const count = (data: Readonly<TracesData>) => new Set([...spansOf(data as TracesData)].map(({ spanId }) => spanId)).size

describe.skipIf(['Collector', 'telemetrygen'].some((name) => missing.includes(name)))(
  'Nothing is lost or altered',
  () => {
    let folder: string
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pass-ats-clients-'))
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))

    const turnstile = async (options: Parameters<typeof startTurnstile>[0]) => {
      const started = await startTurnstile(options)
      onTestFinished(started.close)
      return started
    }
    let times = 0
    /** The two Collectors, before these. */
    async function collectors(
      store: string,
      archive: string,
    ): Promise<{ gateway: GatewayProcess; sampler: SamplerProcess }> {
      times += 1
      const sampler = await startSampler(join(folder, `sampler-${times}`), { store, archive, decisionWait: '1s' })
      onTestFinished(() => sampler.stop('SIGKILL'))
      const gateway = await startGateway(join(folder, `gateway-${times}`), [sampler.address])
      onTestFinished(() => gateway.stop('SIGKILL'))
      return { gateway, sampler }
    }

    test('from telemetrygen to the relay, which turns some requests away', async () => {
      const store = temporaryStore()
      const between = await turnstile({ to: await relayWith(store), refuse: troublesome })
      await generate(between.url)
      const spans = TRACES * (CHILDREN + 1)
      expect(count(between.taken)).toBe(spans)
      expect(new Set(between.statuses)).toEqual(new Set([200, 429, 503]))
      expect(flat(storedIn(store, between.taken))).toEqual(flat(listed(between.taken)))
      expect(bare(storedIn(store, between.taken))).toEqual(bare(between.taken))
    })

    test('from telemetrygen through the Collectors to the relay, gzipped and with some requests turned away', async () => {
      const store = temporaryStore()
      const last = await turnstile({ to: await relayWith(store), headers: AS_SERVICE, refuse: troublesome })
      const archive = await turnstile({})
      const { gateway } = await collectors(last.url, archive.url)
      const first = await turnstile({ to: gateway.url })
      await generate(first.url)
      const spans = TRACES * (CHILDREN + 1)
      expect(count(first.taken)).toBe(spans)
      await last.until((taken) => count(taken) === spans)
      expect([...last.compressions]).toEqual(['gzip'])
      expect(flat(last.taken)).toEqual(flat(first.taken))
      expect(flat(storedIn(store, last.taken))).toEqual(flat(listed(first.taken)))
      expect(bare(storedIn(store, last.taken))).toEqual(bare(first.taken))
      // All of them have failed. Tail sampling puts traces together anew, and the schema's address is not among what it copies.
      await archive.until((taken) => count(taken) === spans)
      expect(flat(archive.taken)).toEqual(flat(withoutSchemas(first.taken)))
    })

    test('from the relay to the Collectors, which turn some requests away, from which it hears when to come again', async () => {
      const end = await turnstile({})
      const archive = await turnstile({})
      const { gateway } = await collectors(end.url, archive.url)
      const between = await turnstile({ to: gateway.url, refuse: troublesome })
      const key = 'key-of-a-service-that-only-this-test-knows'
      const relay = await startRelay({
        TRACE_STORE: 'jaeger',
        TRACE_STORE_URL: archive.url,
        TRACE_ARCHIVE_URL: archive.url,
        TRACE_ARCHIVE_OTLP_ENDPOINT: archive.url,
        OTEL_EXPORTER_OTLP_ENDPOINT: between.url,
        RELAY_SERVICE_KEYS: `test:${key}`,
        RELAY_STORE: join(folder, 'relay', 'store'),
        LOG_LEVEL: 'silent',
      })
      const sent: TracesData = { resourceSpans: [] }
      const answers: string[] = []
      for (let request = 0; request < 30; request += 1) {
        const spans = Array.from({ length: 20 }, (_, index) => spanOf(request * 20 + index))
        const data = sampleRequest(spans, SERVICE_RELAY)
        sent.resourceSpans.push(...data.resourceSpans)
        const encoding = request % 2 === 0 ? 'json' : 'protobuf'
        for (let status = 0; status !== 200; ) {
          const response = await fetch(`${relay.url}/v1/traces`, {
            method: 'POST',
            body: new Uint8Array(encode(data, encoding)),
            headers: {
              authorization: `Bearer ${key}`,
              'content-type': `application/${encoding === 'json' ? 'json' : 'x-protobuf'}`,
            },
          })
          await response.arrayBuffer()
          status = response.status
          answers.push(`${status} ${response.headers.get('retry-after')}`)
        }
      }
      expect(new Set(answers)).toEqual(new Set(['200 null', '429 1', '503 1']))
      await end.until(
        (taken) => [...spansOf(taken)].filter(({ name }) => name === SPAN_LATEX || name === SPAN_COMPILE).length >= 600,
      )
      const arrived = { resourceSpans: end.taken.resourceSpans.filter(isSent) }
      expect(flat(arrived)).toEqual(flat(sent))
      expect([...between.compressions]).toEqual(['gzip'])
    })
  },
)

/** Not the relay's own spans. */
function isSent({ scopeSpans = [] }: TracesData['resourceSpans'][number]): boolean {
  return scopeSpans.some(({ spans = [] }) => spans.some(({ name }) => name === SPAN_LATEX || name === SPAN_COMPILE))
}

function spanOf(index: number): OtlpSpan {
  const traceId = crypto.randomUUID().replaceAll('-', '')
  return {
    ...sampleSpan((0xd00000 + index).toString(16).padStart(16, '0'), { startMs: index }),
    traceId,
    name: index % 2 === 0 ? SPAN_LATEX : SPAN_COMPILE,
    parentSpanId: '00f067aa0ba902b7',
    traceState: 'ot=th:fd70a4',
    flags: 0x103,
    status: index % 5 === 0 ? { code: 2 } : {},
    attributes: [
      { key: ATTR_PDF_PAGES, value: { intValue: String(index % 3) } },
      { key: ATTR_COMPILE_CPU_TIME, value: { doubleValue: index / 7 } },
      text(ATTR_SESSION_ID, '0b54ae0e-7f2c-4a6e-9f57-cb03c1a2e6d4'),
    ],
    links: [{ traceId, spanId: '00f067aa0ba902b8' }],
  }
}
