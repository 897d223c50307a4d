import { propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, test } from 'vitest'
import { ClosedListProcessor } from './closed-list.ts'

function tracer() {
  const exporter = new InMemorySpanExporter()
  const spanProcessors = [new ClosedListProcessor(), new SimpleSpanProcessor(exporter)]
  return {
    tracer: new BasicTracerProvider({ spanProcessors }).getTracer('test'),
    spans: () => exporter.getFinishedSpans(),
  }
}

test('Only listed attributes and events leave, and no free text', () => {
  const { tracer: t, spans } = tracer()
  const linked = { context: { traceId: '1'.repeat(32), spanId: '1'.repeat(16), traceFlags: 1 } }
  const span = t.startSpan('x', { links: [{ ...linked, attributes: { 'client.address': '192.0.2.1' } }] })
  span.setAttributes({
    'http.request.method': 'GET',
    'client.address': '192.0.2.1',
    'network.peer.address': '192.0.2.1',
    'url.query': 'name=Ada',
    'url.full': 'http://127.0.0.1:4320/runs?name=Ada#x',
    'resume.text': 'Ada Lovelace',
  })
  span.addEvent('note', { text: 'Ada Lovelace' })
  span.recordException(new TypeError('Ada Lovelace is not a number'))
  span.setStatus({ code: 2, message: 'Ada Lovelace' })
  span.end()
  const [exported] = spans()
  expect(exported?.attributes).toEqual({ 'http.request.method': 'GET', 'url.full': 'http://127.0.0.1:4320/runs' })
  expect(exported?.events.map(({ name, attributes }) => [name, attributes])).toEqual([
    ['exception', { 'exception.type': 'TypeError' }],
  ])
  expect(exported?.links[0]?.attributes).toEqual({})
  expect(exported?.status).toEqual({ code: 2 })
})

test('The session’s ID is taken from the baggage when it looks like one, and nothing else is', () => {
  const { tracer: t, spans } = tracer()
  for (const session of ['a1b2-c3', 'ada@example.org']) {
    const baggage = propagation.createBaggage({ 'session.id': { value: session }, 'user.email': { value: 'a@b.c' } })
    t.startSpan('x', {}, propagation.setBaggage(ROOT_CONTEXT, baggage)).end()
  }
  expect(spans().map(({ attributes }) => attributes)).toEqual([{ 'session.id': 'a1b2-c3' }, {}])
})
