import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { CONTENT_TYPES, encode, spansOf } from './otlp.ts'
import { startRelay, stop } from './running-relay.ts'
import {
  AS_SERVICE,
  AS_STAFF,
  listen,
  SERVICE_KEY,
  sampleRequest,
  sampleSpan,
  TRACE_ID,
  temporaryPath,
} from './sample-run.ts'

const BODY = encode(sampleRequest([sampleSpan('00f067aa0ba902b7')]), 'json')

const relayAt = (path: string, env: Record<string, string> = {}) =>
  startRelay({ RELAY_STORE: path, RELAY_SERVICE_KEYS: `collector:${SERVICE_KEY}`, ...env })
const spansAt = async (url: string) => {
  const answer = await fetch(`${url}/api/traces/${TRACE_ID}`, { headers: AS_STAFF })
  return answer.status === 404 ? [] : [...spansOf(await answer.json())]
}

/** Spans of which the relay has the head and half of the body: it has said that it wants the rest. */
async function halfSent(url: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const head = [
    'POST /v1/traces HTTP/1.1',
    'host: 127.0.0.1',
    `authorization: ${AS_SERVICE.authorization}`,
    `content-type: ${CONTENT_TYPES.json}`,
    `content-length: ${BODY.length}`,
    'expect: 100-continue',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  expect(String(await once(socket, 'data'))).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  socket.write(BODY.subarray(0, BODY.length / 2))
  let answer = ''
  socket.on('data', (text) => {
    answer += text
  })
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(answer)))
  return { closed, sendRest: () => socket.write(BODY.subarray(BODY.length / 2)) }
}

/** Resolves when the relay has said so in its log. */
function saying(child: Awaited<ReturnType<typeof startRelay>>['child'], message: string): Promise<void> {
  const heard = Promise.withResolvers<void>()
  createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
    if (JSON.parse(line).msg === message) heard.resolve()
  })
  return heard.promise
}

test('Spans that are on their way at SIGTERM are stored and answered for; new connections are refused; then it exits 0', async () => {
  const path = temporaryPath()
  const { url, child, exited } = await relayAt(path, { RELAY_STOP_SECONDS: '60' })
  const { closed, sendRest } = await halfSent(url)
  const stopping = saying(child, 'relay stopping')
  child.kill('SIGTERM')
  await stopping
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
  sendRest()
  expect(await closed).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n\{\}$/)
  expect((await exited)[0]).toBe(0)
  expect(await spansAt((await relayAt(path)).url)).toHaveLength(1)
})

test('Spans whose rest does not come are not waited for: nothing of them is stored, and it exits 0', async () => {
  const path = temporaryPath()
  const { url, child, output } = await relayAt(path)
  const { closed } = await halfSent(url)
  expect(await stop(child)).toBe(0)
  expect(await closed).not.toContain('200')
  const [stdout, stderr] = await output
  expect({ stderr, errors: stdout.match(/"level":(50|60).*/g) }).toEqual({ stderr: '', errors: null })
  expect(await spansAt((await relayAt(path)).url)).toEqual([])
})

test('A second relay in the same folder refuses to start, in one line, and the first goes on', async () => {
  const path = temporaryPath()
  const first = await relayAt(path)
  const second = await relayAt(path)
  expect((await second.exited)[0]).toBe(1)
  const [stdout, stderr] = await second.output
  expect(stderr).toBe('')
  expect(JSON.parse(stdout).msg).toBe(`The store ${path} is in use by another relay.`)
  const headers = { ...AS_SERVICE, 'content-type': CONTENT_TYPES.json }
  expect((await fetch(`${first.url}/v1/traces`, { method: 'POST', body: Buffer.from(BODY), headers })).status).toBe(200)
  expect(await spansAt(first.url)).toHaveLength(1)
})

test('Where somebody else listens the relay refuses to start, and leaves the folder to the next', async () => {
  const path = temporaryPath()
  const { port } = new URL(await listen((_, response) => response.end()))
  const { output, exited } = await startRelay({ RELAY_STORE: path, RELAY_PORT: port })
  expect((await exited)[0]).toBe(1)
  const [stdout, stderr] = await output
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toMatchObject({ level: 60, msg: 'relay cannot listen', err: { code: 'EADDRINUSE' } })
  expect((await relayAt(path)).url).not.toBe('')
})
