/** Two relays, two servers, one Redis: requests of one run meet whichever they meet, and any process may die. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Replicas, startReplicas } from '../ops/replicas.ts'
import { ErrorBody, RunEvent } from './contract.ts'

const RUNS = 50
const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

let replicas: Replicas
let endpoint: Server
/** IDs of the webhooks that came, by their run. */
let told: Map<string, Set<string>>
beforeEach(async () => {
  told = new Map()
  endpoint = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString()
    const { runId } = JSON.parse(body).data
    told.set(runId, (told.get(runId) ?? new Set()).add(String(request.headers['webhook-id'])))
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(endpoint, 'listening')
  replicas = await startReplicas({
    WEBHOOK_URLS: `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/`,
    WEBHOOK_SECRETS: `whsec_${randomBytes(32).toString('base64')}`,
    WEBHOOK_ALLOW_LOOPBACK: '1',
  })
})
afterEach(async () => {
  await replicas.stop()
  endpoint.close()
})

/**
 * An install that asks one relay after the other, as behind a balancer that forgets: again at the other one where one is
 * gone, and after a while where Redis is.
 */
async function newClient() {
  const urls = replicas.pairs.map(({ relayUrl }) => relayUrl)
  const { token } = await (await fetch(`${urls[0]}/installs`, { method: 'POST' })).json()
  let asked = 0
  const ask = async (path: string, init: RequestInit = {}, tries = 1): Promise<Response> => {
    const headers = { authorization: `Bearer ${token}`, ...init.headers }
    const response = await fetch(urls[asked++ % urls.length] + path, { ...init, headers }).catch(() => undefined)
    if (response && response.status < 500) return response
    if (tries === 40) throw new Error(`${path}: ${response ? await response.text() : 'nobody is there'}`)
    await response?.body?.cancel()
    await pause(250)
    return ask(path, init, tries + 1)
  }
  const post = async (id: string) => {
    const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-03`
    const headers = { 'content-type': 'application/json', traceparent }
    return (await ask('/generate', { method: 'POST', body: JSON.stringify({ profile, posting }), headers })).status
  }
  /** To the end, across streams that break; tells every event, and gives the last. */
  const follow = async (id: string, onEvent: (event: RunEvent) => void = () => {}): Promise<RunEvent> => {
    let lastId = 0
    for (;;) {
      const response = await ask(`/runs/${id}/events`, { headers: { 'last-event-id': String(lastId) } })
      if (response.status !== 200) throw new Error(ErrorBody.parse(await response.json()).error.code)
      let text = ''
      try {
        for await (const chunk of response.body ?? []) {
          text += Buffer.from(chunk).toString()
          for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
            const block = text.slice(0, end)
            text = text.slice(end + 2)
            const data = /^data: (.*)$/m.exec(block)?.[1]
            if (!data) continue
            const now = Number(/^id: (\d+)$/m.exec(block)?.[1])
            expect(now, 'ids only go up').toBeGreaterThanOrEqual(lastId)
            lastId = now
            const event = RunEvent.parse(JSON.parse(data))
            onEvent(event)
            if (event.type === 'done' || event.type === 'failed') return event
          }
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error // the stream broke
      }
    }
  }
  const pdf = async (id: string) => {
    const response = await ask(`/runs/${id}/resume.pdf`)
    return Buffer.from(await response.arrayBuffer()).toString('latin1', 0, 5)
  }
  return { ask, post, follow, pdf }
}

it('a run is posted at one, followed at the other, cancelled or fetched at either', async () => {
  const client = await newClient()
  const id = randomBytes(16).toString('hex')
  expect(await client.post(id)).toBe(202)
  expect(await client.follow(id)).toMatchObject({ type: 'done', pages: 1 })
  for (let asked = 0; asked < 2; asked++) {
    expect(await client.pdf(id)).toBe('%PDF-')
    expect(await client.post(id)).toBe(200)
    expect(await client.follow(id)).toMatchObject({ type: 'done' })
  }
  const stranger = await newClient()
  expect((await stranger.ask(`/runs/${id}/resume.pdf`)).status).toBe(404)
  const other = randomBytes(16).toString('hex')
  await client.post(other)
  expect((await client.ask(`/runs/${other}/cancel`, { method: 'POST' })).status).toBe(200)
  expect(await client.follow(other)).toMatchObject({ type: 'failed', failure: { code: 'cancelled' } })
  await expect.poll(() => told.size, { timeout: 30_000 }).toBe(2)
})

describe(`of ${RUNS} runs at once`, () => {
  it.each([
    ['a server', () => replicas.pairs[0].killServer()],
    ['a relay', () => replicas.pairs[0].killRelay()],
    ['Redis, which a supervisor starts again,', () => replicas.redis.kill().then(() => replicas.redis.start())],
  ])('every one ends in its PDF when %s is killed, and endpoints hear of it under one ID', async (_, kill) => {
    const client = await newClient()
    const ids = Array.from({ length: RUNS }, () => randomBytes(16).toString('hex'))
    await Promise.all(ids.map(client.post))
    let started = 0
    let killed: Promise<void> | undefined
    const onEvent = (event: RunEvent) => {
      if (event.type !== 'stage' || event.stage !== 'compile' || event.state !== 'started') return
      if (++started === 8) killed = kill()
    }
    const ends = await Promise.all(ids.map((id) => client.follow(id, onEvent)))
    expect(started).toBeGreaterThanOrEqual(8)
    await killed
    expect(ends.map((end) => (end.type === 'failed' ? end.failure.code : end.type))).toEqual(Array(RUNS).fill('done'))
    for (const id of ids) expect(await client.pdf(id)).toBe('%PDF-')
    // Sending one may have been under way where the server died: it is sent again when that would be over.
    await expect.poll(() => told.size, { timeout: 90_000, interval: 500 }).toBe(RUNS)
    expect([...told.values()].map((names) => names.size)).toEqual(Array(RUNS).fill(1))
  })
})
