import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { CONTENT_TYPES, decode, encode, type OtlpSpan, spansOf } from './otlp.ts'
import { AS_SERVICE, listen, SERVICE_KEY, sampleRequest, sampleSpan, temporaryPath } from './sample-run.ts'
import { isInRatio } from './store/marks.ts'

const KILLS = 3
/** Requests that a relay has answered for when it is killed, with others under way. */
const REQUESTS_A_LIFE = 120
const SENDERS = 6
const SPANS_A_REQUEST = 4
/** A trace has spans in about three requests, of different lives. */
const TRACES = 250

/** The real relay, listening. */
async function startRelay(env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', './relay/telemetry.ts', 'relay/main.ts'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, RELAY_PORT: '0', LOG_LEVEL: 'silent', ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [message] = await once(child, 'message')
  return { child, url: String((message as { url: string }).url) }
}

/** A backend that fails every other time, until it is told to recover. */
async function startBackend() {
  const arrived = new Map<string, number>()
  const waiting = { for: new Set<string>(), done: Promise.withResolvers<void>() }
  let failing = true
  let requests = 0
  const url = await listen(async (request, response) => {
    const body = gunzipSync(await buffer(request))
    requests += 1
    // Of those that fail, every other has been taken all the same.
    const taken = !failing || requests % 4 !== 0
    const encoding = request.headers['content-type'] === CONTENT_TYPES.json ? 'json' : 'protobuf'
    for (const { spanId } of taken ? spansOf(decode(body, encoding)) : []) {
      arrived.set(spanId, (arrived.get(spanId) ?? 0) + 1)
      waiting.for.delete(spanId)
    }
    response.writeHead(failing && requests % 2 === 0 ? 503 : 200, { 'retry-after': '0' }).end()
    if (!failing && waiting.for.size === 0) waiting.done.resolve()
  })
  const recover = (due: Set<string>) => {
    waiting.for = due.difference(arrived)
    failing = false
    if (waiting.for.size === 0) waiting.done.resolve()
    return waiting.done.promise
  }
  return { url, arrived, recover }
}

test(`However often it is killed, the relay has every span it answered for, and every due one reaches a backend that fails half of the time`, async () => {
  const path = temporaryPath()
  const backend = await startBackend()
  const acknowledged: OtlpSpan[] = []
  const sent: OtlpSpan[] = []
  const traceIds = Array.from({ length: TRACES }, () => crypto.randomUUID().replaceAll('-', ''))
  let spanNumber = 0

  const someSpan = () => {
    spanNumber += 1
    const traceId = traceIds[Math.floor(Math.random() * TRACES)] ?? ''
    const failed = Math.random() < 0.02 ? { status: { code: 2 } } : {}
    return sampleSpan((0xa00000 + spanNumber).toString(16).padStart(16, '0'), { traceId, ...failed })
  }
  async function sendUntilDead(url: string, onAnswer: () => void): Promise<void> {
    for (;;) {
      const spans = Array.from({ length: SPANS_A_REQUEST }, someSpan)
      sent.push(...spans)
      const body = Buffer.from(encode(sampleRequest(spans), 'protobuf'))
      const headers = { ...AS_SERVICE, 'content-type': CONTENT_TYPES.protobuf }
      const response = await fetch(`${url}/v1/traces`, { method: 'POST', body, headers }).catch(() => undefined)
      if (!response) return
      if (response.ok) acknowledged.push(...spans)
      onAnswer()
    }
  }

  const env = {
    RELAY_STORE: path,
    OTEL_EXPORTER_OTLP_ENDPOINT: backend.url,
    RELAY_SERVICE_KEYS: `collector:${SERVICE_KEY}`,
  }
  for (let life = 0; life < KILLS; life++) {
    const { child, url } = await startRelay(env)
    let answers = 0
    const onAnswer = () => {
      answers += 1
      if (answers === REQUESTS_A_LIFE) child.kill('SIGKILL')
    }
    await Promise.all(Array.from({ length: SENDERS }, () => sendUntilDead(url, onAnswer)))
  }

  const { url } = await startRelay(env)
  const isDueIn = (spans: OtlpSpan[]) => {
    const failed = new Set(spans.filter(({ status }) => status?.code === 2).map(({ traceId }) => traceId))
    return ({ traceId }: OtlpSpan) => failed.has(traceId) || isInRatio(traceId)
  }
  const due = new Set(acknowledged.filter(isDueIn(acknowledged)).map(({ spanId }) => spanId))
  expect(due.size).toBeGreaterThan(50)
  await backend.recover(new Set(due))

  const found = new Set<string>()
  for (const traceId of traceIds) {
    const { resourceSpans = [] } = await (await fetch(`${url}/api/traces/${traceId}`)).json()
    for (const { spanId } of spansOf({ resourceSpans })) found.add(spanId)
  }
  const missing = acknowledged.filter(({ spanId }) => !found.has(spanId))
  expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS * (REQUESTS_A_LIFE - SENDERS) * SPANS_A_REQUEST)
  expect(missing).toEqual([])
  expect([...due].filter((spanId) => !backend.arrived.has(spanId))).toEqual([])

  // What nobody has seen fail stays here; what was sent twice was so because an answer got lost.
  const couldBeDue = isDueIn(sent)
  const neverDue = sent.filter((span) => !couldBeDue(span))
  expect(neverDue.filter(({ spanId }) => backend.arrived.has(spanId))).toEqual([])
  const arrivals = [...backend.arrived.values()].reduce((sum, times) => sum + times, 0)
  const duplicates = arrivals - backend.arrived.size
  expect(duplicates).toBeGreaterThan(0)
  expect(duplicates).toBeLessThan(arrivals)
})
