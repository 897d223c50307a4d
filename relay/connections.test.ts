import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { CONTENT_TYPES, encode, spansOf } from './otlp.ts'
import { startRelay, stop } from './running-relay.ts'
import {
  AS_SERVICE,
  AS_STAFF,
  asInstall,
  listen,
  SERVICE_KEY,
  sampleRequest,
  sampleSpan,
  TRACE_ID,
  temporaryPath,
} from './sample-run.ts'

const BODY = encode(sampleRequest([sampleSpan('00f067aa0ba902b7')]), 'json')
const HEAD = [
  'POST /v1/traces HTTP/1.1',
  'host: 127.0.0.1',
  `authorization: ${AS_SERVICE.authorization}`,
  `content-type: ${CONTENT_TYPES.json}`,
].join('\r\n')
const MIB = 1024 * 1024
const SHORT = { RELAY_REQUEST_SECONDS: '1' }

async function relayWith(env: Record<string, string>) {
  const relay = await startRelay({
    RELAY_STORE: temporaryPath(),
    RELAY_SERVICE_KEYS: `collector:${SERVICE_KEY}`,
    ...env,
  })
  const send = () =>
    fetch(`${relay.url}/v1/traces`, {
      method: 'POST',
      body: Buffer.from(BODY),
      headers: { ...AS_SERVICE, 'content-type': CONTENT_TYPES.json },
    })
  const spans = async () => [
    ...spansOf(await (await fetch(`${relay.url}/api/traces/${TRACE_ID}`, { headers: AS_STAFF })).json()),
  ]
  return { ...relay, send, spans }
}

/** A connection; `closed` resolves with all that was said on it. */
async function connection(url: string) {
  const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let said = ''
  socket.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  // Whoever still writes when the other side has closed is reset.
  socket.on('error', () => {})
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(said)))
  await once(socket, 'connect')
  return { socket, closed }
}

/** Says one letter after another for as long as anybody listens. */
function trickle(socket: Socket, letters: string): void {
  const dripping = setInterval(() => socket.write(letters), 50)
  socket.on('close', () => clearInterval(dripping))
}

test('Who takes too long with a request, or with beginning one, is told so and cut off, however busy', async () => {
  const { url, child, output, send, spans } = await relayWith(SHORT)
  const beginnings: [beginning: string, drip: string][] = [
    ['', ''],
    ['POST', ''],
    [`${HEAD}\r\nx: `, 'x'],
    [`${HEAD}\r\ncontent-length: 100000\r\n\r\n{`, ' '],
    [`${HEAD}\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n`, '1\r\n \r\n'],
    [`${HEAD.replace('/v1/traces', '/installs/refresh')}\r\ncontent-length: 4000\r\n\r\n`, ' '],
  ]
  const answers = await Promise.all(
    beginnings.map(async ([beginning, drip]) => {
      const { socket, closed } = await connection(url)
      socket.write(beginning)
      if (drip) trickle(socket, drip)
      return closed
    }),
  )
  for (const answer of answers) expect(answer).toBe('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
  expect((await send()).status).toBe(200)
  expect(await spans()).toHaveLength(1)
  expect(await stop(child)).toBe(0)
  const [stdout, stderr] = await output
  expect({ stderr, errors: stdout.match(/"level":(50|60).*/g) }).toEqual({ stderr: '', errors: null })
})

test('An answer may take longer than a request: streams go on', async () => {
  const later = Promise.withResolvers<void>()
  const server = await listen((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\ndata: {}\n\n')
    later.promise.then(() => response.end('id: 2\ndata: {}\n\n'))
  })
  const { url } = await relayWith({ ...SHORT, SERVER_URL: server })
  const headers = await asInstall(fetch(`${url}/installs`, { method: 'POST' }))
  const stream = await fetch(`${url}/runs/${TRACE_ID}/events`, { headers })
  // When one that came later has been cut off, the stream's time is over, too.
  await (await connection(url)).closed
  later.resolve()
  expect(await stream.text()).toBe('id: 1\ndata: {}\n\nid: 2\ndata: {}\n\n')
})

test('A thousand connections on which nothing happens, and nobody else waits', async () => {
  const { url, send, spans } = await relayWith({})
  const idle = await Promise.all(Array.from({ length: 500 }, () => connection(url)))
  // Some that have said something before, and some in the middle of it.
  for (const { socket } of idle.slice(0, 300)) socket.write('GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
  for (const { socket } of idle.slice(300, 600)) socket.write(`${HEAD}\r\ncontent-length: 9\r\n\r\n{`)
  expect((await send()).status).toBe(200)
  expect(await spans()).toHaveLength(1)
  expect(idle.filter(({ socket }) => socket.readyState !== 'open')).toEqual([])
})

test('Of more connections than there may be the last are closed unheard and counted; when others are gone there is room', async () => {
  const { url, child, output, send } = await relayWith({ ...SHORT, RELAY_MAX_CONNECTIONS: '20' })
  const first = []
  for (let n = 0; n < 20; n += 1) first.push(await connection(url))
  for (let n = 0; n < 3; n += 1) expect(await (await connection(url)).closed).toBe('')
  await Promise.all(first.map(({ closed }) => closed))
  expect((await send()).status).toBe(200)
  await stop(child)
  const lines = (await output)[0].trim().split('\n')
  const told = lines.map((line) => JSON.parse(line)).filter(({ connections }) => connections)
  expect(told.reduce((sum, { connections }) => sum + connections, 0)).toBe(3)
})

test('Bodies that do not end get 128 MiB together: one more is a 503, others are not concerned, and answered ones leave', async () => {
  const { url, send } = await relayWith({})
  const spaces = (mib: number) => `${(mib * MIB).toString(16)}\r\n${' '.repeat(mib * MIB)}\r\n`
  for (const _ of ['at first', 'and again']) {
    const held = []
    for (let n = 0; n < 6; n += 1) {
      const { socket, closed } = await connection(url)
      socket.write(`${HEAD}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n`)
      await new Promise((resolve) => socket.write(spaces(19), resolve))
      held.push({ socket, closed })
    }
    const { socket, closed } = await connection(url)
    socket.write(`${HEAD}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n`)
    // No more than it takes: who is cut off while writing does not always read why.
    socket.write(spaces(15))
    const answer = await closed
    expect(answer).toMatch(/^HTTP\/1\.1 503 /)
    expect(answer).toMatch(/\r\nretry-after: \d/i)
    expect(answer).toContain('{"code":14,"message":"Try again later."}')
    expect((await send()).status).toBe(200)
    for (const { socket } of held) socket.write('0\r\n\r\n')
    // Nineteen megabytes of spaces are read to their end, and are no JSON.
    for (const { closed } of held) expect(await closed).toMatch(/^HTTP\/1\.1 400 /)
  }
})

test.runIf(process.platform === 'linux')(
  'Five hundred small bodies that gzip has made of a megabyte each are not all in memory',
  async () => {
    const { url, child, send } = await relayWith({})
    const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1_024
    expect((await send()).status).toBe(200)
    const before = peak()
    const body = gzipSync(`{${' '.repeat(MIB - 2)}}`)
    const head = `${HEAD}\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`
    const all = await Promise.all(Array.from({ length: 500 }, () => connection(url)))
    for (const { socket } of all) {
      socket.write(head)
      socket.write(body)
    }
    for (const { closed } of all) expect(await closed).toMatch(/^HTTP\/1\.1 200 /)
    expect((peak() - before) / MIB).toBeLessThan(300)
  },
)
