/** What the relay adds to a stream of events, and how soon a client that leaves is known of behind it. */

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type ClientRequest, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openEndpoint } from '../fixtures/endpoint.ts'
import { startRelay } from '../fixtures/relay/relay-process.ts'
import { newTraceId } from '../fixtures/relay/sent-spans.ts'
import { closeOnSignal } from '../ops/closing.ts'
import type { Measured } from './bench.ts'
import { median, medianWithin, rounded } from './median.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'

const EVENTS_A_RUN = 100
const WARM_UP = 300
/** Between one event and the next, milliseconds: each finds the relay with nothing to do, as a run's events do. */
const PAUSE_MS = 2
const MOMENTS = ['before the headers', 'after them'] as const

/** `runs` clients that leave at each moment, and {@link EVENTS_A_RUN} times as many events. */
export async function benchStream(runs: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-stream-'))
  const forget = closeOnSignal(() => rm(folder, { recursive: true, force: true }))
  const server = await startServer()
  try {
    const relay = await startRelay({ RELAY_STORE: join(folder, 'store'), SERVER_URL: server.url })
    const headers = await relay.asInstall()
    const ways: Ways = {
      direct: (path) => get(server.url + path),
      relayed: (path) => get(relay.url + path, { headers, agent: false }),
    }
    const latency = await measureEvents(ways, server, runs * EVENTS_A_RUN)
    const leaving = await measureLeaving(ways, server, runs)
    await relay.stop()
    const latest = Math.max(...leaving.map(({ relayedMs }) => relayedMs.max))
    const added = rounded(latency.relayedMs.median - latency.directMs.median)
    return {
      results: { events: latency, leaving },
      targets: [
        atMost('added to an event by the relay, median, milliseconds', added, 1),
        atMost('until the server knows of a client that has left, the longest, milliseconds', latest, 100),
      ],
    }
  } finally {
    await server.close()
    await rm(folder, { recursive: true, force: true })
    forget()
  }
}

/** To the server itself, and through the relay. */
type Ways = Record<'direct' | 'relayed', (path: string) => ClientRequest>
type Server = Awaited<ReturnType<typeof startServer>>

/** Stands where the server is: a stream for every run, which writes and answers only when it is told to. */
async function startServer() {
  const asked = new Map<string, PromiseWithResolvers<ServerResponse>>()
  const stream = (path: string) => {
    const known = asked.get(path) ?? Promise.withResolvers<ServerResponse>()
    asked.set(path, known)
    return known
  }
  const endpoint = await openEndpoint((request, response) => stream(request.url ?? '').resolve(response))
  /** The answer to the request for this path, once it has come. */
  return { ...endpoint, asked: (path: string) => stream(path).promise }
}

const newPath = () => `/runs/${newTraceId()}/events`

/** A stream that has begun, at both of its ends. */
async function open(way: Ways[keyof Ways], server: Server) {
  const path = newPath()
  const request = way(path).on('error', () => {})
  const upstream = await server.asked(path)
  upstream.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).flushHeaders()
  upstream.socket?.setNoDelay(true)
  const [response]: IncomingMessage[] = await once(request, 'response')
  return { request, upstream, response: response as IncomingMessage }
}

/** One event this way and one that way in turn, each when the one before has arrived. */
async function measureEvents(ways: Ways, server: Server, events: number) {
  const direct = await open(ways.direct, server)
  const relayed = await open(ways.relayed, server)
  const times = { direct: [] as number[], relayed: [] as number[] }
  for (let id = 0; id < WARM_UP + events; id++) {
    for (const [{ upstream, response }, into] of [
      [direct, times.direct],
      [relayed, times.relayed],
    ] as const) {
      const arrived = once(response, 'data')
      const before = performance.now()
      upstream.write(`id: ${id}\nevent: stage_started\ndata: {"stage":"compile","at":${Date.now()}}\n\n`)
      await arrived
      if (id >= WARM_UP) into.push(performance.now() - before)
      await delay(PAUSE_MS)
    }
  }
  for (const { request } of [direct, relayed]) request.destroy()
  const pairs = times.relayed.map((ms, index) => ms - (times.direct[index] ?? 0))
  return {
    count: events,
    directMs: { ...medianWithin(times.direct), p99: percentile(times.direct, 0.99) },
    relayedMs: { ...medianWithin(times.relayed), p99: percentile(times.relayed, 0.99) },
    addedMs: medianWithin(pairs),
  }
}

async function measureLeaving(ways: Ways, server: Server, runs: number) {
  const table = []
  for (const moment of MOMENTS) {
    const times: Record<keyof Ways, number[]> = { direct: [], relayed: [] }
    for (let run = 0; run < runs; run++) {
      for (const way of ['direct', 'relayed'] as const) {
        times[way].push(await (moment === 'after them' ? leaveStream : leaveEarly)(ways[way], server))
      }
    }
    const spread = (ms: readonly number[]) => ({ p50: rounded(median(ms)), max: percentile(ms, 1) })
    table.push({ moment, clients: runs, directMs: spread(times.direct), relayedMs: spread(times.relayed) })
  }
  return table
}

async function leaveEarly(way: Ways[keyof Ways], server: Server): Promise<number> {
  const path = newPath()
  const request = way(path).on('error', () => {})
  return leave(request, await server.asked(path))
}

async function leaveStream(way: Ways[keyof Ways], server: Server): Promise<number> {
  const { request, upstream, response } = await open(way, server)
  const arrived = once(response, 'data')
  upstream.write('event: stage_started\ndata: {}\n\n')
  await arrived
  response.on('error', () => {})
  return leave(request, upstream)
}

/** Milliseconds from the client's leaving until the server is told. */
async function leave(request: ClientRequest, upstream: ServerResponse): Promise<number> {
  const told = once(upstream, 'close')
  const before = performance.now()
  request.destroy()
  await told
  return performance.now() - before
}
