import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, onTestFinished, test } from 'vitest'
import { createAccept, createIngest } from './ingest.ts'
import { spansOf } from './otlp.ts'
import { silent, temporaryStore } from './sample-run.ts'

test.each([
  ['JSON', JsonExporter, CompressionAlgorithm.NONE],
  ['JSON, gzipped', JsonExporter, CompressionAlgorithm.GZIP],
  ['protobuf', ProtobufExporter, CompressionAlgorithm.NONE],
  ['protobuf, gzipped', ProtobufExporter, CompressionAlgorithm.GZIP],
])('OpenTelemetry\u2019s own exporter sends %s, and what it sent is found', async (_, Exporter, compression) => {
  const store = temporaryStore()
  const server = createAdaptorServer({
    fetch: createIngest(
      createAccept(store, () => {}),
      silent,
      'c0ffee',
    ).fetch,
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`
  const exporter = new Exporter({ url, compression, keepAlive: false })
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
