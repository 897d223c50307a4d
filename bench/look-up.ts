/** A store with a busy day in it: how long a look-up takes while spans come in, and an hour that begins while another goes. */

import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { AS_STAFF, type RelayProcess, startRelay } from '../fixtures/relay/relay-process.ts'
import { closeOnSignal } from '../ops/closing.ts'
import type { NewRequest } from '../relay/store/journal.ts'
import { openStore } from '../relay/store/store.ts'
import type { Measured } from './bench.ts'
import { createRequests, fillStore, TERMS } from './filled-store.ts'
import type { LoopDelay } from './loop-watch.ts'
import { median, rounded } from './median.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'
import { delayOf, LOOP_WATCH, startIdleProcess } from './watched-loop.ts'

const MILLION = 1_000_000
const LOOK_UPS = 500
const WARM_UP = 50
/** Bodies of 512 spans. */
const UNPACKED = 6
/** Requests of 512 spans come in so often, whatever becomes of those before: 20,000 spans a second. */
const EVERY_MS = 25
const REQUESTS_READY = 64
/** Hours that begin, and how long there is for each; as long again nothing begins, for comparison. */
const HOURS = 6
const HOUR_TAKES_MS = 2_000

/** With `millions` of spans in 24 hours. */
export async function benchLookUp(millions: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-look-up-'))
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 })
  const forget = closeOnSignal(remove)
  const idle = startIdleProcess()
  try {
    const path = join(folder, 'store')
    const began = performance.now()
    const some = await fillStore(path, millions * MILLION, (hour) => process.stderr.write(`\r  hour ${hour} `))
    const fillS = (performance.now() - began) / 1_000
    const bytes = await sizeOf(path)
    // Made once: this process has enough to do. Sent again and again, they are more requests of the same traces.
    const requests = await makeRequests()
    const inStore = await lookUpInStore(path, some, requests)
    const relay = await startRelay({ RELAY_STORE: path }, [LOOP_WATCH])
    const overHttp = await lookUpOverHttp(relay, some, requests)
    const hours = await rollOver(relay, idle, requests)
    await relay.stop()
    const files = (await readdir(path)).filter((name) => /^\d+-.*\.sqlite$/.test(name)).length
    return {
      results: {
        store: {
          spans: millions * MILLION,
          bytesASpan: rounded(bytes / millions / MILLION),
          filledInS: rounded(fillS),
        },
        inStore,
        overHttp,
        hours: { ...hours, begun: HOURS, filesAfterwards: files },
      },
      targets: [
        atMost('find in the store while spans come in, p99, milliseconds', inStore.findMs.own.p99, 5),
        atMost(
          'trace in the store while spans come in, p99 without the noise, milliseconds',
          withoutNoise(inStore.traceMs.own, inStore.unpackingMs.own),
          5,
        ),
        atMost(
          'GET /api/traces/{id} while spans come in, p99 without the noise, milliseconds',
          withoutNoise(overHttp.lookUpMs.own, overHttp.nothingMs.own),
          20,
        ),
        atMost('GET /support/{id} while spans come in, p95, milliseconds', overHttp.pageMs.first.p95, 150),
        atMost(
          'longest pause of the event loop while hours begin and go, beyond the longest of an idle process, milliseconds',
          hours.pauseMs.relayBeyondIt,
          100,
        ),
        atMost(
          'ingest while hours begin and go, p99, beyond that of ingest beside it, milliseconds',
          hours.ingestBeyondIt,
          100,
        ),
      ],
    }
  } finally {
    process.stderr.write('\n')
    await idle.stop()
    await remove()
    forget()
  }
}

async function sizeOf(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

const spread = (ms: readonly number[]) => ({
  p50: percentile(ms, 0.5),
  p95: percentile(ms, 0.95),
  p99: percentile(ms, 0.99),
  max: percentile(ms, 1),
})

/** Each thing is done so often in a row: the median of these is its own time, what is over it is the machine's. */
const REPEATS = 5

interface Times {
  /** The first of each. */
  first: number[]
  /** The median of each. */
  own: number[]
}
const noTimes = (): Times => ({ first: [], own: [] })
const counted = ({ first, own }: Times) => ({ first: spread(first.slice(WARM_UP)), own: spread(own.slice(WARM_UP)) })

async function timed<T>(work: () => T | Promise<T>, into: Times): Promise<T> {
  const times: number[] = []
  let result: T | undefined
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const before = performance.now()
    const worked = work()
    result = worked instanceof Promise ? await worked : worked
    times.push(performance.now() - before)
  }
  into.first.push(times[0] ?? 0)
  into.own.push(median(times))
  return result as T
}

/**
 * The p99 without what the machine has put on the p99 of something that always takes the same time, done in turn; not
 * less than the median.
 */
function withoutNoise(of: { p50: number; p99: number }, same: { p50: number; p99: number }): number {
  return Math.max(of.p50, rounded(of.p99 - (same.p99 - same.p50)))
}

/** In this process: what a look-up holds up the event loop. Beside it, work that is always the same. */
async function lookUpInStore(path: string, some: readonly string[], requests: readonly NewRequest[]) {
  const store = openStore(path, TERMS)
  const [find, trace, same] = [noTimes(), noTimes(), noTimes()]
  const sending = startLoad(requests, (request) => store.append(request))
  try {
    const { body } = requests[0] as NewRequest
    for (let index = 0; index < LOOK_UPS + WARM_UP; index++) {
      const id = some[Math.floor(Math.random() * some.length)] ?? ''
      const match = await timed(() => store.find(index % 2 === 0 ? id : id.slice(0, 12)), find)
      const { resourceSpans } = await timed(() => store.trace(id), trace)
      if (match.kind !== 'found' || resourceSpans.length === 0) throw new Error(`A trace was not found: ${id}.`)
      await timed(() => unpack(body), same)
      await delay(1)
    }
  } finally {
    await sending.stop()
    await store.close()
  }
  return { findMs: counted(find), traceMs: counted(trace), unpackingMs: counted(same) }
}

/** What no look-up can do without, so often that it takes as long as one: unpacking. */
function unpack(body: Uint8Array): void {
  for (let time = 0; time < UNPACKED; time++) gunzipSync(body)
}

/** Beside each look-up, a request that reads nothing: what HTTP and the machine take by themselves. */
async function lookUpOverHttp({ url, send }: RelayProcess, some: readonly string[], requests: readonly NewRequest[]) {
  const [lookUp, page, nothing] = [noTimes(), noTimes(), noTimes()]
  const get = async (path: string) => {
    const response = await fetch(url + path, { headers: AS_STAFF })
    await response.arrayBuffer()
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}.`)
  }
  const sending = startLoad(requests, ({ body }) => send(body, true))
  try {
    for (let index = 0; index < LOOK_UPS + WARM_UP; index++) {
      const id = some[Math.floor(Math.random() * some.length)] ?? ''
      await timed(() => get(`/api/traces/${id}`), lookUp)
      await timed(() => get(`/support/${id}`), page)
      await timed(() => get('/healthz'), nothing)
    }
  } finally {
    await sending.stop()
  }
  return { lookUpMs: counted(lookUp), pageMs: counted(page), nothingMs: counted(nothing) }
}

/** Sets the relay's clock an hour forward, and again: each time one begins, and another is past the window. */
async function rollOver(
  { child, send }: RelayProcess,
  idle: ReturnType<typeof startIdleProcess>,
  requests: readonly NewRequest[],
) {
  const beginning: number[] = []
  const steady: number[] = []
  const delays: Record<'relay' | 'nothing', LoopDelay[]> = { relay: [], nothing: [] }
  await Promise.all([delayOf(child), delayOf(idle.child)])
  for (let hour = 0; hour < HOURS; hour++) {
    for (const [into, begins] of [
      [steady, false],
      [beginning, true],
    ] as const) {
      const sending = startLoad(requests, ({ body }) => send(body, true), into)
      if (begins) child.send({ type: 'hour' })
      await delay(HOUR_TAKES_MS)
      await sending.stop()
      delays.relay.push(await delayOf(child))
      delays.nothing.push(await delayOf(idle.child))
    }
  }
  const worst = (of: readonly LoopDelay[]) => ({
    p99: median(of.map(({ p99 }) => p99)),
    max: Math.max(...of.map(({ max }) => max)),
  })
  const [relay, nothing] = [worst(delays.relay), worst(delays.nothing)]
  const beyondIngest = spread(beginning).p99 - spread(steady).p99
  return {
    ingestMs: { whileAnHourBegins: spread(beginning), besideIt: spread(steady) },
    ingestBeyondIt: rounded(beyondIngest),
    pauseMs: {
      relay,
      processWithNothingToDo: nothing,
      relayBeyondIt: Math.max(0, rounded(relay.max - nothing.max)),
    },
  }
}

async function makeRequests(): Promise<NewRequest[]> {
  const next = createRequests()
  const made: NewRequest[] = []
  while (made.length < REQUESTS_READY) made.push(await next())
  return made
}

/** One request every {@link EVERY_MS}; times from when it was due, not from when it could be sent. */
function startLoad(
  requests: readonly NewRequest[],
  send: (request: NewRequest) => Promise<unknown>,
  into: number[] = [],
) {
  let running = true
  const underWay = new Set<Promise<unknown>>()
  const run = async () => {
    let sends = 0
    for (let due = performance.now(); running; due += EVERY_MS) {
      await delay(Math.max(0, due - performance.now()))
      const sent = send(requests[sends % requests.length] as NewRequest).then(() => into.push(performance.now() - due))
      sends += 1
      underWay.add(sent)
      sent.finally(() => underWay.delete(sent))
    }
  }
  const done = run()
  return {
    async stop() {
      running = false
      await done
      await Promise.all(underWay)
    },
  }
}
