import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text as readText } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { spansOf } from './otlp.ts'
import { startRelay } from './running-relay.ts'
import { AS_STAFF, SERVICE_KEY, temporaryPath } from './sample-run.ts'

/** Three spans by OpenTelemetry for Python, set up by its own variables only; prints the trace's ID. */
const PROGRAM = `
import sys
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("a stranger", "1.0")
with tracer.start_as_current_span("compile", kind=SpanKind.SERVER) as outer:
    outer.set_attribute("pass_ats.pdf.pages", 2)
    outer.set_attribute("customer.name", "Ada Lovelace")
    with tracer.start_as_current_span("tectonic") as inner:
        inner.add_event("exception", {"exception.type": "E"})
        inner.set_status(StatusCode.ERROR)
    with tracer.start_as_current_span("latex"):
        pass
if not provider.force_flush():
    sys.exit("not flushed")
provider.shutdown()
print(format(outer.get_span_context().trace_id, "032x"))
`

const python = 'python3'
const needed = 'import opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http'
const isInstalled = spawnSync(python, ['-c', needed], { stdio: 'ignore' }).status === 0

/** Where there is none, the name of the skipped test says how to get it. */
const how = isInstalled ? '' : ' (skipped: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http)'

test.skipIf(!isInstalled).for(['none', 'gzip'])(
  `OpenTelemetry for Python, with compression %s, sends spans by a service key, and they are found${how}`,
  async (compression) => {
    const { url } = await startRelay({ RELAY_STORE: temporaryPath(), RELAY_SERVICE_KEYS: `stranger:${SERVICE_KEY}` })
    const child = spawn(python, ['-c', PROGRAM], {
      env: {
        PATH: process.env.PATH,
        OTEL_EXPORTER_OTLP_ENDPOINT: url,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${SERVICE_KEY}`,
        OTEL_EXPORTER_OTLP_COMPRESSION: compression,
        OTEL_SERVICE_NAME: 'a stranger',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [said, complaints, [code]] = await Promise.all([
      readText(child.stdout),
      readText(child.stderr),
      once(child, 'exit'),
    ])
    expect({ code, complaints }).toEqual({ code: 0, complaints: '' })
    const answer = await fetch(`${url}/api/traces/${said.trim()}`, { headers: AS_STAFF })
    expect(answer.status).toBe(200)
    const data = await answer.json()
    const [inner, last, outer] = [...spansOf(data)]
    expect(outer).toMatchObject({ traceId: said.trim(), name: 'compile', kind: 2 })
    expect(inner).toMatchObject({
      name: 'tectonic',
      parentSpanId: outer?.spanId,
      status: { code: 2 },
      events: [{ name: 'exception' }],
    })
    expect(last).toMatchObject({ name: 'latex', parentSpanId: outer?.spanId })
    expect(outer?.attributes).toEqual([{ key: 'pass_ats.pdf.pages', value: { intValue: '2' } }])
    expect(JSON.stringify(data)).not.toContain('Ada')
  },
)
