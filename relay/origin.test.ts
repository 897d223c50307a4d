import { request } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { getRequestListener } from '@hono/node-server'
import { expect, test } from 'vitest'
import { createApp } from './app.ts'
import { AS_SERVICE, asInstall, listen, sampleParts, TRACE_ID, temporaryStore } from './sample-run.ts'

/** A relay whose server counts what reaches it. */
async function relay(hosts: string[] = []) {
  const reached: string[] = []
  const serverUrl = await listen((incoming, response) => {
    reached.push(`${incoming.method} ${incoming.url}`)
    incoming.resume().on('end', () => response.end('{}'))
  })
  const store = temporaryStore()
  const app = createApp(
    sampleParts(store, {
      serverUrl,
      hosts,
    }),
  )
  const url = new URL(await listen(getRequestListener(app.fetch)))
  /** By node:http, because fetch sets Host and Origin as it likes. */
  const send = (method: string, path: string, headers: Record<string, string>, body = '') =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const outgoing = request(new URL(path, url), { method, headers }, async (response) => {
        resolve({ status: response.statusCode ?? 0, body: await readText(response) })
      })
      outgoing.on('error', reject).end(body)
    })
  const install = await asInstall(fetch(new URL('/installs', url), { method: 'POST' }))
  return { send, reached, install, host: url.host, port: url.port }
}
/** Where spans are sent it stands in a google.rpc.Status. */
const code = (answer: { body: string }) => {
  const { error, message } = JSON.parse(answer.body)
  return error?.code ?? message.split(':')[0]
}

test('A web page reaches nothing, whether or not its request needs a preflight', async () => {
  const { send, reached } = await relay()
  for (const origin of ['https://evil.example', 'http://127.0.0.1:1', 'http://localhost', 'null', 'file://', '']) {
    for (const [method, path] of [
      ['POST', '/generate'],
      ['POST', '/compile'],
      ['POST', '/v1/traces'],
      ['POST', `/traces/${TRACE_ID}/keep`],
      ['OPTIONS', '/generate'],
      ['GET', `/runs/${TRACE_ID}/resume.pdf`],
      ['GET', '/support'],
      ['GET', '/healthz'],
    ] as const) {
      const answer = await send(method, path, { origin, 'content-type': 'text/plain' }, method === 'POST' ? '{}' : '')
      expect(`${origin} ${method} ${path} ${answer.status}`).toBe(`${origin} ${method} ${path} 403`)
      expect(code(answer)).toBe('origin_not_allowed')
    }
  }
  expect(reached).toEqual([])
})

test('Extensions, the relay’s own pages and programs without an Origin get through', async () => {
  const { send, reached, install, host } = await relay()
  const own = [`http://${host}`, `https://${host}`]
  for (const origin of ['chrome-extension://abcdef', 'moz-extension://9bc6e3a0-1d5f-4f53', ...own]) {
    expect((await send('POST', '/generate', { ...install, origin }, '{}')).status).toBe(200)
  }
  expect((await send('POST', '/generate', install, '{}')).status).toBe(200)
  expect((await send('POST', '/v1/traces', { ...AS_SERVICE, 'content-type': 'application/json' }, '{}')).status).toBe(
    200,
  )
  expect(reached).toHaveLength(5)
})

test('By a name that a stranger’s DNS gave this address nothing is read, but its health', async () => {
  const { send, reached, port } = await relay()
  for (const host of [`rebind.evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', '192.0.2.1']) {
    for (const path of ['/support', `/api/traces/${TRACE_ID}`, `/runs/${TRACE_ID}/resume.pdf`]) {
      // A rebound page is of the same origin as its address: some of its requests carry no Origin, others this one.
      for (const headers of [{ host }, { host, origin: `http://${host}` }] as Record<string, string>[]) {
        const answer = await send('GET', path, headers)
        expect(`${host} ${path} ${answer.status}`).toBe(`${host} ${path} 403`)
        expect(code(answer)).toBe('host_not_allowed')
      }
    }
    for (const path of ['/healthz', '/readyz']) expect((await send('GET', path, { host })).status).toBe(200)
  }
  expect(reached.filter((line) => !line.endsWith('/readyz'))).toEqual([])
})

test('Loopback names in any spelling, and the names of RELAY_HOSTS, lead to the relay', async () => {
  const { send, install, port } = await relay(['relay.example.org'])
  for (const host of [
    'localhost',
    `LOCALHOST:${port}`,
    '127.0.0.1',
    `[::1]:${port}`,
    'Relay.example.org',
    'relay.example.org:443',
  ]) {
    expect(`${host} ${(await send('GET', '/support/sign-in', { host })).status}`).toBe(`${host} 200`)
  }
  const behindTls = { ...install, host: 'relay.example.org', origin: 'https://relay.example.org' }
  expect((await send('POST', '/generate', behindTls, '{}')).status).toBe(200)
  expect((await send('GET', '/support', { host: 'example.org' })).status).toBe(403)
})
