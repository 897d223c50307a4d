import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { expect, it } from 'vitest'
import { readConfig } from '../config.ts'
import { mayReach } from './address.ts'
import { post } from './post.ts'

const INSIDE = [
  ...['127.0.0.1', '127.8.9.1', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1'],
  // Where clouds tell machines their keys.
  ...['169.254.169.254', '100.100.100.200', 'fd00:ec2::254', '192.0.0.192'],
  ...['224.0.0.1', '255.255.255.255', '198.18.0.1', '192.0.2.1', '203.0.113.9', '240.0.0.1'],
  ...['::1', '::', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd12:3456::1', 'ff02::1', '2001:db8::1', '2001::1'],
  // Addresses within addresses.
  ...['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', '2002:7f00:1::'],
  ...['localhost', '', 'example.com'],
]

it.each(INSIDE)('an address that is not the Internet’s is not reached: %s', (address) => {
  expect(mayReach(address, false)).toBe(false)
})

it.each(['8.8.8.8', '1.1.1.1', '172.15.0.1', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450:4001::1'])(
  'one that is, is: %s',
  (address) => expect(mayReach(address, false)).toBe(true),
)

it('loopback is reached where that is said, and nothing else that is inside', () => {
  expect(INSIDE.filter((address) => mayReach(address, true))).toEqual([
    ...['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'],
  ])
})

/** How many connections came, whatever a name is said to resolve to. */
async function sendTo(host: string, addresses: string[][], allowLoopback = false) {
  let connections = 0
  const server = createServer((_, response) => response.end()).on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  let asked = 0
  const resolve = async () =>
    (addresses[asked++] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const signal = new AbortController().signal
  const outcome = await post(new URL(`http://${host}:${port}/`), {}, '{}', { allowLoopback, signal, resolve })
  server.closeAllConnections()
  server.close()
  return { outcome, connections, asked }
}

it.each(['127.0.0.1', '[::1]', '0x7f.1', '2130706433', '127.1', '[::ffff:127.0.0.1]'])(
  'is not sent to an address of this machine, however it is written: %s',
  async (host) => {
    expect(await sendTo(host, [])).toEqual({ outcome: { error: 'address_refused' }, connections: 0, asked: 0 })
  },
)

it('is not sent to a name that leads inside, not even one of several addresses', async () => {
  for (const addresses of [['127.0.0.1'], ['93.184.215.14', '127.0.0.1'], ['::ffff:127.0.0.1'], []]) {
    expect(await sendTo('hook.example', [addresses])).toMatchObject({
      outcome: { error: 'address_refused' },
      connections: 0,
    })
  }
})

it('connects to what it has looked at: a name is asked for once', async () => {
  const rebound = [['127.0.0.1'], ['10.0.0.1']]
  expect(await sendTo('hook.example', rebound, true)).toEqual({ outcome: { status: 200 }, connections: 1, asked: 1 })
})

it('an endpoint that says nothing has so much time and no more', async () => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const signal = new AbortController().signal
  const outcome = await post(url, {}, '{}', { allowLoopback: true, signal, timeoutMs: 100 })
  expect(outcome).toEqual({ error: 'timeout' })
  server.closeAllConnections()
  server.close()
})

it.each([
  ['hangs up', '', 'ECONNRESET'],
  [
    'wants another protocol',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    undefined,
  ],
  ['does not speak HTTP', 'Welcome\r\n\r\n', 'HPE_INVALID_CONSTANT'],
])('an endpoint that %s has failed', async (_, words, error) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(words))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const signal = new AbortController().signal
  const outcome = await post(url, {}, '{}', { allowLoopback: true, signal })
  expect(outcome).toEqual({ error: error ?? expect.any(String) })
  server.close()
})

it('the configuration takes https addresses of the Internet, and names what is wrong', () => {
  const good = { SERVER_KEY: 'x'.repeat(32), WEBHOOK_SECRETS: `whsec_${Buffer.alloc(32, 1).toString('base64')}` }
  const read = (env: object) => readConfig({ ...good, ...env })
  expect(read({ WEBHOOK_URLS: 'https://a.example/x, https://b.example' }).webhooks).toMatchObject({
    urls: ['https://a.example/x', 'https://b.example/'],
    allowLoopback: false,
  })
  for (const url of ['http://a.example', 'https://u:p@a.example', 'https://10.0.0.1', 'https://[::1]/', 'nonsense']) {
    expect(() => read({ WEBHOOK_URLS: url })).toThrow('WEBHOOK_URLS')
  }
  expect(() => read({ WEBHOOK_URLS: 'https://a.example', WEBHOOK_SECRETS: '' })).toThrow('WEBHOOK_SECRETS')
  expect(() => read({ WEBHOOK_SECRETS: 'whsec_c2hvcnQ=' })).toThrow('WEBHOOK_SECRETS')
  expect(read({ WEBHOOK_URLS: 'http://127.0.0.1:9/', WEBHOOK_ALLOW_LOOPBACK: '1' }).webhooks.allowLoopback).toBe(true)
})
