import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createAccept, createReceive, type Receive } from './ingest.ts'
import { CONTENT_TYPES, encode, spansOf } from './otlp.ts'
import {
  AS_SERVICE,
  listen,
  sampleAccess,
  sampleRequest,
  sampleSpan,
  silent,
  TRACE_ID,
  temporaryStore,
} from './sample-run.ts'
import { createServiceLane } from './service-lane.ts'
import { StoreUnavailable } from './store/writer-thread.ts'

const ELSEWHERE = 418
const BODY = Buffer.from(encode(sampleRequest([sampleSpan('00f067aa0ba902b7')]), 'protobuf'))
const HEADERS = { ...AS_SERVICE, 'content-type': CONTENT_TYPES.protobuf }

/** A server with nothing but the lane; what it leaves is answered with 418. */
async function lane(receiveBy = (receive: Receive) => receive) {
  const store = temporaryStore()
  const accept = createAccept(store, () => {})
  const receive = receiveBy(createReceive(accept, silent, 'c0ffee'))
  const inLane = createServiceLane({ access: sampleAccess(), receive, hosts: ['relay.example'], log: silent })
  const url = await listen((incoming, outgoing) => {
    if (!inLane(incoming, outgoing)) incoming.resume().on('end', () => outgoing.writeHead(ELSEWHERE).end())
  })
  const send = (headers: Record<string, string> = {}, body: Buffer = BODY, path = '/v1/traces') =>
    new Promise<{ status: number; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
      const fields = { 'content-length': String(body.length), ...HEADERS, ...headers }
      const sending = request(`${url}${path}`, { method: 'POST', headers: fields }, (answer) =>
        answer.resume().on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers })),
      )
      sending.on('error', reject).end(body)
    })
  return { url, store, send, spans: () => [...spansOf(store.trace(TRACE_ID))].length }
}

test('Spans of a service are stored before the answer, which has an ID as every answer', async () => {
  const { send, spans } = await lane()
  const answer = await send()
  expect(answer).toMatchObject({ status: 200, headers: { 'content-type': CONTENT_TYPES.protobuf } })
  expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  expect(spans()).toBe(1)
  expect((await send({ 'content-encoding': 'gzip' }, gzipSync(BODY))).status).toBe(200)
  expect((await send({ host: 'relay.example:4318' })).status).toBe(200)
})

test('What cannot be taken is refused as for everybody', async () => {
  const { send, spans } = await lane()
  expect((await send({ 'content-encoding': 'gzip' })).status).toBe(400)
  expect((await send({ 'content-encoding': 'br' })).status).toBe(415)
  expect((await send({ 'content-type': 'text/plain' })).status).toBe(415)
  expect((await send({ 'pass-ats-relay': 'c0ffee' })).status).toBe(400)
  expect(spans()).toBe(0)
})

test.each<[string, Record<string, string>, string?]>([
  ['no key', { authorization: '' }],
  ['a key of nobody', { authorization: `${AS_SERVICE.authorization}x` }],
  ['an origin', { origin: 'https://jobs.example' }],
  ['a host name that is not known', { host: 'rebound.example' }],
  ['another path', {}, '/v1/logs'],
])('A request with %s is left to others', async (_, headers, path) => {
  const { send, spans } = await lane()
  expect((await send(headers, BODY, path)).status).toBe(ELSEWHERE)
  expect(spans()).toBe(0)
})

test('A key that was good on a connection makes no other key good there', async () => {
  const { url } = await lane()
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const exchange = async (key: string) => {
    socket.write(`POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${key}\r\ncontent-length: 0\r\n\r\n`)
    const [answer] = await once(socket, 'data')
    return Number(String(answer).split(' ')[1])
  }
  expect(await exchange(AS_SERVICE.authorization)).toBe(415)
  expect(await exchange('Bearer of-nobody')).toBe(ELSEWHERE)
  expect(await exchange(AS_SERVICE.authorization)).toBe(415)
  socket.destroy()
})

test('Of a body that ends early nothing is kept, and the next is taken', async () => {
  const { url, send, spans } = await lane()
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  const head = `POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${AS_SERVICE.authorization}\r\n`
  socket.write(`${head}content-type: ${CONTENT_TYPES.protobuf}\r\ncontent-length: ${BODY.length + 1}\r\n\r\n`)
  socket.end(BODY)
  await once(socket.resume(), 'close')
  expect(spans()).toBe(0)
  expect((await send()).status).toBe(200)
  expect(spans()).toBe(1)
})

test('What there is no room for is a 503 that says when, and the next is taken', async () => {
  let room = false
  const { send, spans } = await lane((receive) => (delivery) => {
    const read = () =>
      delivery.read(() => {
        if (!room) throw new StoreUnavailable('Too much is arriving at once.')
      })
    return receive({ ...delivery, read })
  })
  expect(await send()).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
  room = true
  expect((await send()).status).toBe(200)
  expect(spans()).toBe(1)
})

test('What nobody has thought of is a 500', async () => {
  const { send } = await lane(() => async () => {
    throw new Error('nobody thought of this')
  })
  expect(await send()).toMatchObject({ status: 500, headers: { 'content-type': CONTENT_TYPES.protobuf } })
})
