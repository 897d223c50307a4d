import { expect, onTestFinished, test } from 'vitest'
import { startBackend, TAKEN } from '../fixtures/relay/backend.ts'
import { type RelayProcess, startRelay } from '../fixtures/relay/relay-process.ts'
import { createSentSpans, lookedUp, newTraceId } from '../fixtures/relay/sent-spans.ts'
import { temporaryPath } from './sample-run.ts'

const KILLS = 3
/** Requests that a relay has answered for when it is killed, with others under way. */
const REQUESTS_A_LIFE = 120
const SENDERS = 6
const SPANS_A_REQUEST = 4
/** A trace has spans in about three requests, of different lives. */
const TRACES = 250

test(`However often it is killed, the relay has every span it answered for, and every due one reaches a backend that fails half of the time`, async () => {
  // Of the requests that fail, every other has been taken all the same.
  const backend = await startBackend((before) => {
    const status = before % 2 === 1 ? 503 : 200
    return { taken: before % 4 !== 3, answer: { status, headers: { 'retry-after': '0' } } }
  })
  onTestFinished(backend.close)
  const env = { RELAY_STORE: temporaryPath(), OTEL_EXPORTER_OTLP_ENDPOINT: backend.url }
  const start = async () => {
    const relay = await startRelay(env)
    onTestFinished(relay.kill)
    return relay
  }
  const spans = createSentSpans()
  const traceIds = Array.from({ length: TRACES }, newTraceId)
  const someTrace = () => ({
    traceId: traceIds[Math.floor(Math.random() * TRACES)] ?? '',
    failed: Math.random() < 0.02,
  })

  async function sendUntilDead(relay: RelayProcess, onAnswer: () => void): Promise<void> {
    while (await spans.send(relay, Array.from({ length: SPANS_A_REQUEST }, someTrace))) onAnswer()
  }
  for (let life = 0; life < KILLS; life++) {
    const relay = await start()
    let answers = 0
    const onAnswer = () => {
      answers += 1
      if (answers === REQUESTS_A_LIFE) void relay.kill()
    }
    await Promise.all(Array.from({ length: SENDERS }, () => sendUntilDead(relay, onAnswer)))
  }

  const relay = await start()
  const due = spans.due()
  expect(due.size).toBeGreaterThan(50)
  backend.treatAs(() => TAKEN)
  expect([...(await backend.missing(due))]).toEqual([])
  expect(spans.acknowledged.length).toBeGreaterThanOrEqual(KILLS * (REQUESTS_A_LIFE - SENDERS) * SPANS_A_REQUEST)
  expect(await spans.missingFrom((traceId) => lookedUp(relay, traceId))).toEqual([])

  // What nobody has seen fail stays here; what was sent twice was so because an answer got lost.
  expect([...spans.neverDue()].filter((spanId) => backend.arrived.has(spanId))).toEqual([])
  const { repeated, taken } = backend.repeats()
  expect(repeated).toBeGreaterThan(0)
  expect(repeated).toBeLessThan(taken)
})
