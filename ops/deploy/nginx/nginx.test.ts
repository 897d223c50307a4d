/** The configuration of nginx, run by a real one, before two real relays. Only the servers are played. */

import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  request,
  type ServerResponse,
} from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openEndpoint } from '../../../fixtures/endpoint.ts'
import { startRelay, stop } from '../../../relay/running-relay.ts'
import { STAFF_ENV } from '../../../relay/sample-run.ts'
import { ErrorBody } from '../../../server/contract.ts'
import { SERVER_KEY_HEADER } from '../../../server/relay-contract.ts'
import { MAX_COMPILE_BYTES, MAX_GENERATE_BYTES } from '../../../server/request-contract.ts'
import { type NginxProcess, nginxPorts, startNginx } from '../../nginx-process.ts'

const SERVER_KEY = randomBytes(32).toString('hex')
const SERVICE_KEY = randomBytes(32).toString('hex')
/** Loopback addresses are the people here; nginx itself is 127.0.0.1. */
const [ADA, GRACE, JOAN] = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
const RUN = '4bf92f3577b34da6a3ce929d0e0e4736'
const EXTENSION = { origin: 'chrome-extension://abcdefghijklmnopabcdefghijklmnop' }

/** What the played servers are asked, and how each answers. */
let answer: (which: number) => RequestListener
let nginx: NginxProcess
let relays: Awaited<ReturnType<typeof startRelay>>[]
const cleaning: (() => unknown)[] = []

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-nginx-test-'))
  cleaning.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  const played = async (which: number) => {
    const { url, close } = await openEndpoint((...asked) => answer(which)(...asked))
    cleaning.push(close)
    return url
  }
  const servers = [await played(1), await played(2)] as const
  const ports = await nginxPorts()
  const start = (which: number) =>
    startRelay(
      {
        RELAY_STORE: join(folder, String(which), 'store'),
        SERVER_URL: `http://127.0.0.1:${ports.servers}`,
        SERVER_KEY,
        RELAY_SERVICE_KEYS: `test:${SERVICE_KEY}`,
        RELAY_SECRETS: SERVER_KEY,
        RELAY_TRUSTED_PROXIES: '127.0.0.1',
        RELAY_QUOTA_ADDRESS: 'registrations=3',
      },
      (kill) => void cleaning.push(kill),
    )
  relays = [await start(1), await start(2)]
  nginx = await startNginx({ relays: [relays[0]?.url ?? '', relays[1]?.url ?? ''], servers }, ports)
  cleaning.push(() => nginx.stop())
})
afterAll(async () => {
  for (const clean of cleaning.reverse()) await clean()
})

interface Asked {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: string | Buffer
  /** Whose address it comes from. */
  from?: string
}

/** As a person behind `from`, each time over a connection of its own. */
async function ask(path: string, { method = 'GET', headers = {}, body, from = JOAN }: Asked = {}) {
  const asking = request(nginx.url + path, { method, headers, localAddress: from, agent: new Agent() })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    asking.on('response', resolve).on('error', reject)
  })
  asking.end(body)
  const response = await answered
  return { status: response.statusCode, headers: response.headers, stream: response, text: () => text(response) }
}

let install: { authorization: string } | undefined
async function asInstall(): Promise<OutgoingHttpHeaders> {
  if (!install) {
    const { token } = JSON.parse(await (await ask('/installs', { method: 'POST' })).text())
    install = { authorization: `Bearer ${token}` }
  }
  return { ...EXTENSION, ...install }
}

const post = async (path: string, bytes: number, headers: OutgoingHttpHeaders = {}) =>
  ask(path, {
    method: 'POST',
    headers: { ...(await asInstall()), 'content-type': 'application/json', 'content-length': bytes, ...headers },
    body: Buffer.alloc(bytes, ' '),
  })

it('an event is with the person before there is another, through both nginx and the relay between', async () => {
  const streams: ServerResponse[] = []
  let opened = () => {}
  const open = new Promise<void>((resolve) => {
    opened = resolve
  })
  answer = () => (_, response) => {
    // Without the header by which the server asks proxies not to buffer: the configuration is to do without.
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
    streams.push(response)
    opened()
  }
  const { stream, headers } = await ask(`/runs/${RUN}/events`, { headers: await asInstall() })
  await open
  expect(headers['content-type']).toBe('text/event-stream')
  const events = stream[Symbol.asyncIterator]()
  expect(String((await events.next()).value)).toBe('data: first\n\n')
  streams[0]?.write('data: second\n\n')
  expect(String((await events.next()).value)).toBe('data: second\n\n')
  const left = new Promise((resolve) => streams[0]?.on('close', resolve))
  stream.destroy()
  // Who leaves is noticed at the other end.
  await left
})

it('what is too large is refused by the relay, in words that an extension may read', async () => {
  answer = () => (_, response) => response.writeHead(500).end()
  for (const [path, most] of [
    ['/generate', MAX_GENERATE_BYTES],
    ['/compile', MAX_COMPILE_BYTES],
  ] as const) {
    const refused = await post(path, most + 1)
    expect(refused.status).toBe(413)
    expect(refused.headers['access-control-allow-origin']).toBe(EXTENSION.origin)
    expect(ErrorBody.parse(JSON.parse(await refused.text())).error.code).toBe('request_too_large')
  }
})

it('what is as large as it may be arrives whole, spans and LaTeX and runs', async () => {
  const sizes: Record<string, number> = {}
  answer = () => async (incoming, response) => {
    let bytes = 0
    for await (const chunk of incoming) bytes += chunk.length
    sizes[String(incoming.url)] = bytes
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }
  expect((await post('/generate', MAX_GENERATE_BYTES)).status).toBe(200)
  expect((await post('/compile', MAX_COMPILE_BYTES)).status).toBe(200)
  expect(sizes).toEqual({ '/generate': MAX_GENERATE_BYTES, '/compile': MAX_COMPILE_BYTES })
  // Blanks, and at their end a request without spans: 20 MiB that a relay takes.
  const spans = Buffer.concat([Buffer.alloc(20 * 1024 ** 2 - 2, ' '), Buffer.from('{}')])
  const headers = { authorization: `Bearer ${SERVICE_KEY}`, 'content-type': 'application/json' }
  expect((await ask('/v1/traces', { method: 'POST', headers, body: spans })).status).toBe(200)
})

it('quotas are counted by the person’s own address, whatever they say it is', async () => {
  const register = (from: string, headers: OutgoingHttpHeaders = {}) =>
    ask('/installs', { method: 'POST', from, headers })
  const statuses = []
  for (let tries = 0; tries < 8; tries++) {
    statuses.push((await register(ADA, { 'x-forwarded-for': `192.0.2.${tries}` })).status)
  }
  // Three at each of two relays, which count for themselves.
  expect(statuses.filter((status) => status === 201)).toHaveLength(6)
  expect(statuses.filter((status) => status === 429)).toHaveLength(2)
  expect((await register(GRACE)).status).toBe(201)
})

it('relays and servers take turns, and are told who asks: the relay by its key', async () => {
  const seen: { which: number; headers: IncomingHttpHeaders }[] = []
  answer = (which) => (incoming, response) => {
    seen.push({ which, headers: incoming.headers })
    response.writeHead(200, { 'content-type': 'application/pdf' }).end('%PDF')
  }
  for (let time = 0; time < 4; time++) {
    await (await ask(`/runs/${RUN}/resume.pdf`, { headers: await asInstall() })).text()
  }
  expect(new Set(seen.map(({ which }) => which))).toEqual(new Set([1, 2]))
  expect(new Set(seen.map(({ headers }) => headers[SERVER_KEY_HEADER]))).toEqual(new Set([SERVER_KEY]))
})

it('staff stay signed in, whichever relay signed them in', async () => {
  const token = String(STAFF_ENV.RELAY_SUPPORT_TOKENS).split(':')[1]
  for (const from of [ADA, GRACE, JOAN, '127.0.0.5']) {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const signedIn = await ask('/support/sign-in', { method: 'POST', headers, body: `token=${token}`, from })
    expect(signedIn.status).toBe(303)
    const cookie = String(signedIn.headers['set-cookie']).split(';')[0]
    for (let page = 0; page < 4; page++) {
      expect((await ask('/support', { headers: { cookie }, from })).status).toBe(200)
    }
  }
})

it('says nothing of what people ask', () => {
  expect(nginx.said().filter((line) => !/\[warn\].*a client request body is buffered/.test(line))).toEqual([])
  // Nor does it write what they send to its disk: there was none of these lines either.
  expect(nginx.said()).toEqual([])
})

// The last one here: there is one relay less afterwards.
it('with one relay gone every request is answered by the other', async () => {
  answer = () => (incoming, response) => {
    incoming.resume().on('end', () => response.writeHead(202, { 'content-type': 'application/json' }).end('{}'))
  }
  const [gone] = relays
  if (gone) await stop(gone.child)
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await post('/generate', 1_000)).status))
  expect(statuses).toEqual(Array(10).fill(202))
})

it('asks its environment for six addresses, and nothing else', async () => {
  const template = await readFile(new URL('pass-ats.conf.template', import.meta.url), 'utf8')
  const variables = [...new Set(template.match(/\$\{\w+\}/g))].sort()
  expect(variables).toEqual(
    ['FRONT_LISTEN', 'RELAY_1', 'RELAY_2', 'SERVERS_LISTEN', 'SERVER_1', 'SERVER_2']
      .map((name) => `\${${name}}`)
      .sort(),
  )
})
