import { getRequestListener } from '@hono/node-server'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, test } from 'vitest'
import { createApp } from './app.ts'
import { createBreaker } from './breaker.ts'
import { createAccept } from './ingest.ts'
import { spansOf } from './otlp.ts'
import { AS_SERVICE, listen, sampleAccess, silent, temporaryStore } from './sample-run.ts'

test.each([
  ['JSON', JsonExporter, CompressionAlgorithm.NONE],
  ['JSON, gzipped', JsonExporter, CompressionAlgorithm.GZIP],
  ['protobuf', ProtobufExporter, CompressionAlgorithm.NONE],
  ['protobuf, gzipped', ProtobufExporter, CompressionAlgorithm.GZIP],
])('OpenTelemetry\u2019s own exporter sends %s, and what it sent is found', async (_, Exporter, compression) => {
  const store = temporaryStore()
  const app = createApp({
    access: sampleAccess(),
    breaker: createBreaker(),
    store,
    accept: createAccept(store, () => {}),
    forwarder: undefined,
    serverUrl: 'http://127.0.0.1:1',
    serverKey: undefined,
    hosts: [],
    instanceId: 'c0ffee',
    shutdown: new AbortController().signal,
    flushSpans: async () => {},
    log: silent,
  })
  const url = `${await listen(getRequestListener(app.fetch))}/v1/traces`
  // As OTEL_EXPORTER_OTLP_HEADERS has it in production.
  const exporter = new Exporter({ url, compression, keepAlive: false, headers: AS_SERVICE })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'a stranger' }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const tracer = provider.getTracer('test')
  const span = tracer.startSpan('work', { attributes: { a: 1, b: true, c: ['x', 'y'], d: 1.5 } })
  span.addEvent('happened', { e: 'f' })
  span.end()
  await provider.forceFlush()
  const { traceId, spanId } = span.spanContext()
  const found = [...spansOf(store.trace(traceId))]
  expect(found).toMatchObject([{ traceId, spanId, name: 'work', events: [{ name: 'happened' }] }])
  expect(found[0]?.attributes).toHaveLength(4)
  await provider.shutdown()
})
