import { context, type Span, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, it } from 'vitest'
import { ParentsFirst } from './parents-first.ts'

function traced() {
  const exporter = new InMemorySpanExporter()
  const processor = new ParentsFirst(new SimpleSpanProcessor(exporter))
  const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer('test')
  return {
    start: (name: string, parent?: Span) =>
      tracer.startSpan(name, {}, parent ? trace.setSpan(context.active(), parent) : context.active()),
    sent: () => exporter.getFinishedSpans().map(({ name }) => name),
  }
}

it('nothing goes before the span above it has ended, at whatever depth, and that goes first', () => {
  const { start, sent } = traced()
  const llm = start('llm')
  const chat = start('chat', llm)
  for (const attempt of ['first', 'second']) start(attempt, chat).end()
  expect(sent()).toEqual([])
  chat.end()
  expect(sent()).toEqual([])
  llm.end()
  expect(sent()).toEqual(['llm', 'chat', 'first', 'second'])
})

it('what outlives the span above it, or has none in this process, waits for nobody', () => {
  const { start, sent } = traced()
  const request = start('request')
  const stage = start('stage', request)
  request.end()
  stage.end()
  const elsewhere = trace.wrapSpanContext({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 })
  start('of another process', elsewhere).end()
  expect(sent()).toEqual(['request', 'stage', 'of another process'])
})

it('no more wait than are allowed, and none is lost or counted twice', () => {
  const { start, sent } = traced()
  for (let round = 1; round <= 2; round++) {
    const endless = start('endless')
    for (let n = 0; n < 5_000; n++) start('short', endless).end()
    expect(sent()).toHaveLength((round - 1) * 5_001 + 5_000 - 4_096)
    endless.end()
    expect(sent()).toHaveLength(round * 5_001)
  }
})

it('at the end of the process goes what is there', async () => {
  const gone: string[] = []
  const next = {
    onStart: () => undefined,
    onEnd: ({ name }: { name: string }) => void gone.push(name),
    forceFlush: async () => undefined,
    shutdown: async () => void gone.push('shut down'),
  }
  const processor = new ParentsFirst(next)
  const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer('test')
  const open = tracer.startSpan('open')
  tracer.startSpan('below', {}, trace.setSpan(context.active(), open)).end()
  await processor.shutdown()
  expect(gone).toEqual(['below', 'shut down'])
})
