import { getRequestListener } from '@hono/node-server'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, test } from 'vitest'
import {
  ATTR_COMPILE_CPU_TIME,
  ATTR_COMPILE_SANDBOXED,
  ATTR_EXCEPTION_TYPE,
  ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  ATTR_PDF_PAGES,
  EVENT_EXCEPTION,
  SPAN_COMPILE,
} from '../names.ts'
import { createApp } from './app.ts'
import { spansOf } from './otlp.ts'
import { AS_SERVICE, listen, sampleParts, temporaryStore } from './sample-run.ts'

test.each([
  ['JSON', JsonExporter, CompressionAlgorithm.NONE],
  ['JSON, gzipped', JsonExporter, CompressionAlgorithm.GZIP],
  ['protobuf', ProtobufExporter, CompressionAlgorithm.NONE],
  ['protobuf, gzipped', ProtobufExporter, CompressionAlgorithm.GZIP],
])('OpenTelemetry\u2019s own exporter sends %s, and what it sent is found', async (_, Exporter, compression) => {
  const store = temporaryStore()
  const app = createApp(sampleParts(store))
  const url = `${await listen(getRequestListener(app.fetch))}/v1/traces`
  // As OTEL_EXPORTER_OTLP_HEADERS has it in production.
  const exporter = new Exporter({ url, compression, keepAlive: false, headers: AS_SERVICE })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'a stranger' }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const tracer = provider.getTracer('test')
  const attributes = {
    [ATTR_PDF_PAGES]: 1,
    [ATTR_COMPILE_SANDBOXED]: true,
    [ATTR_GEN_AI_RESPONSE_FINISH_REASONS]: ['x', 'y'],
    [ATTR_COMPILE_CPU_TIME]: 1.5,
  }
  const span = tracer.startSpan(SPAN_COMPILE, { attributes })
  span.addEvent(EVENT_EXCEPTION, { [ATTR_EXCEPTION_TYPE]: 'f' })
  span.end()
  await provider.forceFlush()
  const { traceId, spanId } = span.spanContext()
  const found = [...spansOf(store.trace(traceId))]
  expect(found).toMatchObject([{ traceId, spanId, name: SPAN_COMPILE, events: [{ name: EVENT_EXCEPTION }] }])
  expect(found[0]?.attributes).toHaveLength(4)
  await provider.shutdown()
})
